"""Coordinates in fractions of the image, in formats that use pixels: refused, not drawn as one pixel in a corner."""

import re
from pathlib import Path

import pytest

from segpipe.core.errors import UserError
from tests.faults import sources
from tests.faults.sandbox import run_stages, validate
from tests.faults.test_annotation_files import FILE_PER_IMAGE

FILE_FOR_ALL = {
    "coco": "instances.json",
    "coco_results": "results.json",
    "cvat": "annotations.xml",
    "via": "via.json",
}
FRACTIONS = [value / sources.SIZE_WH[i % 2] for i, value in enumerate(sources.RING)]
PROBLEM = "all its coordinates are between 0 and 1, so they are fractions of the image, but the format uses pixels"


def put_fractions(root: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RING", FRACTIONS)
    sources.FORMATS[format](root)
    for path in root.glob("Annotations/*.xml"):  # VOC's boxes do not come from RING
        text = re.sub(r"<(x\w+)>(\d)<", lambda n: f"<{n[1]}>{int(n[2]) / 12}<", path.read_text())
        path.write_text(re.sub(r"<(y\w+)>(\d)<", lambda n: f"<{n[1]}>{int(n[2]) / 8}<", text))


@pytest.mark.parametrize("format", FILE_FOR_ALL)
def test_a_file_for_all_images_in_fractions_ends_the_run(sandbox, format, monkeypatch):
    put_fractions(sandbox.source, format, monkeypatch)
    with pytest.raises(UserError) as error:
        validate(sandbox)
    assert f"{FILE_FOR_ALL[format]}: {PROBLEM}" in str(error.value)


def test_boxes_in_fractions_end_the_run(sandbox):
    sources.put_coco(sandbox.source)
    boxes = [sources.drawn(i, i, segmentation=[], bbox=[0.1, 0.1, 0.4, 0.4]) for i in (1, 2)]
    document = sources.coco_document() | {"annotations": boxes}
    sources.put(sandbox.source, "instances.json", document)
    with pytest.raises(UserError, match=f"instances.json: {PROBLEM}"):
        validate(sandbox)


@pytest.mark.parametrize("format", FILE_PER_IMAGE)
def test_a_file_in_fractions_drops_only_its_image(sandbox, format, monkeypatch):
    sources.FORMATS[format](sandbox.source)
    file, key = FILE_PER_IMAGE[format]
    untouched = [instance for instance in validate(sandbox).instances if instance.image_key != key]
    others = {
        path: path.read_bytes() for path in sandbox.source.rglob("*") if path.is_file() and path.name != Path(file).name
    }
    put_fractions(sandbox.source, format, monkeypatch)
    for path, content in others.items():
        path.write_bytes(content)
    validated = validate(sandbox)
    row = {row.id: row for row in validated.rows}
    assert (row[key].verdict, row[key].reason) == ("dropped", "fractions")
    assert row[key].detail.startswith(PROBLEM)
    assert (row[f"{file}#0"].verdict, row[f"{file}#0"].reason) == ("dropped", "image_lost")
    assert list(validated.instances) == untouched  # VOC: boxes still count from 1


@pytest.mark.parametrize("format", FILE_PER_IMAGE)
def test_the_run_ends_if_all_files_are_in_fractions(sandbox, format, monkeypatch):
    put_fractions(sandbox.source, format, monkeypatch)
    with pytest.raises(UserError, match=r"no image can be used \(2 fractions; first: .* they are fractions"):
        run_stages(sandbox)


def test_an_object_of_one_pixel_is_kept_in_a_file_of_pixels(sandbox):
    sources.put_coco(sandbox.source)
    small = sources.drawn(1, 1, segmentation=[[0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9]])
    sources.put(sandbox.source, "instances.json", sources.coco_document(small))
    outcome = run_stages(sandbox)
    assert outcome.annotations["instances.json#1"] == ("kept", "")
    assert (outcome.label_maps["a"] == 1).sum() == 1
