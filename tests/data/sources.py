"""A small data set of synthetic photos and annotations with known totals."""

from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segpipe.data.classes import ClassTable
from segpipe.data.records import Dataset, Image, Instance
from segpipe.ledger.policies import Policies
from segpipe.report.data_report import DataReport
from segpipe.validate.judge import Rules
from tests.checking import check_all

SQUARE = (1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0)  # 16 pixels
SELECTED = ("cat", "dog")


def photo(folder: Path, name: str, grey: int, orientation: int | None = None) -> None:
    """Save a photo of 20 x 10 pixels (width x height as stored)."""
    exif = Picture.Exif()
    if orientation:
        exif[0x0112] = orientation
    Picture.fromarray(np.full((10, 20, 3), grey, np.uint8)).save(folder / name, exif=exif)


def instance(number: int, image: str, **fields) -> Instance:
    defaults = {"id": f"a.json#{number}", "image_key": image, "category": "cat", "rings": (SQUARE,)}
    return Instance(**defaults | {"place": f"a.json: annotations[{number}]"} | fields)


def dataset(folder: Path) -> Dataset:
    """Six photos: two equal ones, a turned one, one of an unselected class, a broken one and a missing one."""
    photo(folder, "a.jpg", 90)
    photo(folder, "a copy.jpg", 90)
    photo(folder, "turned.jpg", 50, orientation=6)
    photo(folder, "owl.jpg", 200)
    (folder / "broken.jpg").write_bytes(b"not an image")
    images = [
        Image(key=Path(name).stem, file=name) for name in ("a.jpg", "a copy.jpg", "turned.jpg", "owl.jpg", "broken.jpg")
    ]
    images.append(
        Image(key="lost", file="", problem="missing_file", detail="no file 'lost.jpg'", place="a.json: images[5]")
    )
    return Dataset(
        format="coco",
        categories=("cat", "dog", "owl", "<b>bat</b>"),
        images=tuple(images),
        instances=(
            instance(0, "a"),
            instance(1, "a", category="dog"),
            instance(2, "a", rings=((0.0, 0.0, 8.0, 8.0, 8.0, 0.0, 0.0, 8.0),)),  # a bow-tie
            instance(3, "a", rings=((18.0, 2.0, 24.0, 2.0, 24.0, 6.0, 18.0, 6.0),)),  # past the border
            instance(4, "a", role="crowd"),
            instance(5, "a", problem="bad_record", detail="<script>alert(1)</script>", rings=()),
            instance(6, "a copy"),
            instance(7, "turned"),
            instance(8, "owl", category="owl"),
            instance(9, "broken"),
            instance(10, "", problem="unknown_image", detail="image_id 7 is not among the images", category=""),
        ),
    )


def report(folder: Path, source: Dataset | None = None) -> DataReport:
    """The checked data set as a data report."""
    source = source or dataset(folder)
    checked = check_all(source, folder, Rules({name: name for name in SELECTED}, Policies()))
    return DataReport(
        root=folder,
        dataset=source,
        photos=checked.photos,
        instances=checked.instances,
        rows=checked.rows,
        findings=checked.findings,
        classes=ClassTable(("background", *SELECTED)),
        indices={"cat": 1, "dog": 2},
        limits={"dropped_images": 0.5, "dropped_annotations": 0.1},
    )
