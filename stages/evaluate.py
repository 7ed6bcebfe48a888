"""evaluate: models/model.pt + masks and photographs of val and test -> scores at native size."""

from pathlib import Path

from segpipe.core.command import run
from segpipe.core.errors import UserError
from segpipe.core.files import write_json
from segpipe.data import split_table, tables
from segpipe.data.classes import ClassTable
from segpipe.evaluate import score_tables, scores
from segpipe.evaluate.measure import measure
from segpipe.evaluate.per_image import detection_scores
from segpipe.inference.pairs import find_pairs, predict_pairs
from segpipe.models import model_file
from segpipe.models.device import pick_device
from segpipe.params import load
from segpipe.tracking.run import open_trained

SPLITS = ("test", "val")  # the first that has images is the headline


def main() -> None:
    """Predict val and test, and count every pixel."""
    params = load()
    device = pick_device(params.compute.device)
    segmenter, card = model_file.load(Path("models/model.pt"), device)
    names = ClassTable.read(Path("data/masks/classes.json")).names
    if names != card.classes:
        raise UserError("models/model.pt: its classes are not those of data/masks; run `dvc repro` to train it anew")
    scored = {k: split for k, split in split_table.read_splits(Path("data/splits.csv")).items() if split in SPLITS}
    if not scored:
        shares = "split.val" if params.split.method == "source" else "split.val or split.test"
        raise UserError(f"data/splits.csv: no image in val or test; raise {shares} in params.yaml")
    photos = tables.read_photos(Path("data/checked/images.parquet"))
    pairs = find_pairs(scored, photos, Path(params.ingest.source), Path("data/masks"))
    results = predict_pairs(segmenter, card, pairs, params.evaluate.batch_size, device)
    measured = measure(((r.pair.key, r.pair.split, r.truth, r.pred) for r in results), names)

    matrices = {split: measured.matrices[split] for split in SPLITS if split in measured.matrices}
    headline = next(iter(matrices.values()))
    score_tables.write_confusion(Path("metrics/confusion.csv"), matrices, names)
    score_tables.write_per_image(Path("metrics/per_image.csv"), measured.images, names)
    score_tables.write_class_plot(Path("metrics/plots/evaluate/classes.csv"), headline, names)
    score_tables.write_confusion_plot(Path("metrics/plots/evaluate/confusion.csv"), headline, names)
    summaries = {
        split: scores.summary(matrix, names) | detection_scores(i for i in measured.images if i.split == split)
        for split, matrix in matrices.items()
    }
    write_json(Path("metrics/evaluate.json"), summaries)
    with open_trained(Path("models/model.pt"), names, params.tracking) as tracked:
        tracked.log_metrics(summaries)
        for path in (
            "metrics/evaluate.json",
            "metrics/confusion.csv",
            "metrics/per_image.csv",
            "metrics/plots/evaluate",
        ):
            tracked.log_file(Path(path), "evaluate")


if __name__ == "__main__":
    run(main)
