"""Names of photos and masks, in each format: they mean files of the source or nothing, and never lead outside."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from segpipe.core.errors import UserError
from tests.checking import Checked
from tests.faults import sources
from tests.faults.sandbox import Sandbox, Verdict, run_stages, validate

KEPT: Verdict = ("kept", "")
MISSING: Verdict = ("dropped", "missing_file")
NAMES = {  # a name, and whether it means a.png of the source
    "./a.png": True,
    "A.PNG": True,
    "a%2Epng": True,
    "C:\\photos\\a.png": True,
    "..\\outside\\a.png": True,  # folders outside are never opened: only the name counts
    "../outside/a.png": True,
    "{outside}/a.png": True,
    "%2e%2e%2foutside%2fa.png": True,
    "file:///a.png": True,
    "sub//../a.png": True,
    "{outside}/secret.txt": False,
    "../outside/secret.txt": False,
    "/etc/passwd": False,
    "instances.json": False,
    "a.png\0": False,
    "http://127.0.0.1:9/x.png": False,
    "..": False,
    ".": False,
    "/": False,
    "~/x.png": False,
    "x" * 5000 + ".png": False,
    "link/b.png": False,  # a link to a folder outside
    "a.png/": True,
}


def put_json_name(root: Path, file: str, spot: tuple[str | int, ...], name: str, renamed: str = "") -> None:
    """Write `name` at `spot` of a JSON file, and rename the file: its name must not lead to a.png."""
    document = json.loads((root / file).read_text())
    holder = document
    for step in spot[:-1]:
        holder = holder[step]
    holder[spot[-1]] = name
    (root / file).unlink()
    sources.put(root, renamed or file, document)


def put_xml_name(root: Path, file: str, old: str, new: str, renamed: str = "") -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).unlink()
    sources.put(root, renamed or file, text.replace(old, new, 1))


def element(name: str) -> str:
    return f"<filename>{name}</filename>"


NAMED: dict[str, Callable[[Path, str], None]] = {
    "coco": lambda root, name: put_json_name(root, "instances.json", ("images", 0, "file_name"), name),
    "coco_panoptic": lambda root, name: put_json_name(root, "panoptic_val.json", ("images", 0, "file_name"), name),
    "coco_results": lambda root, name: put_json_name(root, "image_info.json", ("images", 0, "file_name"), name),
    "labelme": lambda root, name: put_json_name(root, "a.json", ("imagePath",), name, "first.json"),
    "labelme_xml": lambda root, name: put_xml_name(root, "a.xml", element("a.png"), element(name), "first.xml"),
    "voc": lambda root, name: put_xml_name(
        root, "Annotations/a.xml", element("a.png"), element(name), "Annotations/first.xml"
    ),
    "cvat": lambda root, name: put_xml_name(root, "annotations.xml", 'name="a.png"', f"name={quoteattr(name)}"),
    "via": lambda root, name: put_json_name(root, "via.json", ("a.png99", "filename"), name),
}
NAMED_IN = {
    "coco": "instances.json: images[0] (id 1)",
    "coco_panoptic": "panoptic_val.json: images[0] (id 1)",
    "coco_results": "image_info.json: images[0] (id 1)",
    "labelme": "first.json",
    "labelme_xml": "first.xml",
    "voc": "Annotations/first.xml",
    "cvat": "annotations.xml: image[0] (id 0)",
    "via": "via.json: file[0]",
}
XML = ("labelme_xml", "voc", "cvat")


def with_link(sandbox: Sandbox) -> None:
    (sandbox.source / "link").symlink_to(sandbox.outside)
    sources.put_photo(sandbox.outside / "b.png", 5)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
@pytest.mark.parametrize("format", NAMED)
def test_a_name_means_a_file_of_the_source_or_nothing(sandbox, format, name):
    if format in XML and "\0" in name:
        pytest.skip("XML cannot contain it")
    sources.FORMATS[format](sandbox.source)
    with_link(sandbox)
    file = NAMES[name]
    NAMED[format](sandbox.source, name.replace("{outside}", str(sandbox.outside)))
    outcome = run_stages(sandbox)
    verdicts = list(outcome.images.values())
    if file:
        assert verdicts == [KEPT, KEPT]
        assert "dropped" not in [verdict for verdict, _ in outcome.annotations.values()]
    else:
        exists = format == "coco" and name == "instances.json"  # a file of the source, but not a photo
        refused = ("dropped", "unsupported_format") if exists else MISSING
        assert sorted(verdicts) == [
            refused,
            KEPT,
            ("skipped", "not_annotated"),
        ]  # its record, b, and a
        assert ("dropped", "image_lost") in outcome.annotations.values()


def renamed(sandbox: Sandbox, format: str, name: str, *photos: str) -> None:
    """A source in which the record of a has another name, with more photos."""
    sources.FORMATS[format](sandbox.source)
    for seed, photo in enumerate(photos):
        sources.put_photo(sandbox.source / photo, 7 + seed)
    NAMED[format](sandbox.source, name)


def notes(checked: Checked) -> dict[str, tuple[str, str]]:
    """Code and detail of the findings on photos that are not where their record says, by image key."""
    codes = ("found_elsewhere", "other_folder")
    return {it.image_key: (it.code, it.detail) for it in checked.findings if it.code in codes}


def verdicts(checked: Checked) -> list[Verdict]:
    return sorted((row.verdict, row.reason) for row in checked.rows if row.kind == "image")


def details(checked: Checked, verdict: str) -> list[str]:
    return [row.detail for row in checked.rows if row.kind == "image" and row.verdict == verdict]


@pytest.mark.parametrize("format", NAMED)
def test_a_photo_with_a_record_never_replaces_another_photo(sandbox, format):
    sources.FORMATS[format](sandbox.source)
    (b,) = [photo.key for photo in validate(sandbox).photos if photo.key.endswith("b")]
    untouched = [instance for instance in validate(sandbox).instances if instance.image_key == b]
    NAMED[format](sandbox.source, "video1/b.png")
    checked = validate(sandbox)
    assert list(checked.instances) == untouched
    assert verdicts(checked) == [MISSING, KEPT, ("skipped", "not_annotated")]
    assert "no file 'video1/b.png' in the source; " in details(checked, "dropped")[0]
    assert notes(checked) == {}


@pytest.mark.parametrize("format", NAMED)
def test_the_only_photo_of_a_name_in_another_folder_is_used_and_noted(sandbox, format, caplog):
    renamed(sandbox, format, "video1/c.png", "video2/c.png")
    checked = validate(sandbox)
    words = "written 'video1/c.png'; the only file of that name is video2/c.png"
    assert notes(checked) == {"video2__c": ("other_folder", words)}
    assert f"other_folder: {words}" in details(checked, "kept")
    assert f"1 photo is not in the folder that the record names (first: {NAMED_IN[format]}: {words})" in caplog.text


@pytest.mark.parametrize("format", NAMED)
def test_a_name_that_occurs_in_two_other_folders_is_missing(sandbox, format):
    renamed(sandbox, format, "video1/c.png", "video2/c.png", "video3/c.png")
    checked = validate(sandbox)
    assert verdicts(checked) == [MISSING, KEPT, *[("skipped", "not_annotated")] * 3]
    assert "(video2/c.png, video3/c.png) in other folders" in details(checked, "dropped")[0]


@pytest.mark.parametrize("name", ["C:\\photos\\video2\\c.png", "Video2/C.png", "/x/video2/c%2Epng"])
@pytest.mark.parametrize("format", NAMED)
def test_a_photo_found_elsewhere_is_noted(sandbox, format, name):
    renamed(sandbox, format, name, "video2/c.png", "video3/c.png")
    checked = validate(sandbox)
    assert [photo.key for photo in checked.photos if photo.key.startswith("video")] == ["video2__c"]
    assert notes(checked) == {"video2__c": ("found_elsewhere", f"written {name!r}, found as video2/c.png")}


@pytest.mark.parametrize("path", ["gone.png", "C:\\old\\a.png", "../photos/a.jpg"])
def test_the_photo_beside_a_labelme_file_replaces_a_wrong_path_and_is_noted(sandbox, path):
    sources.put_labelme(sandbox.source)
    put_json_name(sandbox.source, "a.json", ("imagePath",), path)
    checked = validate(sandbox)
    assert [photo.key for photo in checked.photos] == ["a", "b"]
    assert notes(checked) == {"a": ("found_elsewhere", f"written {path!r}, found as a.png")}


def test_the_suffix_in_a_labelme_file_decides_between_two_photos(sandbox):
    sources.put_labelme(sandbox.source)
    sources.put_photo(sandbox.source / "a.bmp", 5)
    put_json_name(sandbox.source, "a.json", ("imagePath",), "C:\\old\\a.png")
    checked = validate(sandbox)
    assert [photo.file for photo in checked.photos] == ["a.png", "b.png"]
    assert [it.detail for it in checked.findings] == ["written 'C:\\\\old\\\\a.png', found as a.png"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_a_list_of_photos_names_files_of_the_source_or_nothing(sandbox, name):
    if name in ("instances.json", "{outside}/secret.txt", "../outside/secret.txt", "/etc/passwd", "..", ".", "/"):
        pytest.skip("the first line of a list must name an image file")
    sources.put_yolo(sandbox.source)
    with_link(sandbox)
    sources.put(sandbox.source, "train.txt", f"images/b.png\n{name.replace('{outside}', str(sandbox.outside))}\n")
    outcome = run_stages(sandbox)
    assert outcome.images["images__a"] == outcome.images["images__b"] == KEPT
    assert set(outcome.images.values()) <= {KEPT, MISSING}
    assert len(outcome.images) <= 3


@pytest.mark.parametrize("folder", ["../outside", "{outside}", "/", "C:\\", "..", "link"])
def test_a_data_yaml_never_leads_outside_the_source(sandbox, folder):
    sources.put_yolo(sandbox.source)
    with_link(sandbox)
    path = json.dumps(folder.replace("{outside}", str(sandbox.outside)))
    sources.put(sandbox.source, "data.yaml", f"path: {path}\ntrain: {path}\nnames: [cat, dog]\n")
    outcome = run_stages(sandbox)
    assert outcome.images == {"images__a": KEPT, "images__b": KEPT}


@pytest.mark.parametrize("stem", ["../outside/a", "{outside}/a", "a.png", "..", "/", "\0", "../JPEGImages/b"])
def test_a_voc_list_never_leads_outside_the_source(sandbox, stem):
    sources.put_voc_masks(sandbox.source)
    sources.put(
        sandbox.source, "ImageSets/Segmentation/train.txt", f"a\nb\n{stem.replace('{outside}', str(sandbox.outside))}\n"
    )
    outcome = run_stages(sandbox)
    assert outcome.images["JPEGImages__a"] == outcome.images["JPEGImages__b"] == KEPT
    assert [verdict for key, verdict in outcome.images.items() if not key.startswith("JPEGImages__")] in ([MISSING], [])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_the_name_of_a_panoptic_png_means_a_file_of_the_source_or_nothing(sandbox, name):
    sources.put_panoptic(sandbox.source)
    with_link(sandbox)
    spot = ("annotations", 0, "file_name")
    put_json_name(sandbox.source, "panoptic_val.json", spot, name.replace("{outside}", str(sandbox.outside)))
    outcome = run_stages(sandbox)
    assert outcome.annotations["panoptic_val.json#1.300"] in (KEPT, ("dropped", "bad_record"))
    assert outcome.annotations["panoptic_val.json#2.70000"] == KEPT


@pytest.mark.parametrize("name", [name for name in NAMES if "\0" not in name], ids=lambda name: name[:30])
def test_the_name_of_a_labelme_xml_mask_means_a_file_of_the_source_or_nothing(sandbox, name):
    sources.put_labelme_xml(sandbox.source)
    with_link(sandbox)
    sources.put_values(sandbox.source / "Masks/a.png", 255)
    mask = f"<segm><mask>{name.replace('{outside}', str(sandbox.outside))}</mask></segm>"
    put_xml_name(sandbox.source, "a.xml", "<object>", f"<object><name>cat</name>{mask}</object><object>")
    outcome = run_stages(sandbox)
    assert outcome.annotations["a.xml#0"][0] in ("kept", "hidden", "dropped")
    assert outcome.annotations["a.xml#1"][0] in ("kept", "hidden")


@pytest.mark.parametrize("pattern", ["../outside/*.png", "{outside}/*.png", "../**/*.png", "link/*.png", "\0", "**/.."])
def test_a_pattern_of_masks_never_leads_outside_the_source(sandbox, pattern):
    sources.put_index_masks(sandbox.source)
    with_link(sandbox)
    with pytest.raises(UserError) as error:
        run_stages(
            sandbox,
            ingest__image_pattern=pattern.replace("{outside}", str(sandbox.outside)),
            ingest__mask_pattern="masks/*.png",
        )
    assert "ingest.image_pattern" in str(error.value)
