"""A COCO source of many tiny photos, and changes to it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults import sources

SIZE_WH = (24, 16)
CAT, DOG = [2, 2, 12, 2, 12, 8, 2, 8], [8, 4, 20, 4, 20, 14, 8, 14]
OTHER = [3, 3, 14, 3, 14, 10, 3, 10]
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]


def put(root: Path, count: int) -> Path:
    """A source of `count` photos 000.png, 001.png ... with a cat and a dog on each, as annotations 2n and 2n + 1."""
    for number in range(count):
        put_photo(root, number)
    records = [image(number) for number in range(count)]
    annotations = [annotation for number in range(count) for annotation in on_image(number)]
    sources.put(root, "instances.json", {"images": records, "annotations": annotations, "categories": CATEGORIES})
    return root


def put_photo(root: Path, number: int, seed: int | None = None) -> None:
    sources.put_photo(root / file(number), number if seed is None else seed, SIZE_WH)


def file(number: int) -> str:
    return f"{number:03d}.png"


def image(number: int) -> dict[str, Any]:
    return {"id": number, "file_name": file(number), "width": SIZE_WH[0], "height": SIZE_WH[1]}


def on_image(number: int) -> list[dict[str, Any]]:
    """The annotations of a photo: the cat is before the dog, covers a part of it, and is smaller."""
    return [
        {"id": 2 * number, "image_id": number, "category_id": 1, "segmentation": [CAT]},
        {"id": 2 * number + 1, "image_id": number, "category_id": 2, "segmentation": [DOG]},
    ]


def edit(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the annotation file."""
    document = json.loads((root / "instances.json").read_text())
    change(document)
    sources.put(root, "instances.json", document)


def redraw(root: Path, *annotations: int) -> None:
    """Give annotations another outline."""

    def change(document: dict[str, Any]) -> None:
        for annotation in document["annotations"]:
            if annotation["id"] in annotations:
                annotation["segmentation"] = [OTHER]

    edit(root, change)


def add(root: Path, *numbers: int) -> None:
    """Add photos with their annotations."""
    for number in numbers:
        put_photo(root, number)
        edit(root, lambda document, new=number: document["images"].append(image(new)))
        edit(root, lambda document, new=number: document["annotations"].extend(on_image(new)))


def remove(root: Path, *numbers: int) -> None:
    """Remove photos with their annotations."""

    def change(document: dict[str, Any]) -> None:
        document["images"] = [each for each in document["images"] if each["id"] not in numbers]
        document["annotations"] = [each for each in document["annotations"] if each["image_id"] not in numbers]

    for number in numbers:
        (root / file(number)).unlink()
    edit(root, change)
