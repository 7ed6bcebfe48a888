"""Any content of a file of these formats gives a data set or a UserError, and no record disappears."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core.errors import UserError
from segpipe.data import tables
from segpipe.data.records import Dataset
from segpipe.ingest.formats import labelme, labelme_xml, supervisely, via
from segpipe.ingest.read import read_source
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images
from tests.ingest.formats import test_labelme, test_labelme_xml, test_supervisely, test_via
from tests.ingest.formats.test_coco_fuzz import anything, spots

LABELME = test_labelme.document(
    test_labelme.shape(group_id=1, flags={"difficult": True}),
    test_labelme.shape(group_id=1),
    test_labelme.shape(shape_type="circle", points=[[1, 1], [2, 2]]),
    test_labelme.shape(shape_type="mask", points=[[1, 1], [2, 1]], mask=test_labelme.png([[1, 1]])),
    test_labelme.shape(shape_type="points", points=[[1, 1], [2, 2]]),
    imageData=test_labelme.png([[0]]),
)
VIA = {
    "_via_attributes": {"region": {"label": {"type": "dropdown", "options": {"cat": "cat"}}}},
    "_via_img_metadata": {
        "a": test_via.record(test_via.region(), test_via.region({"name": "circle", "cx": 3, "cy": 3, "r": 2})),
        "b": test_via.record(
            test_via.region({"name": "ellipse", "cx": 3, "cy": 3, "rx": 2, "ry": 1, "theta": 1}), name="ds/img/c.jpg"
        ),
    },
}
SUPERVISELY = test_supervisely.document(
    test_supervisely.figure(interior=[[[3, 2], [4, 2], [4, 3]]]),
    test_supervisely.figure([[1, 1], [4, 4]], form="rectangle"),
    {"classTitle": "dog", "bitmap": {"data": test_supervisely.packed([[1]]), "origin": [1, 1]}},
)
JSON = {  # module, its annotation file, a good document
    "labelme": (labelme, "a.json", LABELME),
    "via": (via, "via.json", VIA),
    "supervisely": (supervisely, "ds/ann/c.jpg.json", SUPERVISELY),
}
XML = test_labelme_xml.text(
    test_labelme_xml.thing(),
    test_labelme_xml.thing("<segm><mask>a_mask_0.png</mask></segm>"),
    test_labelme_xml.thing(deleted=1),
)


@st.composite
def mutated(draw: st.DrawFn, good: Any) -> Any:
    """A good document in which a few values are replaced, removed or repeated."""
    changed = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 4))):
        if not spots(changed):
            break
        *path, key = draw(st.sampled_from(spots(changed)))
        holder = changed
        for step in path:
            holder = holder[step]
        action = draw(st.sampled_from(["replace", "remove", "repeat"]))
        if action == "replace":
            holder[key] = draw(anything)
        elif action == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif len(spots(changed)) > 1:
            del holder[key]
    return changed


def read(module: Any, file: str, data: bytes) -> Dataset | None:
    with tempfile.TemporaryDirectory() as folder:
        root = put_images(Path(folder), ["a.jpg", "ds/img/c.jpg", "Masks/a_mask_0.png"])
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(data)
        source = list_source(root)
        try:
            recognised = module.recognise(source)
            dataset = module.read(source, recognised) if recognised else None
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
            return None
        if dataset is not None:
            assert_sound(dataset, root)
        return dataset


def assert_sound(dataset: Dataset, root: Path) -> None:
    """Ids and keys are unique, each record is usable or has a problem, and the tables can store all of them."""
    assert len({instance.id for instance in dataset.instances}) == len(dataset.instances)
    assert len({image.key.casefold() for image in dataset.images}) == len(dataset.images)
    assert len({image.file or image.place for image in dataset.images}) == len(dataset.images)
    assert {"a.jpg", "ds/img/c.jpg"} <= {image.file for image in dataset.images}
    keys = {image.key for image in dataset.images}
    for instance in dataset.instances:
        assert instance.image_key in keys
        assert instance.problem or instance.role == "ignore" or instance.category in dataset.categories
        assert (instance.problem in ("", "unknown_category")) or not (instance.rings or instance.rle)
        assert instance.problem or instance.rings or instance.rle
    tables.write_dataset(root / "tables", dataset)
    assert tables.read_dataset(root / "tables") == dataset or not dataset.categories


def entries(name: str, document: Any) -> int:
    """The number of shapes, regions or objects of a document."""
    if name != "via":
        return len(document["shapes" if name == "labelme" else "objects"])
    records = document.get("_via_img_metadata", document).values()
    regions = [record.get("regions") for record in records if isinstance(record, dict)]
    return sum(len(of_file) for of_file in regions if isinstance(of_file, list | dict))


def read_entries(dataset: Dataset) -> int:
    """The number of entries that the instances were read from: LabelMe's groups have several."""
    grouped = [int(i.detail.split()[0]) - 1 for i in dataset.instances if "shapes of one group" in i.detail]
    return len(dataset.instances) + sum(grouped)


def has_broken_file(dataset: Dataset) -> bool:
    """Whether an annotation file could not be read: its entries are lost."""
    return any(image.problem == "bad_record" and "file[" not in image.place for image in dataset.images)


@pytest.mark.parametrize("name", JSON)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_each_entry_of_a_mutated_document_is_an_instance(name, data):
    module, file, good = JSON[name]
    text = json.dumps(data.draw(mutated(good)))
    dataset = read(module, file, text.encode())
    if dataset is not None and not has_broken_file(dataset):
        assert read_entries(dataset) == entries(name, json.loads(text))


@pytest.mark.parametrize("name", JSON)
@settings(max_examples=15, deadline=None)
@given(position=st.integers(0, 900), inserted=st.binary(max_size=3))
def test_a_truncated_or_overwritten_file_gives_a_data_set_or_a_user_error(name, position, inserted):
    module, file, good = JSON[name]
    data = json.dumps(good).encode()
    read(module, file, data[:position] + inserted)
    read(module, file, data[:position] + inserted + data[position + len(inserted) :])


@settings(max_examples=40, deadline=None)
@given(
    position=st.integers(0, len(XML)),
    cut=st.integers(0, 40),
    inserted=st.binary(max_size=3) | st.sampled_from([b"<pt>", b"</object>", b"&x;", b"nan", b"1e999", b"-1"]),
)
def test_each_object_of_a_damaged_xml_file_is_an_instance(position, cut, inserted):
    data = XML.encode()
    for damaged in (data[:position] + inserted + data[position + cut :], data[:position] + inserted):
        dataset = read(labelme_xml, "a.xml", damaged)
        if dataset is not None and not has_broken_file(dataset):
            assert len(dataset.instances) == len(list(ElementTree.fromstring(damaged).iter("object")))


@pytest.mark.parametrize(("name", "instances"), [("labelme", 4), ("via", 3), ("supervisely", 3)])
def test_each_entry_of_a_good_document_is_an_instance_without_a_problem(name, instances):
    module, file, good = JSON[name]
    dataset = read(module, file, json.dumps(good).encode())
    assert not [record for record in (*dataset.images, *dataset.instances) if record.problem]
    assert len(dataset.instances) == instances  # two shapes of LabelMe are one group
    assert read_entries(dataset) == entries(name, good)


@pytest.mark.parametrize(
    ("format", "file", "text"),
    [*((name, file, json.dumps(good)) for name, (_, file, good) in JSON.items()), ("labelme_xml", "a.xml", XML)],
)
def test_each_format_is_recognised_as_itself_only(tmp_path, format, file, text):
    put_images(tmp_path, ["a.jpg", "ds/img/c.jpg"])
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert read_source(tmp_path).format == format
