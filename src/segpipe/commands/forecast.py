"""forecast: how long `train` would take with params.yaml as it is, and what it needs; leaves nothing behind."""

from segpipe.core.command import run
from segpipe.params import load
from segpipe.train import distributed, planning, prepare
from segpipe.train.recipe import RunRecipe


def main() -> None:
    """Measure a few steps and say what to expect."""
    params = load()
    section = params.train
    device, mates = prepare.device_and_team(section, params.compute.device, "segpipe.commands.forecast")
    _, data, network, _ = prepare.data_and_network(section, params.seed)
    recipe = RunRecipe.of(section, params.seed, params.compute.checkpoint_minutes)
    fills_budget = section.epochs == "auto"
    planning.made(network, data, recipe, prepare.CHECKPOINTS, device, mates, fills_budget=fills_budget)
    distributed.leave(mates)


if __name__ == "__main__":
    run(main)
