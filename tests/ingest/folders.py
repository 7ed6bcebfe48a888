"""Small source folders for the tests of the readers: images of a few pixels and annotation files."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TRIANGLE = [1.0, 1.0, 5.0, 1.0, 5.0, 4.0]


def put_images(root: Path, files: Iterable[str], size_wh: tuple[int, int] = (8, 6)) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size_wh, (120, 90, 60)).save(root / file)
    return root


def put_mask(path: Path, rows: Sequence[Sequence[int]], mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows, np.uint16 if mode == "I;16" else np.uint8))
    if mode == "P":
        image.putpalette([value for index in range(256) for value in (255 - index, index, 0)])
    image.save(path)
    return path


def put_json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def coco(images: list[Any], annotations: list[Any], categories: list[Any] | None = None) -> dict[str, Any]:
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 90, "name": "dog"}] if categories is None else categories,
    }


def photo(number: int = 1, name: str = "a.jpg") -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 8, "height": 6}


def drawn(number: int = 1, **changes: Any) -> dict[str, Any]:
    entry = {"id": number, "image_id": 1, "category_id": 1, "segmentation": [TRIANGLE], "iscrowd": 0, "area": 6}
    return {key: value for key, value in {**entry, **changes}.items() if value is not ...}
