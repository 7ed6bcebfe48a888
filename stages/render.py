"""render: scores, model, masks and photos -> sample sheets in results/samples and results/index.html."""

from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.core.files import write_text
from segpipe.data import tables
from segpipe.evaluate.per_image import worst_median_best
from segpipe.inference.pairs import find_pairs, predict_pairs
from segpipe.models import model_file
from segpipe.models.device import pick_device
from segpipe.params import load
from segpipe.report import model_report, samples
from segpipe.tracking.run import open_trained


def main() -> None:
    """Draw the worst, the median and the best images of the headline split, and write the page that shows them."""
    params = load()
    device = pick_device(params.compute.device)
    segmenter, card = model_file.load(Path("models/model.pt"), device)
    metrics, folder = Path("metrics"), Path("results/samples")
    facts = {"architecture": card.architecture, "encoder": card.encoder} | card.facts
    report = model_report.read(metrics, Path("data/masks/classes.json"), Path("data/splits.csv"), facts)
    chosen = worst_median_best(report.images, params.render.samples)
    keys = {score.key: report.split for scores in chosen.values() for score in scores}
    photos = tables.read_photos(Path("data/checked/images.parquet"))
    pairs = find_pairs(keys, photos, Path(params.ingest.source), Path("data/masks"))
    results = predict_pairs(segmenter, card, pairs, params.evaluate.batch_size, device)
    drawn = ((result.image, result.truth, result.pred) for result in results)
    sheets = samples.draw(folder, drawn, chosen, report.classes, count=len(report.images))
    write_text(Path("results/index.html"), model_report.html(report, sheets))
    with open_trained(Path("models/model.pt"), report.classes.names, params.tracking) as tracked:
        tracked.log_file(Path("results/index.html"), "report")
        tracked.log_file(Path("results/data_report.html"), "report")
        tracked.log_file(folder, "report/samples")


if __name__ == "__main__":
    run_stage("render", main)
