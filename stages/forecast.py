"""forecast: how long `train` would take with params.yaml as it is, and what it needs; leaves nothing behind."""

from segpipe.training import planning, team
from stages import training_setup
from stages.params import load
from stages.running import run


def main() -> None:
    """Measure a few steps and say what to expect."""
    params = load()
    device, mates = training_setup.device_and_team(params, "stages.forecast")
    data, segmenter = training_setup.data_and_network(params)[1:3]
    recipe, fills = training_setup.recipe(params), params.train.epochs == "auto"
    planning.made(segmenter, data, recipe, training_setup.CHECKPOINTS, device, mates, fills_budget=fills)
    team.leave(mates)


if __name__ == "__main__":
    run(main)
