"""The demo folder while defects are planted: its unchanged images, the planted defects, and helpers of all defects."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from shapely.geometry import Polygon

from segpipe.core.errors import UserError
from segpipe.demo.folder import CATEGORY_IDS, IMAGES, Document, Record
from segpipe.demo.scenes import CLASSES, UNSELECTED
from segpipe.masks import raster, rle

FIRST_FREE_IMAGE_ID = 900_001
MIN_COUNT = 100  # images: fewer have too few objects for all defects

_SELECTED_IDS = {CATEGORY_IDS[name] for name in CLASSES}
_UNSELECTED_ID = CATEGORY_IDS[UNSELECTED]


@dataclass(slots=True)
class Planting:
    """A folder and the defects planted in it so far."""

    out: Path
    document: Document
    free: list[Record]  # image records that no defect has changed
    planted: list[Record] = field(default_factory=list)  # entries of the manifest
    notes: dict[str, Any] = field(default_factory=dict)  # further keys of the manifest

    def take(self, count: int, fits: Callable[[Record], bool]) -> list[Record]:
        """Remove and return the last `count` image records of `free` that fit. UserError if there are too few."""
        taken = [image for image in reversed(self.free) if fits(image)][:count]
        if len(taken) < count:
            raise UserError(f"too few images to plant all defects; use a --count above {MIN_COUNT}")
        self.free = [image for image in self.free if image not in taken]
        return taken

    def annotations(self, image: Record) -> list[Record]:
        """The annotation records of an image."""
        return [record for record in self.document.annotations if record.get("image_id") == image["id"]]

    def keep_only(self, image: Record, keeps: Callable[[Record], bool]) -> None:
        """Remove the annotation records of an image for which `keeps` is false."""
        self.document.annotations = [
            record for record in self.document.annotations if record.get("image_id") != image["id"] or keeps(record)
        ]

    def add(self, **fields: Any) -> int:
        """Append an annotation record and return its id."""
        number = max(record["id"] for record in self.document.annotations) + 1
        self.document.annotations.append({"id": number} | fields)
        return number

    def path(self, image: Record) -> Path:
        """The path of the image's file."""
        return self.out / IMAGES / str(image["file_name"])

    def pixels(self, image: Record) -> np.ndarray:
        """The stored pixels, uint8 (H, W, 3), EXIF orientation not applied."""
        with Image.open(self.path(image)) as photo:
            return np.asarray(photo)

    def about_images(self, defect: str, outcome: tuple[str, str], images: list[Record], why: str) -> None:
        """Add planted image defects to the manifest. outcome: the ledger's verdict and reason code."""
        self._note(defect, "images", outcome, len(images), why, {"files": sorted(files_of(images))})

    def about_annotations(self, defect: str, outcome: tuple[str, str], ids: list[int], why: str) -> None:
        """Add planted annotation defects to the manifest. outcome: the ledger's verdict and reason code."""
        self._note(defect, "annotations", outcome, len(ids), why, {"ids": sorted(ids)})

    def _note(
        self, defect: str, about: str, outcome: tuple[str, str], count: int, why: str, which: dict[str, Any]
    ) -> None:
        entry = {"defect": defect, "about": about, "verdict": outcome[0], "reason": outcome[1], "why": why}
        self.planted.append(entry | {"count": count} | which)


def is_object(record: Record) -> bool:
    """Whether the record is of a selected class and not a crowd."""
    return record.get("category_id") in _SELECTED_IDS and not record["iscrowd"]


def is_pebble(record: Record) -> bool:
    """Whether the record is of the class that is not selected."""
    return record.get("category_id") == _UNSELECTED_ID


def is_polygon(record: Record) -> bool:
    """Whether the record is an object of one ring."""
    return is_object(record) and isinstance(record["segmentation"], list) and len(record["segmentation"]) == 1


def is_oblong(image: Record) -> bool:
    """Whether the image is not square."""
    return bool(image["width"] != image["height"])


def has_objects(planting: Planting) -> Callable[[Record], bool]:
    """A condition on image records: a selected object is annotated."""
    return lambda image: any(map(is_object, planting.annotations(image)))


def has_host(planting: Planting) -> Callable[[Record], bool]:
    """A condition on image records: additions inside one of its objects do not change the label map."""
    return lambda image: _host_or_none(planting, image) is not None


def host_of(planting: Planting, image: Record) -> Record:
    """The object of an image that additions are placed in, see has_host."""
    host = _host_or_none(planting, image)
    assert host is not None, "take() must be called with has_host"
    return host


def _host_or_none(planting: Planting, image: Record) -> Record | None:
    """The smallest object of the image, which no other object covers, if it is one ring with room in its middle."""
    objects = sorted(filter(is_object, planting.annotations(image)), key=lambda record: record["area"])
    if not objects or not is_polygon(objects[0]):
        return None
    x, y, reach = middle(objects[0])
    room = Polygon([(x - reach, y - reach), (x + reach, y - reach), (x + reach, y + reach), (x - reach, y + reach)])
    outline = Polygon(np.reshape(objects[0]["segmentation"][0], (-1, 2)))
    return objects[0] if reach >= 2 and outline.buffer(-1).contains(room) else None


def middle(host: Record) -> tuple[float, float, float]:
    """x, y of the middle of a record's ring, and a distance from it that stays inside, in pixels."""
    outline = Polygon(np.reshape(host["segmentation"][0], (-1, 2)))
    return round(outline.centroid.x, 1), round(outline.centroid.y, 1), round(0.2 * outline.area**0.5, 1)


def assert_pixels(ring: list[float], image: Record, wanted: bool) -> None:
    """Assert that a ring covers some pixel of the image (wanted), or none."""
    pixels = rle.area_px(raster.draw([ring], (image["height"], image["width"])))
    assert bool(pixels) == wanted, f"{ring} covers {pixels} pixels"


def fields_of(category: str, segmentation: Any, area: float) -> Record:
    """An annotation record without id and image_id. segmentation: rings or run lengths."""
    ring = segmentation[0] if isinstance(segmentation, list) else [0.0, 0.0, 10.0, 10.0]
    return {
        "category_id": CATEGORY_IDS[category],
        "iscrowd": 0,
        "area": area,
        "bbox": bbox_of(ring),
        "segmentation": segmentation,
    }


def bbox_of(ring: list[float]) -> list[float]:
    """x, y, width, height of a ring, flat x, y ...; of an odd number of values the last is ignored."""
    x, y = ring[: len(ring) // 2 * 2 : 2], ring[1::2]
    return tenths([min(x), min(y), max(x) - min(x), max(y) - min(y)])


def square(x: float, y: float) -> list[float]:
    """A ring of 12 x 12 pixels with its top-left corner at (x, y)."""
    return [x, y, x + 12, y, x + 12, y + 12, x, y + 12]


def tenths(numbers: list[float]) -> list[float]:
    """The numbers rounded to the precision of the annotations."""
    return [round(float(number), 1) for number in numbers]


def without(record: Record, key: str) -> Record:
    """The record without one key."""
    return {name: value for name, value in record.items() if name != key}


def files_of(images: list[Record]) -> list[str]:
    """The files of image records, as POSIX paths inside the folder."""
    return [(IMAGES / str(image["file_name"])).as_posix() for image in images]
