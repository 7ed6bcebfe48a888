"""forecast: how long `train` would take with params.yaml as it is, and what it needs; writes nothing."""

from segpipe.models import device as devices
from segpipe.training import forecast
from stages import train
from stages.params import load, run


def main() -> None:
    """Measure a few steps and say what to expect."""
    params = load()
    own, device = params.train, devices.pick(params.train.device)
    data, segmenter = train.data_and_network(params)[1:3]
    recipe = train.recipe(own, params.seed, epochs=1)
    measured, budget = forecast.probe(segmenter, data, recipe, device), 3600 * own.budget_hours
    epochs = measured.epochs_within(budget) if own.epochs == "auto" else own.epochs
    forecast.tell(measured, epochs, budget, train.CHECKPOINTS)


if __name__ == "__main__":
    run(main)
