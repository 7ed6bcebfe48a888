"""Coordinates in fractions of the picture, in formats of pixels: refused, and never one pixel in the corner."""

import re
from pathlib import Path

import pytest

from segpipe.core.errors import UserError
from tests.faults import sources
from tests.faults.test_annotation_files import PER_PICTURE
from tests.faults.way import go, validated

OF_ALL = {
    "coco": "instances.json",
    "coco_results": "results.json",
    "cvat": "annotations.xml",
    "via": "via.json",
}
FRACTIONS = [value / sources.SIZE_WH[i % 2] for i, value in enumerate(sources.RING)]
WORDS = "all its coordinates are between 0 and 1, so they are fractions of the image, but the format uses pixels"


def put_fractions(root: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RING", FRACTIONS)
    sources.FORMATS[format](root)
    for path in root.glob("Annotations/*.xml"):  # VOC's boxes are written out
        text = re.sub(r"<(x\w+)>(\d)<", lambda n: f"<{n[1]}>{int(n[2]) / 12}<", path.read_text())
        path.write_text(re.sub(r"<(y\w+)>(\d)<", lambda n: f"<{n[1]}>{int(n[2]) / 8}<", text))


@pytest.mark.parametrize("format", OF_ALL)
def test_a_file_of_all_pictures_in_fractions_ends_the_run(world, format, monkeypatch):
    put_fractions(world.source, format, monkeypatch)
    with pytest.raises(UserError) as error:
        validated(world)
    assert f"{OF_ALL[format]}: {WORDS}" in str(error.value)


def test_boxes_in_fractions_end_the_run(world):
    sources.put_coco(world.source)
    boxes = [sources.drawn(i, i, segmentation=[], bbox=[0.1, 0.1, 0.4, 0.4]) for i in (1, 2)]
    document = sources.coco_document() | {"annotations": boxes}
    sources.put(world.source, "instances.json", document)
    with pytest.raises(UserError, match=f"instances.json: {WORDS}"):
        validated(world)


@pytest.mark.parametrize("format", PER_PICTURE)
def test_a_file_of_one_picture_in_fractions_costs_that_picture(world, format, monkeypatch):
    sources.FORMATS[format](world.source)
    file, key = PER_PICTURE[format]
    whole = [instance for instance in validated(world).instances if instance.image_key != key]
    sound = {
        path: path.read_bytes() for path in world.source.rglob("*") if path.is_file() and path.name != Path(file).name
    }
    put_fractions(world.source, format, monkeypatch)
    for path, content in sound.items():
        path.write_bytes(content)
    found = validated(world)
    row = {row.id: row for row in found.rows}
    assert (row[key].verdict, row[key].reason) == ("dropped", "fractions")
    assert row[key].detail.startswith(WORDS)
    assert (row[f"{file}#0"].verdict, row[f"{file}#0"].reason) == ("dropped", "image_lost")
    assert list(found.instances) == whole  # of VOC: boxes still count from 1


@pytest.mark.parametrize("format", PER_PICTURE)
def test_when_all_files_are_in_fractions_the_run_ends_with_that_word(world, format, monkeypatch):
    put_fractions(world.source, format, monkeypatch)
    with pytest.raises(UserError, match=r"no image can be used \(2 fractions; first: .* they are fractions"):
        validated(world)


def test_one_pixel_in_a_file_of_pixels_stays(world):
    sources.put_coco(world.source)
    small = sources.drawn(1, 1, segmentation=[[0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9]])
    sources.put(world.source, "instances.json", sources.coco_document(small))
    account = go(world)
    assert account.annotations["instances.json#1"] == ("kept", "")
    assert (account.label_maps["a"] == 1).sum() == 1
