"""forecast: how long `train` would take with params.yaml as it is, and what it needs; leaves nothing behind."""

from segpipe.core.command import run
from segpipe.params import load
from segpipe.train import distributed, planning, prepare


def main() -> None:
    """Measure a few steps and say what to expect."""
    params = load()
    device, mates = prepare.device_and_team(params, "stages.forecast")
    data, segmenter = prepare.data_and_network(params)[1:3]
    recipe, fills = prepare.recipe(params), params.train.epochs == "auto"
    planning.made(segmenter, data, recipe, prepare.CHECKPOINTS, device, mates, fills_budget=fills)
    distributed.leave(mates)


if __name__ == "__main__":
    run(main)
