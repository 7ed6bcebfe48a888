"""Label maps and PNGs from polygons, compared with the usual loop (annToMask, paint, save).

`python bench/raster.py` prints a table for each data set in SEGPIPE_REAL_DATA (default ../shared/data). Both sides run
in turn in one process on the same parsed records, and all their label maps are compared.
"""

import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from segpipe.data.classes import ClassTable
from segpipe.data.records import Instance, Rle
from segpipe.masks import label_png, raster
from segpipe.masks.regions import regions_of

DATA = Path(os.environ.get("SEGPIPE_REAL_DATA", "../shared/data"))
SETS = {
    "coco_mini": "coco_mini/annotations/instances_train2017.json",
    "car_damage": "car_damage/train/_annotations.coco.json",
}
ROUNDS = 5


@dataclass(frozen=True)
class AnnotatedImage:
    """The instances of one image in the order of their records, crowds included."""

    size_hw: tuple[int, int]
    segmentations: list[Any]  # as in the file
    instances: list[Instance]  # as in the pipeline
    values: list[int]  # class_index of each


def read(path: Path) -> list[AnnotatedImage]:
    """The images of a COCO instances file."""
    document = json.loads(path.read_text())
    index = {category["id"]: i for i, category in enumerate(document["categories"], start=1)}
    of = {i["id"]: AnnotatedImage((i["height"], i["width"]), [], [], []) for i in document["images"]}
    for annotation in document["annotations"]:
        image, segmentation = of[annotation["image_id"]], annotation["segmentation"]
        image.segmentations.append(segmentation)
        image.instances.append(record(segmentation))
        image.values.append(index[annotation["category_id"]])
    return list(of.values())


def record(segmentation: Any) -> Instance:
    """A segmentation as the reader returns it."""
    if isinstance(segmentation, list):
        return Instance(id="", image_key="", category="", rings=tuple(map(tuple, segmentation)))
    height, width = segmentation["size"]
    return Instance(
        id="", image_key="", category="", rle=Rle(size_hw=(height, width), counts=tuple(segmentation["counts"]))
    )


def usual(image: AnnotatedImage) -> np.ndarray:
    """The mask of each instance by annToMask, painted over the earlier ones."""
    label_map = np.zeros(image.size_hw, np.uint8)
    for segmentation, value in zip(image.segmentations, image.values, strict=True):
        regions = coco_mask.frPyObjects(segmentation, *image.size_hw)
        mask = coco_mask.decode(coco_mask.merge(regions) if isinstance(segmentation, list) else regions)
        label_map[mask == 1] = value
    return label_map


def ours(image: AnnotatedImage) -> np.ndarray:
    """The label map of the pipeline, with the later record on top as in the loop."""
    return raster.paint(regions_of(image.instances, image.size_hw, Path()), image.size_hw, image.values)


def seconds(function: Callable[[AnnotatedImage], object], images: list[AnnotatedImage]) -> float:
    """Processor time of one pass over all images; other load on the machine does not count."""
    start = time.process_time()
    for image in images:
        function(image)
    return time.process_time() - start


def main() -> None:
    """Print the tables; exit code 1 if any label map differs."""
    table = ClassTable(("background", *(f"class {i}" for i in range(1, 100))))

    def usual_png(image: AnnotatedImage) -> bytes:
        buffer = io.BytesIO()
        picture = Image.fromarray(usual(image))
        picture.putpalette(table.png_palette)
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def our_png(image: AnnotatedImage) -> bytes:
        return label_png.encode(ours(image), table)

    differing = 0
    for name, file in SETS.items():
        images = read(DATA / file)
        differ = sum(not np.array_equal(usual(image), ours(image)) for image in images)
        differing += differ
        sizes = [sum(len(png(image)) for image in images) for png in (usual_png, our_png)]
        instances = sum(len(image.instances) for image in images)
        print(f"{name}: {len(images)} images, {instances} instances, {differ} label maps differ")
        for what, pair in (("label map", (usual, ours)), ("label map and PNG", (usual_png, our_png))):
            rounds = [[seconds(function, images) for function in pair] for _ in range(ROUNDS)]
            loop, pipeline = (statistics.median(times) for times in zip(*rounds, strict=True))
            ratio = statistics.median(a / b for a, b in rounds)
            print(f"  {what:18} the loop {loop:7.3f} s   ours {pipeline:7.3f} s   ratio {ratio:5.2f}")
        print(f"  bytes of PNG       the loop {sizes[0]:9}   ours {sizes[1]:9}")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
