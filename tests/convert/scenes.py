"""The label maps of a source folder, read, checked and drawn with the pipeline's default settings."""

import re
from pathlib import Path

import numpy as np

from segpipe.data import classes
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Dataset
from segpipe.ingest.read import read_source
from segpipe.ledger.policies import Policies
from segpipe.masks.painting import SMALLER_ON_TOP
from segpipe.rasterize.image import DrawTask, paint
from segpipe.validate.dataset import check_tasks
from segpipe.validate.image import check
from segpipe.validate.judge import Rules


def label_maps(root: Path, categories: tuple[str, ...], format: str = "auto") -> dict[str, np.ndarray]:
    """The label map, uint8 (H, W), of each annotated image by its file's name without suffix."""
    return drawn(read_source(root, format), root, categories)


def drawn(dataset: Dataset, root: Path, categories: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The label maps of the images of a data set, as `label_maps`."""
    rules = Rules({name: name for name in categories}, Policies())
    tasks = check_tasks(dataset, root, rules, keep_empty=True)
    indices = classes.class_indices(categories, "multiclass")
    maps: dict[str, np.ndarray] = {}
    for checked in map(check, tasks):
        if checked.photo is None:
            continue
        task = DrawTask(
            root=root, photo=checked.photo, instances=checked.instances, indices=indices,
            classes=classes.class_table(categories, "multiclass"), priority=SMALLER_ON_TOP,
            fit=Fit("stretch", (32, 32)), position=0, masks=root, store=root,
        )  # fmt: skip
        # in VOC's flat folders the name contains the path, with _ for other characters
        name = re.sub(r"\W", "_", Path(checked.photo.file).stem.rpartition("__")[2])
        assert name not in maps
        maps[name] = paint(task).label_map()
    return maps
