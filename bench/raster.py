"""From polygons to label maps, and to PNGs, against the loop everybody writes (annToMask, paint, save).

`python bench/raster.py` prints one table a data set. Both sides run in turn in one process on the same parsed records,
and every label map is compared; sizes and counts are those of SEGPIPE_REAL_DATA (default ../shared/data).
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
class Picture:
    """One image's instances in the order of their records, crowds as any other: as the file has them and as ours."""

    size_hw: tuple[int, int]
    segmentations: list[Any]
    instances: list[Instance]
    values: list[int]


def pictures(path: Path) -> list[Picture]:
    """The images of a COCO instances file."""
    document = json.loads(path.read_text())
    index = {category["id"]: i for i, category in enumerate(document["categories"], start=1)}
    of = {i["id"]: Picture((i["height"], i["width"]), [], [], []) for i in document["images"]}
    for annotation in document["annotations"]:
        picture, segmentation = of[annotation["image_id"]], annotation["segmentation"]
        picture.segmentations.append(segmentation)
        picture.instances.append(record(segmentation))
        picture.values.append(index[annotation["category_id"]])
    return list(of.values())


def record(segmentation: Any) -> Instance:
    """A segmentation as the reader hands it on."""
    if isinstance(segmentation, list):
        return Instance(id="", image_key="", category="", rings=tuple(map(tuple, segmentation)))
    height, width = segmentation["size"]
    return Instance(
        id="", image_key="", category="", rle=Rle(size_hw=(height, width), counts=tuple(segmentation["counts"]))
    )


def everybodys(picture: Picture) -> np.ndarray:
    """annToMask for each instance, painted over the last."""
    label_map = np.zeros(picture.size_hw, np.uint8)
    for segmentation, value in zip(picture.segmentations, picture.values, strict=True):
        regions = coco_mask.frPyObjects(segmentation, *picture.size_hw)
        mask = coco_mask.decode(coco_mask.merge(regions) if isinstance(segmentation, list) else regions)
        label_map[mask == 1] = value
    return label_map


def ours(picture: Picture) -> np.ndarray:
    """The project's own way, the later record on top as in the loop."""
    return raster.paint(regions_of(picture.instances, picture.size_hw, Path()), picture.size_hw, picture.values)


def seconds(function: Callable[[Picture], object], of: list[Picture]) -> float:
    """Processor time of one pass: of both sides alike, whatever else the machine does."""
    start = time.process_time()
    for picture in of:
        function(picture)
    return time.process_time() - start


def main() -> None:
    """Print the tables; exit code 1 if any label map differs."""
    table = ClassTable(("background", *(f"class {i}" for i in range(1, 100))))

    def everybodys_png(picture: Picture) -> bytes:
        buffer = io.BytesIO()
        image = Image.fromarray(everybodys(picture))
        image.putpalette(table.png_palette)
        image.save(buffer, "PNG")
        return buffer.getvalue()

    def our_png(picture: Picture) -> bytes:
        return label_png.encode(ours(picture), table)

    differing = 0
    for name, file in SETS.items():
        of = pictures(DATA / file)
        differ = sum(not np.array_equal(everybodys(picture), ours(picture)) for picture in of)
        differing += differ
        sizes = [sum(len(png(picture)) for picture in of) for png in (everybodys_png, our_png)]
        print(f"{name}: {len(of)} pictures, {sum(len(p.instances) for p in of)} instances, {differ} label maps differ")
        for what, pair in (("label map", (everybodys, ours)), ("label map and PNG", (everybodys_png, our_png))):
            rounds = [[seconds(function, of) for function in pair] for _ in range(ROUNDS)]
            loop, own = (statistics.median(times) for times in zip(*rounds, strict=True))
            ratio = statistics.median(a / b for a, b in rounds)
            print(f"  {what:18} the loop {loop:7.3f} s   ours {own:7.3f} s   ratio {ratio:5.2f}")
        print(f"  bytes of PNG       the loop {sizes[0]:9}   ours {sizes[1]:9}")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
