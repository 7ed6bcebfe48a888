"""Annotation files that are cut short, no text, links, folders, or gone: who pays for it, and who must not."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable
from segpipe.ledger.rows import warnings
from tests.faults import sources
from tests.faults.way import World, go

KEPT = ("kept", "")
DAMAGED = {
    "empty": b"",
    "zeros": bytes(64),
    "every byte": bytes(range(256)),
    "nested without end": b"[" * 100_000,
    "elements without end": b"<a>" * 100_000,
}
PER_PICTURE = {  # the annotation file of a, the key of a
    "labelme": ("a.json", "a"),
    "labelme_xml": ("a.xml", "a"),
    "voc": ("Annotations/a.xml", "JPEGImages__a"),
    "supervisely": ("ds/ann/a.png.json", "ds__img__a"),
    "cityscapes": ("gtFine/train/x/x_a_gtFine_polygons.json", "leftImg8bit__train__x__x_a_leftImg8bit"),
}
MASKS = {
    "index_masks": ("masks/a.png", "images__a"),
    "colour_masks": ("masks/a.png", "images__a"),
    "voc_masks": ("SegmentationClass/a.png", "JPEGImages__a"),
    "cityscapes_ids": ("gtFine/train/x/x_a_gtFine_labelIds.png", "leftImg8bit__train__x__x_a_leftImg8bit"),
}
OF_ALL = {
    "coco": "instances.json",
    "coco_panoptic": "panoptic_val.json",
    "cvat": "annotations.xml",
    "via": "via.json",
}
FILES = {
    **OF_ALL,
    **{format: file for format, (file, _) in {**PER_PICTURE, **MASKS}.items()},
    "coco_results": "results.json",
    "yolo": "labels/a.txt",
    "object_masks": "masks/a_0.png",
}


def damaged(kind: str, path: Path) -> bytes:
    return path.read_bytes()[: path.stat().st_size // 2] if kind == "half" else DAMAGED[kind]


def put(world: World, format: str) -> Path:
    sources.FORMATS[format](world.source)
    return world.source / FILES[format]


@pytest.mark.parametrize("format", sources.FORMATS)
def test_the_sound_source_is_kept_whole(world, format):
    sources.FORMATS[format](world.source)
    account = go(world)
    assert set(account.images.values()) == {KEPT}
    assert {verdict for verdict, _ in account.annotations.values()} <= {"kept", "ignored", "hidden"}
    assert len(account.label_maps) == 2


@pytest.mark.parametrize("kind", ["half", *DAMAGED])
@pytest.mark.parametrize("format", PER_PICTURE)
def test_a_broken_file_costs_its_own_picture_only(world, format, kind):
    path, (_, key) = put(world, format), PER_PICTURE[format]
    path.write_bytes(damaged(kind, path))
    images = go(world).images
    assert images.pop(key) == ("dropped", "bad_record")
    assert list(images.values()) == [KEPT]


@pytest.mark.parametrize("kind", ["half", "empty", "every byte"])
@pytest.mark.parametrize("format", MASKS)
def test_a_broken_mask_is_a_bad_record_and_its_picture_no_background(world, format, kind):
    path, (file, key) = put(world, format), MASKS[format]
    path.write_bytes(damaged(kind, path))
    account = go(world)
    assert account.images[key] == ("skipped", "no_matching_annotation")
    assert account.annotations[file] == ("dropped", "bad_record")
    assert len(account.label_maps) == 1


@pytest.mark.parametrize("kind", ["half", *DAMAGED])
@pytest.mark.parametrize("format", OF_ALL)
def test_a_broken_file_of_all_pictures_is_named(world, format, kind):
    path = put(world, format)
    path.write_bytes(damaged(kind, path))
    with pytest.raises(UserError) as error:
        go(world)
    assert f"{OF_ALL[format]}: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["half", "empty", "zeros"])
def test_a_broken_panoptic_png_costs_its_own_segments(world, kind):
    put(world, "coco_panoptic")
    path = world.source / "panoptic_val/a.png"
    path.write_bytes(path.read_bytes()[:40] if kind == "half" else DAMAGED[kind])
    account = go(world)
    assert account.annotations["panoptic_val.json#1.300"] == ("dropped", "bad_record")
    assert account.annotations["panoptic_val.json#2.70000"] == KEPT


def test_a_photograph_is_never_taken_for_the_panoptic_png_that_is_missing(world):
    put(world, "coco_panoptic")
    (world.source / "panoptic_val/a.png").unlink()
    account = go(world)
    assert account.images == {"val__a": ("skipped", "no_matching_annotation"), "val__b": KEPT}
    assert account.annotations["panoptic_val.json#1.300"] == ("dropped", "bad_record")
    assert "no file 'a.png' in the folder of its PNGs" in account.detail("panoptic_val.json#1.300")


@pytest.mark.parametrize("kind", ["link outside", "link to itself", "folder", "pipe", "gone"])
@pytest.mark.parametrize("format", FILES)
def test_what_stands_where_the_file_was_is_not_followed(world, format, kind, caplog):
    path = put(world, format)
    path.unlink()
    if kind == "link outside":
        path.symlink_to(world.outside / ("a.png" if path.suffix == ".png" else "secret.txt"))
    elif kind == "link to itself":
        path.symlink_to(path.name)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    try:
        account = go(world)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        if kind == "link outside" and format in OF_ALL:
            assert f"{FILES[format]} is a link that leaves the source" in str(error)  # noqa: PT017
    else:
        assert KEPT in account.images.values()  # b goes its way
        assert set(account.images.values()) != {KEPT}  # and a does not without its annotation
        if kind == "link outside" and path.suffix != ".png":
            assert f"{FILES[format]}: not read: is a link that leaves the source" in caplog.text


def test_a_panoptic_png_that_is_a_link_outside_is_not_read(world):
    put(world, "coco_panoptic")
    path = world.source / "panoptic_val/a.png"
    path.unlink()
    path.symlink_to(world.outside / "a.png")
    account = go(world)
    assert account.annotations["panoptic_val.json#1.300"] == ("dropped", "bad_record")
    assert "is a link that leaves the source" in account.detail("panoptic_val.json#1.300")


# ---- XML


EXPANDING = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
DOCTYPES = {
    "bomb": f'<!DOCTYPE x [<!ENTITY a0 "x">{EXPANDING}]>',
    "file": '<!DOCTYPE x [<!ENTITY a9 SYSTEM "file://{outside}/secret.txt">]>',
    "web": '<!DOCTYPE x [<!ENTITY a9 SYSTEM "http://127.0.0.1:9/x">]>',
    "parameter": '<!DOCTYPE x [<!ENTITY % p SYSTEM "file://{outside}/secret.txt"> %p; <!ENTITY a9 "x">]>',
}


def put_entities(world: World, format: str, kind: str) -> None:
    path = put(world, format)
    text = path.read_text().replace(">cat<", ">&a9;<").replace('label="cat"', 'label="&a9;"')
    assert "&a9;" in text
    path.write_text(DOCTYPES[kind].replace("{outside}", str(world.outside)) + text)


@pytest.mark.parametrize("kind", DOCTYPES)
@pytest.mark.parametrize("format", ["labelme_xml", "voc"])
def test_entities_are_refused_and_cost_their_own_picture_only(world, format, kind):
    put_entities(world, format, kind)
    account = go(world)
    key = PER_PICTURE[format][1]
    assert account.images[key] == ("dropped", "bad_record")
    assert "defines entities or external references (EntitiesForbidden)" in account.detail(key)
    assert KEPT in account.images.values()


@pytest.mark.parametrize("kind", DOCTYPES)
def test_entities_in_a_file_of_all_pictures_end_the_run(world, kind):
    put_entities(world, "cvat", kind)
    with pytest.raises(UserError, match=r"annotations\.xml: defines entities or external references"):
        go(world)


@pytest.mark.parametrize("kind", ["half", *DAMAGED])
def test_broken_results_are_named_although_the_list_of_pictures_is_sound(world, kind):
    path = put(world, "coco_results")
    path.write_bytes(damaged(kind, path))
    with pytest.raises(UserError, match=r"its coco files contain no annotation; results\.json: "):
        go(world)


def test_files_without_any_annotation_end_the_run(world):
    sources.put_coco(world.source)
    sources.put(world.source, "instances.json", {"images": [], "annotations": [], "categories": []})
    with pytest.raises(UserError, match="no annotation has a class; there is nothing to train on"):
        go(world)


def test_more_classes_than_a_mask_holds_end_the_run(world):
    sources.put_coco(world.source)
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, 256)]
    annotations = [sources.drawn(number, 1, number) for number in range(1, 256)]
    sources.put(world.source, "instances.json", sources.coco_document(*annotations, categories=categories))
    with pytest.raises(UserError, match=r"^256 classes with background do not fit .* under ingest\.classes"):
        go(world)
    go(world, ingest__classes=[f"class {number}" for number in range(1, 255)])
    assert ClassTable.read(world.work / "data/masks/classes.json").names[-1] == "class 254"


def test_yaml_makes_no_objects(world):
    put(world, "yolo")
    pwned = world.outside / "pwned"
    sources.put(world.source, "data.yaml", f'names: [cat, dog, !!python/object/apply:os.system ["touch {pwned}"]]\n')
    with pytest.raises(UserError, match=r"data\.yaml: names is neither"):
        go(world)
    assert not pwned.exists()


# ---- lists of names and colours


@pytest.mark.parametrize(
    ("format", "file", "says"),
    [
        ("index_masks", "classes.txt", "classes.txt: cannot be read as UTF-8 text"),
        ("colour_masks", "class_dict.csv", "class_dict.csv: cannot be read as UTF-8 text"),
        ("voc_masks", "labelmap.txt", "labelmap.txt: cannot be read as UTF-8 text"),
        ("voc_masks", "ImageSets/Segmentation/train.txt", "train.txt: cannot be read as UTF-8 text"),
        ("yolo", "data.yaml", "data.yaml: cannot be read as UTF-8 text"),
    ],
)
def test_a_list_that_is_no_text_is_named_once(world, format, file, says):
    sources.FORMATS[format](world.source)
    path = world.source / file
    path.write_bytes(path.read_bytes() + b"names \xe9\n")
    with pytest.raises(UserError) as error:
        go(world)
    assert str(error.value).startswith(f"{world.source}: {file}: cannot")
    assert says in str(error.value)


@pytest.mark.parametrize("format", ["index_masks", "voc_masks", "colour_masks"])
def test_a_picture_of_nothing_but_unnamed_pixels_is_no_background(world, format):
    sources.FORMATS[format](world.source)
    file, key = MASKS[format]
    path = world.source / file
    if format == "index_masks":
        sources.put_values(path, 7)
        value = 7
    else:
        sources.put_colours(path, (1, 2, 3))
        value = 1 + 2 * 256 + 3 * 65536
    account = go(world)
    assert account.annotations[f"{file}#{value}"] == ("dropped", "unknown_category")
    assert account.images[key] == ("skipped", "no_matching_annotation")


def test_an_unnamed_value_beside_a_named_one_is_painted_as_ignore(world):
    put(world, "index_masks")
    path = world.source / "masks/a.png"
    with Image.open(path) as picture:
        mask = picture.copy()
    mask.paste(7, (8, 0, 12, 2))  # 8 pixels
    mask.save(path)
    account = go(world)
    assert account.annotations["masks/a.png#1"] == KEPT
    assert account.annotations["masks/a.png#7"] == ("ignored", "unknown_category")
    assert "classes.txt does not name the value 7" in account.detail("masks/a.png#7")
    assert len(warnings(account.rows)) == 1  # of what is ignored, a defect is said
    drawn = account.label_maps["images__a"]
    assert (drawn == 255).sum() == 8
    assert (drawn[:2, 8:] == 255).all()
    assert (drawn == 1).sum() == 12


def test_a_panoptic_segment_of_an_unknown_class_is_painted_as_ignore(world):
    put(world, "coco_panoptic")
    path = world.source / "panoptic_val.json"
    document = json.loads(path.read_text())
    (segment,) = document["annotations"][0]["segments_info"]
    document["annotations"][0]["segments_info"].append({**segment, "id": 5, "category_id": 77})
    path.write_text(json.dumps(document))
    with Image.open(world.source / "panoptic_val/a.png") as picture:
        mask = picture.copy()
    mask.paste((5, 0, 0), (8, 0, 12, 2))
    mask.save(world.source / "panoptic_val/a.png")
    account = go(world)
    assert account.annotations["panoptic_val.json#1.5"] == ("ignored", "unknown_category")
    assert account.annotations["panoptic_val.json#1.300"] == KEPT
    assert (account.label_maps["val__a"] == 255).sum() == 96 - 12


def test_an_id_that_is_none_of_cityscapes_is_painted_as_ignore(world):
    path = put(world, "cityscapes_ids")
    sources.put_values(path, 77, background=7)
    account = go(world)
    assert account.annotations[f"{FILES['cityscapes_ids']}#77"] == ("ignored", "unknown_category")
    assert (account.label_maps[MASKS["cityscapes_ids"][1]] == 255).sum() == 12
