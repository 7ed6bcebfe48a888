"""A comparison of losses: short trainings that differ only in the loss, on the data set and settings of a preset.

`python -m bench.losses DATASET EPOCHS [LOSS...]` (`make bench-losses` runs both data sets) prints one table: mIoU on
val (on test if the preset has no val), the mean IoU of the RARE classes with the fewest pixels, and the seconds of
training. DATASET is a preset and a folder in SEGPIPE_REAL_DATA (default ../shared/data). A LOSS is written as in
LOSSES: parts of train.loss, then class weights, if any. The data stages run once, in an empty project folder; there
each loss is trained and evaluated with `python -m stages.NAME`, without tracking. The network is always an FPN: in so
few epochs a U-Net finds hardly any rare class.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from bench.floor import DATA, ROOT, run_stage
from segpipe.commands.use_preset import PRESETS, use

RARE = 3
CROP = [192, 192]  # fits into the images of every preset
LOSSES = (
    "cross_entropy",
    "cross_entropy+dice",
    "cross_entropy+lovasz",
    "cross_entropy+boundary",
    "dice+lovasz",
    "focal+dice",
    "ohem",
    "cross_entropy+dice,median_frequency",
    "cross_entropy+dice,effective_number",
)


def main() -> None:
    """Print the table, each row as soon as it is measured. Arguments: data set, epochs, losses."""
    dataset, epochs, *losses = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="segpipe-losses-") as folder:
        project = Path(folder)
        params = prepared(project, dataset, int(epochs))
        rare = rarest(project)
        print(f"{dataset}, {epochs} epochs, crops of {CROP[1]} x {CROP[0]}, batches of {params['train']['batch_size']}")
        print(f"\n| loss | mIoU | of the rare | {' | '.join(rare)} | seconds |\n|{'---|' * (len(rare) + 4)}")
        for loss in losses or LOSSES:
            (project / "params.yaml").write_text(yaml.safe_dump(with_loss(params, loss)))
            print(f"| {loss} | {measured(project, rare)} |", flush=True)


def prepared(project: Path, dataset: str, epochs: int) -> dict[str, Any]:
    """Run the stages before training in an empty project; return its settings."""
    path = project / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    use(PRESETS / f"{dataset}.yaml", path)
    params = yaml.safe_load(path.read_text())
    params["ingest"]["source"] = str(DATA / dataset)
    params["split"] |= {name: str(ROOT / params["split"][name]) for name in ("scene_table", "pins")}
    params["train"] |= {"architecture": "fpn", "epochs": epochs, "crop": CROP, "budget_hours": 24}
    params["tracking"]["mlflow"] = False
    path.write_text(yaml.safe_dump(params))
    for stage in ("ingest", "validate", "rasterize", "split"):
        run_stage(project, stage)
    return params


def with_loss(params: dict[str, Any], loss: str) -> dict[str, Any]:
    """`params` with a loss, written as in LOSSES."""
    parts, _, weights = loss.partition(",")
    weight_of = dict.fromkeys(params["train"]["loss"], 0.0) | dict.fromkeys(parts.split("+"), 1.0)
    return params | {"train": params["train"] | {"loss": weight_of, "class_weights": weights or "none"}}


def rarest(project: Path) -> list[str]:
    """The RARE classes with the fewest pixels, without absent classes."""
    pixels = json.loads((project / "metrics/rasterize.json").read_text())["class_pixels"]
    return sorted((name for name, count in pixels.items() if count), key=pixels.__getitem__)[:RARE]


def measured(project: Path, rare: list[str]) -> str:
    """Train and evaluate; return the cells of the row of a loss."""
    seconds = run_stage(project, "train").seconds
    run_stage(project, "evaluate")
    splits = json.loads((project / "metrics/evaluate.json").read_text())
    scores = splits.get("val") or splits["test"]
    ious = [scores["iou"].get(name) for name in rare]  # an absent class has no score
    defined = [iou for iou in ious if iou is not None]
    cells = [scores["mean_iou"], statistics.mean(defined) if defined else None, *ious]
    return " | ".join("-" if cell is None else f"{cell:.3f}" for cell in cells) + f" | {seconds:.0f}"


if __name__ == "__main__":
    main()
