"""A COCO folder of drawn scenes: OUT/images/... and OUT/annotations/instances.json."""

import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.core.files import write_bytes, write_text
from segpipe.core.parallel import map_ordered
from segpipe.demo import scenes
from segpipe.demo.scenes import Truth
from segpipe.masks import raster, rle

logger = logging.getLogger(__name__)

Record = dict[str, Any]
CATEGORY_IDS = {"coin": 1, "brick": 3, "star": 7, "ring": 12, "leaf": 90, scenes.UNSELECTED: 91}  # with gaps
ANNOTATIONS = Path("annotations/instances.json")
IMAGES = Path("images")
JPEG_QUALITY = 88
_FIRST_IMAGE_ID = 1001


@dataclass(slots=True)
class Document:
    """The image and annotation records of a COCO file."""

    images: list[Record]
    annotations: list[Record]


@dataclass(frozen=True, slots=True)
class _Job:
    out: Path
    seed: int
    index: int
    size_px: int


def make(out: Path, count: int, size_px: int, seed: int, workers: int) -> Document:
    """Draw `count` images into out/images and return their records. The annotation file is not written yet.

    size_px: approximate length of an image's sides; workers: processes, 0 for one per core; the files do not depend on
    it. Raises UserError if `out` exists and is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty folder; remove it or choose another folder")
    document = Document([], [])
    jobs = [_Job(out, seed, index, size_px) for index in range(count)]
    for image, annotations in map_ordered(_image, jobs, workers, "images"):
        document.images.append(image)
        first = len(document.annotations) + 1
        document.annotations += [{"id": first + i} | record for i, record in enumerate(annotations)]
    return document


def write(out: Path, document: Document) -> None:
    """Write the document as instances.json, one record per line."""
    categories = [{"id": number, "name": name} for name, number in CATEGORY_IDS.items()]
    lists = {"images": document.images, "annotations": document.annotations, "categories": categories}
    parts = [f"{json.dumps(name)}: [\n{_lines(records)}\n]" for name, records in lists.items()]
    write_text(out / ANNOTATIONS, "{\n" + ",\n".join(parts) + "\n}\n")


def _lines(records: list[Record]) -> str:
    return ",\n".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)


def file_name(index: int) -> str:
    """The path of image `index` inside images/: most are plain, some have folders, spaces, accents or kanji."""
    number = f"{index:05}"
    if index % 29 == 11:
        return f"Küche/Tablett {number}.jpg"
    if index % 37 == 17:
        return f"été à la mer/île {number}.jpeg"
    if index % 43 == 23:
        return f"砂浜/小石 {number}.JPG"
    return f"scene_{number}.jpg"


def jpeg(pixels: np.ndarray, quality: int = JPEG_QUALITY, exif: Image.Exif | None = None) -> bytes:
    """The bytes of a JPEG file. pixels: uint8 (H, W, 3) or (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True, exif=exif or Image.Exif())
    return buffer.getvalue()


def _image(job: _Job) -> tuple[Record, list[Record]]:
    """Draw and write one image. Returns its record, and its annotation records without ids."""
    scene = scenes.draw(job.seed, job.index, job.size_px)
    name = file_name(job.index)
    write_bytes(job.out / IMAGES / name, jpeg(scene.pixels))
    height, width = scene.pixels.shape[:2]
    image = {"id": _FIRST_IMAGE_ID + job.index, "file_name": name, "width": width, "height": height}
    compress = job.index % 2 == 0
    return image, [_annotation(image["id"], truth, (height, width), compress) for truth in scene.truths]


def _annotation(image_id: int, truth: Truth, size_hw: tuple[int, int], compress: bool) -> Record:
    return {
        "image_id": image_id,
        "category_id": CATEGORY_IDS[truth.category],
        "iscrowd": int(truth.crowd),
        "area": rle.area_px(truth.region),
        "bbox": _bbox_xywh(truth.region, size_hw),
        "segmentation": _segmentation(truth, compress),
    }


def _segmentation(truth: Truth, compress: bool) -> list[list[float]] | Record:
    """Rings; run lengths for a crowd or a shape with holes, as a string if `compress`, otherwise as a list."""
    if not truth.crowd and not any(part.interiors for part in truth.shape.geoms):
        return [scenes.flat_ring(part.exterior.coords) for part in truth.shape.geoms]
    region = truth.region
    packed = compress and not truth.crowd
    runs = rle.compressed(region)["counts"].decode() if packed else rle.run_lengths(region)
    return {"size": list(region.size_hw), "counts": runs}


def _bbox_xywh(region: rle.Region, size_hw: tuple[int, int]) -> list[int]:
    mask = raster.paint([region], size_hw) > 0
    y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(x[0]), int(y[0]), int(x[-1] - x[0]) + 1, int(y[-1] - y[0]) + 1]
