"""Annotation files that are cut short, binary, links, folders or missing: only their images may be lost."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable
from segpipe.ledger.rows import one_shard
from segpipe.ledger.totals import Totals
from tests.faults import sources
from tests.faults.sandbox import Sandbox, run_stages

KEPT = ("kept", "")
DAMAGED = {
    "empty": b"",
    "zeros": bytes(64),
    "every byte": bytes(range(256)),
    "nested without end": b"[" * 100_000,
    "elements without end": b"<a>" * 100_000,
}
FILE_PER_IMAGE = {  # the annotation file of image a, the key of a
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
FILE_FOR_ALL = {
    "coco": "instances.json",
    "coco_panoptic": "panoptic_val.json",
    "cvat": "annotations.xml",
    "via": "via.json",
}
FILES = {
    **FILE_FOR_ALL,
    **{format: file for format, (file, _) in {**FILE_PER_IMAGE, **MASKS}.items()},
    "coco_results": "results.json",
    "yolo": "labels/a.txt",
    "object_masks": "masks/a_0.png",
}


def damaged(kind: str, path: Path) -> bytes:
    return path.read_bytes()[: path.stat().st_size // 2] if kind == "half" else DAMAGED[kind]


def put(sandbox: Sandbox, format: str) -> Path:
    sources.FORMATS[format](sandbox.source)
    return sandbox.source / FILES[format]


@pytest.mark.parametrize("format", sources.FORMATS)
def test_everything_in_an_undamaged_source_is_kept(sandbox, format):
    sources.FORMATS[format](sandbox.source)
    outcome = run_stages(sandbox)
    assert set(outcome.images.values()) == {KEPT}
    assert {verdict for verdict, _ in outcome.annotations.values()} <= {"kept", "ignored", "hidden"}
    assert len(outcome.label_maps) == 2


@pytest.mark.parametrize("kind", ["half", *DAMAGED])
@pytest.mark.parametrize("format", FILE_PER_IMAGE)
def test_a_broken_file_drops_only_its_image(sandbox, format, kind):
    path, (_, key) = put(sandbox, format), FILE_PER_IMAGE[format]
    path.write_bytes(damaged(kind, path))
    images = run_stages(sandbox).images
    assert images.pop(key) == ("dropped", "bad_record")
    assert list(images.values()) == [KEPT]


@pytest.mark.parametrize("kind", ["half", "empty", "every byte"])
@pytest.mark.parametrize("format", MASKS)
def test_a_broken_mask_is_a_bad_record_and_its_image_is_not_background(sandbox, format, kind):
    path, (file, key) = put(sandbox, format), MASKS[format]
    path.write_bytes(damaged(kind, path))
    outcome = run_stages(sandbox)
    assert outcome.images[key] == ("skipped", "no_matching_annotation")
    assert outcome.annotations[file] == ("dropped", "bad_record")
    assert len(outcome.label_maps) == 1


@pytest.mark.parametrize("kind", ["half", *DAMAGED])
@pytest.mark.parametrize("format", FILE_FOR_ALL)
def test_a_broken_file_for_all_images_is_named(sandbox, format, kind):
    path = put(sandbox, format)
    path.write_bytes(damaged(kind, path))
    with pytest.raises(UserError) as error:
        run_stages(sandbox)
    assert f"{FILE_FOR_ALL[format]}: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["half", "empty", "zeros"])
def test_a_broken_panoptic_png_drops_only_its_segments(sandbox, kind):
    put(sandbox, "coco_panoptic")
    path = sandbox.source / "panoptic_val/a.png"
    path.write_bytes(path.read_bytes()[:40] if kind == "half" else DAMAGED[kind])
    outcome = run_stages(sandbox)
    assert outcome.annotations["panoptic_val.json#1.300"] == ("dropped", "bad_record")
    assert outcome.annotations["panoptic_val.json#2.70000"] == KEPT


def test_a_photo_is_never_used_as_a_missing_panoptic_png(sandbox):
    put(sandbox, "coco_panoptic")
    (sandbox.source / "panoptic_val/a.png").unlink()
    outcome = run_stages(sandbox)
    assert outcome.images == {"val__a": ("skipped", "no_matching_annotation"), "val__b": KEPT}
    assert outcome.annotations["panoptic_val.json#1.300"] == ("dropped", "bad_record")
    assert "no file 'a.png' in the folder of its PNGs" in outcome.detail("panoptic_val.json#1.300")


@pytest.mark.parametrize("kind", ["link outside", "link to itself", "folder", "pipe", "gone"])
@pytest.mark.parametrize("format", FILES)
def test_a_link_folder_or_pipe_in_place_of_the_file_is_not_read(sandbox, format, kind, caplog):
    path = put(sandbox, format)
    path.unlink()
    if kind == "link outside":
        path.symlink_to(sandbox.outside / ("a.png" if path.suffix == ".png" else "secret.txt"))
    elif kind == "link to itself":
        path.symlink_to(path.name)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    try:
        outcome = run_stages(sandbox)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        if kind == "link outside" and format in FILE_FOR_ALL:
            assert f"{FILES[format]} is a link that leaves the source" in str(error)  # noqa: PT017
    else:
        assert KEPT in outcome.images.values()  # b is not affected
        assert set(outcome.images.values()) != {KEPT}  # a is not used without its annotation
        if kind == "link outside" and path.suffix != ".png":
            assert f"{FILES[format]}: not read: is a link that leaves the source" in caplog.text


def test_a_panoptic_png_that_links_outside_is_not_read(sandbox):
    put(sandbox, "coco_panoptic")
    path = sandbox.source / "panoptic_val/a.png"
    path.unlink()
    path.symlink_to(sandbox.outside / "a.png")
    outcome = run_stages(sandbox)
    assert outcome.annotations["panoptic_val.json#1.300"] == ("dropped", "bad_record")
    assert "is a link that leaves the source" in outcome.detail("panoptic_val.json#1.300")


# ---- XML


EXPANDING = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
DOCTYPES = {
    "bomb": f'<!DOCTYPE x [<!ENTITY a0 "x">{EXPANDING}]>',
    "file": '<!DOCTYPE x [<!ENTITY a9 SYSTEM "file://{outside}/secret.txt">]>',
    "web": '<!DOCTYPE x [<!ENTITY a9 SYSTEM "http://127.0.0.1:9/x">]>',
    "parameter": '<!DOCTYPE x [<!ENTITY % p SYSTEM "file://{outside}/secret.txt"> %p; <!ENTITY a9 "x">]>',
}


def put_entities(sandbox: Sandbox, format: str, kind: str) -> None:
    path = put(sandbox, format)
    text = path.read_text().replace(">cat<", ">&a9;<").replace('label="cat"', 'label="&a9;"')
    assert "&a9;" in text
    path.write_text(DOCTYPES[kind].replace("{outside}", str(sandbox.outside)) + text)


@pytest.mark.parametrize("kind", DOCTYPES)
@pytest.mark.parametrize("format", ["labelme_xml", "voc"])
def test_a_file_with_entities_drops_only_its_image(sandbox, format, kind):
    put_entities(sandbox, format, kind)
    outcome = run_stages(sandbox)
    key = FILE_PER_IMAGE[format][1]
    assert outcome.images[key] == ("dropped", "bad_record")
    assert "defines entities or external references (EntitiesForbidden)" in outcome.detail(key)
    assert KEPT in outcome.images.values()


@pytest.mark.parametrize("kind", DOCTYPES)
def test_entities_in_a_file_for_all_images_end_the_run(sandbox, kind):
    put_entities(sandbox, "cvat", kind)
    with pytest.raises(UserError, match=r"annotations\.xml: defines entities or external references"):
        run_stages(sandbox)


@pytest.mark.parametrize("kind", ["half", *DAMAGED])
def test_broken_results_are_named_although_the_list_of_images_is_valid(sandbox, kind):
    path = put(sandbox, "coco_results")
    path.write_bytes(damaged(kind, path))
    with pytest.raises(UserError, match=r"its coco files contain no annotation; results\.json: "):
        run_stages(sandbox)


def test_files_without_any_annotation_end_the_run(sandbox):
    sources.put_coco(sandbox.source)
    sources.put(sandbox.source, "instances.json", {"images": [], "annotations": [], "categories": []})
    with pytest.raises(UserError, match="no annotation has a class; there is nothing to train on"):
        run_stages(sandbox)


def test_more_classes_than_a_mask_can_store_end_the_run(sandbox):
    sources.put_coco(sandbox.source)
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, 256)]
    annotations = [sources.drawn(number, 1, number) for number in range(1, 256)]
    sources.put(sandbox.source, "instances.json", sources.coco_document(*annotations, categories=categories))
    with pytest.raises(UserError, match=r"^256 classes with background do not fit .* under ingest\.classes"):
        run_stages(sandbox)
    run_stages(sandbox, ingest__classes=[f"class {number}" for number in range(1, 255)])
    assert ClassTable.read(sandbox.work / "data/masks/classes.json").names[-1] == "class 254"


def test_yaml_cannot_create_objects(sandbox):
    put(sandbox, "yolo")
    pwned = sandbox.outside / "pwned"
    sources.put(sandbox.source, "data.yaml", f'names: [cat, dog, !!python/object/apply:os.system ["touch {pwned}"]]\n')
    with pytest.raises(UserError, match=r"data\.yaml: names is neither"):
        run_stages(sandbox)
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
def test_a_list_that_is_not_utf8_is_named_once(sandbox, format, file, says):
    sources.FORMATS[format](sandbox.source)
    path = sandbox.source / file
    path.write_bytes(path.read_bytes() + b"names \xe9\n")
    with pytest.raises(UserError) as error:
        run_stages(sandbox)
    assert str(error.value).startswith(f"{sandbox.source}: {file}: cannot")
    assert says in str(error.value)


@pytest.mark.parametrize("format", ["index_masks", "voc_masks", "colour_masks"])
def test_an_image_with_only_unnamed_pixels_is_not_background(sandbox, format):
    sources.FORMATS[format](sandbox.source)
    file, key = MASKS[format]
    path = sandbox.source / file
    if format == "index_masks":
        sources.put_values(path, 7)
        value = 7
    else:
        sources.put_colours(path, (1, 2, 3))
        value = 1 + 2 * 256 + 3 * 65536
    outcome = run_stages(sandbox)
    assert outcome.annotations[f"{file}#{value}"] == ("dropped", "unknown_category")
    assert outcome.images[key] == ("skipped", "no_matching_annotation")


def test_an_unnamed_value_beside_named_values_is_painted_as_ignore(sandbox):
    put(sandbox, "index_masks")
    path = sandbox.source / "masks/a.png"
    with Image.open(path) as image:
        mask = image.copy()
    mask.paste(7, (8, 0, 12, 2))  # 8 pixels
    mask.save(path)
    outcome = run_stages(sandbox)
    assert outcome.annotations["masks/a.png#1"] == KEPT
    assert outcome.annotations["masks/a.png#7"] == ("ignored", "unknown_category")
    assert "classes.txt does not name the value 7" in outcome.detail("masks/a.png#7")
    assert len(Totals.of([one_shard(outcome.rows)]).warnings()) == 1  # one warning, although nothing is dropped
    drawn = outcome.label_maps["images__a"]
    assert (drawn == 255).sum() == 8
    assert (drawn[:2, 8:] == 255).all()
    assert (drawn == 1).sum() == 12


def test_a_panoptic_segment_of_an_unknown_class_is_painted_as_ignore(sandbox):
    put(sandbox, "coco_panoptic")
    path = sandbox.source / "panoptic_val.json"
    document = json.loads(path.read_text())
    (segment,) = document["annotations"][0]["segments_info"]
    document["annotations"][0]["segments_info"].append({**segment, "id": 5, "category_id": 77})
    path.write_text(json.dumps(document))
    with Image.open(sandbox.source / "panoptic_val/a.png") as image:
        mask = image.copy()
    mask.paste((5, 0, 0), (8, 0, 12, 2))
    mask.save(sandbox.source / "panoptic_val/a.png")
    outcome = run_stages(sandbox)
    assert outcome.annotations["panoptic_val.json#1.5"] == ("ignored", "unknown_category")
    assert outcome.annotations["panoptic_val.json#1.300"] == KEPT
    assert (outcome.label_maps["val__a"] == 255).sum() == 96 - 12


def test_an_id_unknown_to_cityscapes_is_painted_as_ignore(sandbox):
    path = put(sandbox, "cityscapes_ids")
    sources.put_values(path, 77, background=7)
    outcome = run_stages(sandbox)
    assert outcome.annotations[f"{FILES['cityscapes_ids']}#77"] == ("ignored", "unknown_category")
    assert (outcome.label_maps[MASKS["cityscapes_ids"][1]] == 255).sum() == 12
