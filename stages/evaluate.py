"""evaluate: models/model.pt, masks and photos of val and test -> scores at the images' native size."""

from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable
from segpipe.evaluate.measure import SPLITS, measure
from segpipe.inference.pairs import pairs_of, predict_pairs
from segpipe.models import model_file
from segpipe.models.device import pick_device
from segpipe.params import load
from segpipe.tracking.run import open_trained


def main() -> None:
    """Predict val and test, and count every pixel."""
    params = load()
    device = pick_device(params.compute.device)
    network, card = model_file.load(Path("models/model.pt"), device)
    names = ClassTable.read(Path("data/masks/classes.json")).names
    if names != card.classes:
        raise UserError("models/model.pt: its classes are not those of data/masks; run `dvc repro` to train again")
    pairs = pairs_of(SPLITS, Path(params.ingest.source))
    if not pairs:
        shares = "split.val" if params.split.method == "source" else "split.val or split.test"
        raise UserError(f"data/splits.csv: no image is in val or test; raise {shares} in params.yaml")
    results = predict_pairs(network, card, pairs, params.evaluate.batch_size, device)
    measured = measure(((r.pair.key, r.pair.split, r.truth, r.pred) for r in results), names)
    summaries = measured.write(Path("metrics"), names)
    with open_trained(Path("models/model.pt"), names, params.tracking) as tracked:
        tracked.log_metrics(summaries)
        for name in ("evaluate.json", "confusion.csv", "per_image.csv", "plots/evaluate"):
            tracked.log_file(Path("metrics") / name, "evaluate")


if __name__ == "__main__":
    run_stage("evaluate", main)
