"""render: scores, model, masks and photographs -> sample sheets in results/samples and results/index.html."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segpipe.core.command import run
from segpipe.core.files import atomic_write, write_text
from segpipe.data import split_table, tables
from segpipe.data.classes import ClassTable
from segpipe.evaluate import per_image, score_tables
from segpipe.evaluate.per_image import ImageScore, worst_median_best
from segpipe.inference.pairs import PredictedPair, find_pairs, predict_pairs
from segpipe.models import model_file
from segpipe.models.device import pick_device
from segpipe.params import load
from segpipe.pictures import sheets
from segpipe.report import model_report
from segpipe.tracking.run import open_trained


def main() -> None:
    """Draw the worst, the median and the best pictures of the headline split, and the page that shows them."""
    params = load()
    device = pick_device(params.compute.device)
    segmenter, card = model_file.load(Path("models/model.pt"), device)
    classes = ClassTable.read(Path("data/masks/classes.json"))
    matrices = score_tables.read_confusion(Path("metrics/confusion.csv"), classes.names)
    headline = next(iter(matrices))
    images = [image for image in score_tables.read_per_image(Path("metrics/per_image.csv")) if image.split == headline]

    chosen = worst_median_best(images, params.render.samples)
    keys = {score.key: headline for scores in chosen.values() for score in scores}
    photos = tables.read_photos(Path("data/checked/images.parquet"))
    pairs = find_pairs(keys, photos, Path(params.ingest.source), Path("data/masks"))
    results = predict_pairs(segmenter, card, pairs, params.evaluate.batch_size, device)
    samples = _draw_sheets(results, chosen, classes, of=len(images))

    splits = Counter(split or "left out" for split in split_table.read_splits(Path("data/splits.csv")).values())
    page = model_report.Report(
        split=headline,
        scores=json.loads(Path("metrics/evaluate.json").read_text(encoding="utf-8")),
        matrix=matrices[headline],
        classes=classes,
        images=images,
        split_sizes={name: splits[name] for name in ("train", "val", "test", "left out") if splits[name]},
        samples=samples,
        facts={"architecture": card.architecture, "encoder": card.encoder} | card.facts,
    )
    write_text(Path("results/index.html"), model_report.html(page))
    with open_trained(Path("models/model.pt"), classes.names, params.tracking) as tracked:
        tracked.log_file(Path("results/index.html"), "report")
        tracked.log_file(Path("results/data_report.html"), "report")
        tracked.log_file(Path("results/samples"), "report/samples")


def _draw_sheets(
    results: Iterable[PredictedPair], chosen: Mapping[str, Sequence[ImageScore]], classes: ClassTable, of: int
) -> dict[str, list[model_report.SampleSheet]]:
    """Write results/samples/<group>-<number>.png; results come in the order of chosen."""
    folder = Path("results/samples")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    rest = iter(results)
    samples: dict[str, list[model_report.SampleSheet]] = {}
    for group, scores in chosen.items():
        samples[group] = [
            model_report.SampleSheet(f"samples/{group}-{n}.png", score) for n, score in enumerate(scores, start=1)
        ]
        for number, sample in enumerate(samples[group], start=1):
            result = next(rest)
            caption = per_image.caption(sample.score, f"{group} {number} of {of}")
            with atomic_write(Path("results") / sample.file) as part:
                sheets.sheet(result.image, result.truth, result.pred, classes, caption).save(part, "PNG")
    return samples


if __name__ == "__main__":
    run(main)
