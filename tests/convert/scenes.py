"""The label maps of a source folder, read, checked and drawn with the pipeline's default settings."""

import re
from pathlib import Path

import numpy as np

from segpipe.data import classes
from segpipe.data.records import Dataset, by_image
from segpipe.ingest.read import read_source
from segpipe.ledger.policies import Policies
from segpipe.masks.painting import SMALLER_ON_TOP
from segpipe.rasterize.image import DrawTask, paint
from segpipe.validate.judge import Rules
from tests.checking import check_all


def label_maps(root: Path, categories: tuple[str, ...], format: str = "auto") -> dict[str, np.ndarray]:
    """The label map, uint8 (H, W), of each annotated image by its file's name without suffix."""
    return drawn(read_source(root, format), root, categories)


def drawn(dataset: Dataset, root: Path, categories: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The label maps of the images of a data set, as `label_maps`."""
    rules = Rules({name: name for name in categories}, Policies())
    checked = check_all(dataset, root, rules, keep_empty=True)
    of_image = by_image(checked.instances)
    indices = classes.class_indices(categories, "multiclass")
    maps: dict[str, np.ndarray] = {}
    for photo in checked.photos:
        # in VOC's flat folders the name contains the path, with _ for other characters
        name = re.sub(r"\W", "_", Path(photo.file).stem.rpartition("__")[2])
        assert name not in maps
        instances = tuple(of_image.get(photo.key, ()))
        maps[name] = paint(DrawTask(root, photo, instances, indices, SMALLER_ON_TOP)).label_map()
    return maps
