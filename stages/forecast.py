"""forecast: how long `train` would take with params.yaml as it is, and what it needs; writes nothing."""

from segpipe.models import device as devices
from segpipe.training import forecast
from stages import training_setup
from stages.params import load
from stages.running import run


def main() -> None:
    """Measure a few steps and say what to expect."""
    params = load()
    data, segmenter = training_setup.data_and_network(params)[1:3]
    recipe, budget = training_setup.recipe(params), 3600 * params.train.budget_hours
    fills, device = params.train.epochs == "auto", devices.pick(params.train.device)
    measured = forecast.probe(segmenter, data, recipe, device, fills_budget=fills)
    epochs = measured.epochs_within(budget) if fills else recipe.epochs
    forecast.tell(measured, epochs, budget, training_setup.CHECKPOINTS)


if __name__ == "__main__":
    run(main)
