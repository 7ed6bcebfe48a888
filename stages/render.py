"""render: scores, model, masks and photographs -> sample sheets in results/samples and results/index.html."""

import json
from collections import Counter
from pathlib import Path

from segpipe.classes import ClassTable
from segpipe.dataset import split_table, validation
from segpipe.evaluation import report, sheets, tables
from segpipe.evaluation.per_image import worst_median_best
from segpipe.files import whole, write_text
from segpipe.inference.pairs import Pair, predicted
from segpipe.models import card as model_card
from segpipe.models import device as devices
from stages.params import load, run


def main() -> None:
    """Draw the worst, the median and the best pictures of the headline split, and the page that shows them."""
    params = load()
    device = devices.pick(params.train.device)
    segmenter, card = model_card.load(Path("models/model.pt"), device)
    classes = ClassTable.read(Path("data/masks/classes.json"))
    matrices = tables.read_confusion(Path("metrics/confusion.csv"), classes.names)
    headline = next(iter(matrices))
    images = [image for image in tables.read_per_image(Path("metrics/per_image.csv")) if image.split == headline]

    places = {
        score.key: (score, group, number)
        for group, scores in worst_median_best(images, params.render.samples).items()
        for number, score in enumerate(scores, start=1)
    }
    photos = {photo.key: photo for photo in validation.read_photos(Path("data/checked/images.parquet"))}
    source, masks, samples = Path(params.ingest.source), Path("data/masks"), Path("results/samples")
    pairs = [Pair(key, headline, source / photos[key].file, photos[key].frame, masks / f"{key}.png") for key in places]
    samples.mkdir(parents=True, exist_ok=True)
    for old in samples.glob("*.png"):
        old.unlink()
    shown: dict[str, list[report.Sample]] = {"worst": [], "median": [], "best": []}
    for result in predicted(segmenter, card, pairs, params.evaluate.batch_size, device):
        score, group, number = places[result.pair.key]
        caption = sheets.caption(score, f"{group} {number} of {len(images)}")
        with whole(samples / f"{group}-{number}.png") as part:
            sheets.sheet(result.image, result.truth, result.pred, classes, caption).save(part, "PNG")
        shown[group].append(report.Sample(f"samples/{group}-{number}.png", score))

    splits = Counter(split or "left out" for split in split_table.read(Path("data/splits.csv")).values())
    page = report.Report(
        split=headline,
        scores=json.loads(Path("metrics/evaluate.json").read_text(encoding="utf-8")),
        matrix=matrices[headline],
        classes=classes,
        images=images,
        split_sizes={name: splits[name] for name in ("train", "val", "test", "left out") if splits[name]},
        samples=shown,
        facts={"architecture": card.architecture, "encoder": card.encoder} | card.facts,
    )
    write_text(Path("results/index.html"), report.html(page))


if __name__ == "__main__":
    run(main)
