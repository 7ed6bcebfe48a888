"""Photos of every kind and condition, each beside a valid one: kept with the right pixels, or dropped with a reason."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.data import photos
from segpipe.ledger import findings
from tests.faults import sources
from tests.faults.sandbox import Outcome, Sandbox, Verdict, run_stages

NOISE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
PICTURE = Image.fromarray(NOISE)
OTHER = Image.fromarray(NOISE[::-1])
KEPT: Verdict = ("kept", "")
UNREADABLE: Verdict = ("dropped", "unreadable")
UNSUPPORTED: Verdict = ("dropped", "unsupported_format")
MISSING: Verdict = ("dropped", "missing_file")


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size but has almost no data."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(10))), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def animated(path: Path, **options: object) -> None:
    PICTURE.save(path, save_all=True, append_images=[OTHER], **options)


def cut(path: Path) -> None:
    PICTURE.save(path)
    path.write_bytes(path.read_bytes()[:-30])


PICTURES: dict[str, tuple[Callable[[Path], object], Verdict]] = {
    "cmyk.jpg": (lambda p: PICTURE.convert("CMYK").save(p), KEPT),
    "grey.png": (lambda p: PICTURE.convert("L").save(p), KEPT),
    "bits.png": (lambda p: PICTURE.convert("1").save(p), KEPT),
    "palette.png": (lambda p: PICTURE.quantize(16).save(p), KEPT),
    "alpha.png": (lambda p: PICTURE.convert("RGBA").save(p), KEPT),
    "grey_alpha.png": (lambda p: PICTURE.convert("LA").save(p), KEPT),
    "deep.png": (lambda p: Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257).save(p), KEPT),
    "lab.tif": (lambda p: PICTURE.convert("LAB").save(p), KEPT),
    "floats.tif": (lambda p: Image.fromarray(NOISE[..., 0].astype(np.float32) / 255).save(p), UNSUPPORTED),
    "animated.webp": (lambda p: animated(p, lossless=True), KEPT),  # the first frame is used, as in every animation
    "animated.png": (animated, KEPT),
    "pages.tif": (animated, KEPT),
    "animated.gif": (animated, UNSUPPORTED),
    "gif_named.png": (lambda p: PICTURE.save(p, "GIF"), UNSUPPORTED),
    "jpeg_named.png": (lambda p: PICTURE.save(p, "JPEG"), KEPT),
    "postscript.jpg": (lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 8\n"), UNSUPPORTED),
    "drawing.svg": (lambda p: p.write_text("<svg/>"), UNSUPPORTED),
    "profile.png": (lambda p: PICTURE.save(p, icc_profile=b"broken"), KEPT),
    "broken_exif.jpg": (lambda p: PICTURE.save(p, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), KEPT),
    "zero_bytes.png": (lambda p: p.write_bytes(b""), UNREADABLE),
    "text.jpg": (lambda p: p.write_text("not an image"), UNREADABLE),
    "cut.jpg": (cut, UNREADABLE),
    "cut.png": (cut, UNREADABLE),
    "three_hundred_megapixels.png": (lambda p: p.write_bytes(png_header(20_000, 15_001)), UNREADABLE),
    "largest.png": (lambda p: p.write_bytes(png_header(2**31 - 1, 2**31 - 1)), UNREADABLE),
    "of_no_size.png": (lambda p: p.write_bytes(png_header(0, 0)), UNREADABLE),
    "header_only.png": (lambda p: p.write_bytes(png_header(12, 8)), UNREADABLE),
    "folder.png": (lambda p: p.mkdir(), MISSING),
    "pipe.png": (lambda p: os.mkfifo(p), UNREADABLE),
    "absent.png": (lambda p: None, MISSING),
    "to_itself.png": (lambda p: p.symlink_to(p.name), UNREADABLE),
}


def put(sandbox: Sandbox, name: str, make: Callable[[Path], object]) -> None:
    """The photo with a cat, and a valid one with a dog."""
    sources.put_photo(sandbox.source / "b.png", 1)
    make(sandbox.source / name)
    document = sources.coco_document(sources.drawn(1, 1))
    document["images"][0]["file_name"] = name
    sources.put(sandbox.source, "instances.json", document)


def verdicts_of(outcome: Outcome, key: str) -> tuple[Verdict, Verdict]:
    """The verdicts of the photo and of its annotation. The other photo must be kept."""
    assert outcome.images["b"] == KEPT
    assert outcome.annotations["instances.json#9"] == KEPT
    assert len(outcome.images) == 2
    return outcome.images[key], outcome.annotations["instances.json#1"]


@pytest.mark.parametrize("name", PICTURES)
def test_each_kind_of_photo_has_its_verdict(sandbox, name):
    make, verdict = PICTURES[name]
    put(sandbox, name, make)
    outcome = run_stages(sandbox)
    lost = ("dropped", "image_lost")
    assert verdicts_of(outcome, Path(name).stem) == (verdict, KEPT if verdict == KEPT else lost)
    assert len(outcome.label_maps) == 1 + (verdict == KEPT)


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    for name in ("a.png", "a.tif"):
        animated(tmp_path / name)
        np.testing.assert_array_equal(photos.read_rgb(tmp_path / name), NOISE)


def test_a_change_by_reading_is_a_finding_and_is_logged(sandbox, caplog):
    deep = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 9 + 700)
    put(sandbox, "a.tif", lambda path: deep.save(path, save_all=True, append_images=[OTHER]))
    with caplog.at_level("WARNING"):
        outcome = run_stages(sandbox)
    all_findings = findings.read_findings(sandbox.work / "data/checked/findings.parquet")
    assert outcome.images["a"] == KEPT
    assert [f.code for f in all_findings if f.id == "a"] == ["first_page_only", "scaled_to_8_bit"]
    assert "a: only page 1 of 2 is used" in caplog.text
    assert "a: its 16-bit values from 7" in caplog.text


def test_a_link_that_leaves_the_source_is_not_read(sandbox):
    put(sandbox, "a.png", lambda p: p.symlink_to(sandbox.outside / "a.png"))
    outcome = run_stages(sandbox)
    assert verdicts_of(outcome, "a") == (UNREADABLE, ("dropped", "image_lost"))
    assert "link that leaves the source" in outcome.detail("a")


def exif(path: Path, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    PICTURE.save(path, exif=tags)


@pytest.mark.parametrize("orientation", [*range(10), 99])
@pytest.mark.parametrize("declared", ["viewed", "stored"])
def test_a_photo_of_any_orientation_is_used_in_the_frame_of_its_annotations(sandbox, orientation, declared):
    put(sandbox, "a.jpg", lambda path: exif(path, orientation))
    turned = orientation in (5, 6, 7, 8)
    width, height = (8, 12) if turned and declared == "viewed" else (12, 8)
    document = sources.coco_document(sources.drawn(1, 1))
    document["images"][0] |= {"file_name": "a.jpg", "width": width, "height": height}
    sources.put(sandbox.source, "instances.json", document)
    outcome = run_stages(sandbox)
    assert verdicts_of(outcome, "a") == (KEPT, KEPT)
    assert outcome.label_maps["a"].shape == (height, width)
    assert (outcome.label_maps["a"] == 1).sum() == 12


def test_a_file_whose_name_is_not_utf8_is_refused_and_the_others_are_used(sandbox):
    sources.put_coco(sandbox.source)
    try:
        Path(os.fsdecode(os.fsencode(sandbox.source) + b"/caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system allows only UTF-8 names")
    outcome = run_stages(sandbox)
    assert outcome.images.pop("caf_xe9") == UNREADABLE
    assert set(outcome.images.values()) == {KEPT, UNREADABLE}


def test_photos_with_names_of_any_script_and_length_are_kept(sandbox):
    names = ["砂浜 小石.png", "фото.png", "e\u0301.png", "a b%20c.png", "x" * 200 + ".png", "-rf.png", "#1?.png"]
    images = [sources.photo(number, name) for number, name in enumerate(names, start=1)]
    for number, name in enumerate(names):
        sources.put_photo(sandbox.source / name, number)
    drawn = [sources.drawn(number, number) for number in range(1, len(names) + 1)]
    sources.put(
        sandbox.source, "instances.json", {"images": images, "annotations": drawn, "categories": sources.CATEGORIES}
    )
    outcome = run_stages(sandbox)
    assert list(outcome.images.values()) == [KEPT] * len(names)
    assert list(outcome.annotations.values()) == [KEPT] * len(names)
