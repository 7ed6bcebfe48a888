"""Names of photographs and masks, format by format: they mean files of the source, or none; they lead nowhere else."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from segpipe.core.errors import UserError
from segpipe.validate.dataset import Validated
from tests.faults import sources
from tests.faults.way import Verdict, World, go, validated

KEPT: Verdict = ("kept", "")
MISSING: Verdict = ("dropped", "missing_file")
NAMES = {  # a name, and whether it means the source's own a.png
    "./a.png": True,
    "A.PNG": True,
    "a%2Epng": True,
    "C:\\photos\\a.png": True,
    "..\\outside\\a.png": True,  # a name leads nowhere, it only names
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
    """Write `name` at `spot` of a JSON file. renamed: what the file is called then, lest its own name finds a.png."""
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


def with_link(world: World) -> None:
    (world.source / "link").symlink_to(world.outside)
    sources.put_photo(world.outside / "b.png", 5)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
@pytest.mark.parametrize("format", NAMED)
def test_a_name_means_a_file_of_the_source_or_none(world, format, name):
    if format in XML and "\0" in name:
        pytest.skip("XML cannot hold it")
    sources.FORMATS[format](world.source)
    with_link(world)
    found = NAMES[name]
    NAMED[format](world.source, name.replace("{outside}", str(world.outside)))
    account = go(world)
    fates = list(account.images.values())
    if found:
        assert fates == [KEPT, KEPT]
        assert "dropped" not in [verdict for verdict, _ in account.annotations.values()]
    else:
        stays = format == "coco" and name == "instances.json"  # a file of the source, but no photograph
        refused = ("dropped", "unsupported_format") if stays else MISSING
        assert sorted(fates) == [refused, KEPT, ("skipped", "not_annotated")]  # the record, b, and the a that it lost
        assert ("dropped", "image_lost") in account.annotations.values()


def renamed(world: World, format: str, name: str, *photos: str) -> None:
    """The source of a format, a's record with another name, and more photographs."""
    sources.FORMATS[format](world.source)
    for seed, photo in enumerate(photos):
        sources.put_photo(world.source / photo, 7 + seed)
    NAMED[format](world.source, name)


def notes(found: Validated) -> dict[str, tuple[str, str]]:
    """What was found of photographs that are not where their record says: by image key the code and the words."""
    codes = ("found_elsewhere", "other_folder")
    return {it.image_key: (it.code, it.detail) for it in found.findings if it.code in codes}


def fates(found: Validated) -> list[Verdict]:
    return sorted((row.verdict, row.reason) for row in found.rows if row.kind == "image")


def details(found: Validated, verdict: str) -> list[str]:
    return [row.detail for row in found.rows if row.kind == "image" and row.verdict == verdict]


@pytest.mark.parametrize("format", NAMED)
def test_a_photograph_is_never_replaced_by_another_of_its_name_that_has_its_record(world, format):
    sources.FORMATS[format](world.source)
    (b,) = [photo.key for photo in validated(world).photos if photo.key.endswith("b")]
    whole = [instance for instance in validated(world).instances if instance.image_key == b]
    NAMED[format](world.source, "video1/b.png")
    found = validated(world)
    assert list(found.instances) == whole
    assert fates(found) == [MISSING, KEPT, ("skipped", "not_annotated")]
    assert "no file 'video1/b.png' in the source; " in details(found, "dropped")[0]
    assert notes(found) == {}


@pytest.mark.parametrize("format", NAMED)
def test_the_only_photograph_of_a_name_in_another_folder_is_used_and_noted(world, format, caplog):
    renamed(world, format, "video1/c.png", "video2/c.png")
    found = validated(world)
    words = "written 'video1/c.png'; the only file of that name is video2/c.png"
    assert notes(found) == {"video2__c": ("other_folder", words)}
    assert f"other_folder: {words}" in details(found, "kept")
    assert f"1 photo is not in the folder that the record names (first: {NAMED_IN[format]}: {words})" in caplog.text


@pytest.mark.parametrize("format", NAMED)
def test_a_name_that_two_other_folders_have_is_missing(world, format):
    renamed(world, format, "video1/c.png", "video2/c.png", "video3/c.png")
    found = validated(world)
    assert fates(found) == [MISSING, KEPT, *[("skipped", "not_annotated")] * 3]
    assert "(video2/c.png, video3/c.png) in other folders" in details(found, "dropped")[0]


@pytest.mark.parametrize("name", ["C:\\photos\\video2\\c.png", "Video2/C.png", "/x/video2/c%2Epng"])
@pytest.mark.parametrize("format", NAMED)
def test_a_photograph_that_is_found_elsewhere_than_written_is_noted(world, format, name):
    renamed(world, format, name, "video2/c.png", "video3/c.png")
    found = validated(world)
    assert [photo.key for photo in found.photos if photo.key.startswith("video")] == ["video2__c"]
    assert notes(found) == {"video2__c": ("found_elsewhere", f"written {name!r}, found as video2/c.png")}


@pytest.mark.parametrize("path", ["gone.png", "C:\\old\\a.png", "../photos/a.jpg"])
def test_a_labelme_path_that_gives_way_to_the_picture_beside_it_is_noted(world, path):
    sources.put_labelme(world.source)
    put_json_name(world.source, "a.json", ("imagePath",), path)
    found = validated(world)
    assert [photo.key for photo in found.photos] == ["a", "b"]
    assert notes(found) == {"a": ("found_elsewhere", f"written {path!r}, found as a.png")}


def test_of_two_pictures_of_a_labelme_file_the_one_with_the_written_suffix_counts(world):
    sources.put_labelme(world.source)
    sources.put_photo(world.source / "a.bmp", 5)
    put_json_name(world.source, "a.json", ("imagePath",), "C:\\old\\a.png")
    found = validated(world)
    assert [photo.file for photo in found.photos] == ["a.png", "b.png"]
    assert [it.detail for it in found.findings] == ["written 'C:\\\\old\\\\a.png', found as a.png"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_a_list_of_pictures_names_files_of_the_source_or_none(world, name):
    if name in ("instances.json", "{outside}/secret.txt", "../outside/secret.txt", "/etc/passwd", "..", ".", "/"):
        pytest.skip("the first line of a list names a picture")
    sources.put_yolo(world.source)
    with_link(world)
    sources.put(world.source, "train.txt", f"images/b.png\n{name.replace('{outside}', str(world.outside))}\n")
    account = go(world)
    assert account.images["images__a"] == account.images["images__b"] == KEPT
    assert set(account.images.values()) <= {KEPT, MISSING}
    assert len(account.images) <= 3


@pytest.mark.parametrize("folder", ["../outside", "{outside}", "/", "C:\\", "..", "link"])
def test_a_data_yaml_leads_nowhere(world, folder):
    sources.put_yolo(world.source)
    with_link(world)
    path = json.dumps(folder.replace("{outside}", str(world.outside)))
    sources.put(world.source, "data.yaml", f"path: {path}\ntrain: {path}\nnames: [cat, dog]\n")
    account = go(world)
    assert account.images == {"images__a": KEPT, "images__b": KEPT}


@pytest.mark.parametrize("stem", ["../outside/a", "{outside}/a", "a.png", "..", "/", "\0", "../JPEGImages/b"])
def test_a_list_of_voc_leads_nowhere(world, stem):
    sources.put_voc_masks(world.source)
    sources.put(
        world.source, "ImageSets/Segmentation/train.txt", f"a\nb\n{stem.replace('{outside}', str(world.outside))}\n"
    )
    account = go(world)
    assert account.images["JPEGImages__a"] == account.images["JPEGImages__b"] == KEPT
    assert [fate for key, fate in account.images.items() if not key.startswith("JPEGImages__")] in ([MISSING], [])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_a_panoptic_png_is_one_of_the_source_or_none(world, name):
    sources.put_panoptic(world.source)
    with_link(world)
    spot = ("annotations", 0, "file_name")
    put_json_name(world.source, "panoptic_val.json", spot, name.replace("{outside}", str(world.outside)))
    account = go(world)
    assert account.annotations["panoptic_val.json#1.300"] in (KEPT, ("dropped", "bad_record"))
    assert account.annotations["panoptic_val.json#2.70000"] == KEPT


@pytest.mark.parametrize("name", [name for name in NAMES if "\0" not in name], ids=lambda name: name[:30])
def test_a_mask_of_labelme_xml_is_one_of_the_source_or_none(world, name):
    sources.put_labelme_xml(world.source)
    with_link(world)
    sources.put_values(world.source / "Masks/a.png", 255)
    mask = f"<segm><mask>{name.replace('{outside}', str(world.outside))}</mask></segm>"
    put_xml_name(world.source, "a.xml", "<object>", f"<object><name>cat</name>{mask}</object><object>")
    account = go(world)
    assert account.annotations["a.xml#0"][0] in ("kept", "hidden", "dropped")
    assert account.annotations["a.xml#1"][0] in ("kept", "hidden")


@pytest.mark.parametrize("pattern", ["../outside/*.png", "{outside}/*.png", "../**/*.png", "link/*.png", "\0", "**/.."])
def test_a_pattern_of_masks_leads_nowhere(world, pattern):
    sources.put_index_masks(world.source)
    with_link(world)
    with pytest.raises(UserError) as error:
        go(
            world,
            ingest__image_pattern=pattern.replace("{outside}", str(world.outside)),
            ingest__mask_pattern="masks/*.png",
        )
    assert "ingest.image_pattern" in str(error.value)
