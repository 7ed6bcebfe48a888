"""Defects of picture files and of image records."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from segpipe.core.files import write_bytes
from segpipe.demo.folder import Record, jpeg
from segpipe.demo.planting import (
    FIRST_FREE_IMAGE_ID,
    Plot,
    assert_pixels,
    fields_of,
    files_of,
    has_objects,
    is_object,
    is_oblong,
    is_pebble,
)
from segpipe.demo.scenes import UNSELECTED

_EXIF_ORIENTATION = 0x0112
_QUARTER_TURN = 6  # to be turned 90 degrees clockwise for viewing
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="160" height="160"><circle cx="80" cy="80" r="40"/></svg>\n'
_HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)


def _lose(plot: Plot, images: list[Record]) -> None:
    """Leave lost pictures two annotations that would have been drawn: each of them is then `image_lost`."""
    for image in images:
        kept = list(filter(is_object, plot.annotations(image)))[:2]
        plot.keep_only(image, kept.__contains__)
    ids = [record["id"] for image in images for record in plot.annotations(image)]
    why = f"its picture cannot be used: {plot.planted[-1]['defect']}"
    plot.about_annotations(f"on_{plot.planted[-1]['defect']}", ("dropped", "image_lost"), ids, why)


def missing_files(plot: Plot) -> None:
    """Records whose file is gone: dropped, with their annotations."""
    images = plot.take(3, has_objects(plot))
    for image in images:
        plot.path(image).unlink()
    plot.about_images("missing_file", ("dropped", "missing_file"), images, "the record's file is not there")
    _lose(plot, images)


def broken_files(plot: Plot) -> None:
    """Files that do not decode: dropped, with their annotations."""
    cut, empty, text = (
        plot.take(2, has_objects(plot)),
        plot.take(1, has_objects(plot)),
        plot.take(1, has_objects(plot)),
    )
    for image in cut:
        whole = plot.path(image).read_bytes()
        write_bytes(plot.path(image), whole[: len(whole) * 55 // 100])
    write_bytes(plot.path(empty[0]), b"")
    write_bytes(plot.path(text[0]), b"<html><body>404 Not Found</body></html>\n")
    outcome = ("dropped", "unreadable")
    for defect, images, why in (
        ("truncated_jpeg", cut, "the JPEG ends after 55 % of its bytes"),
        ("zero_bytes", empty, "the file has no byte"),
        ("text_named_jpg", text, "a saved error page that is named .jpg"),
    ):
        plot.about_images(defect, outcome, images, why)
        _lose(plot, images)


def unsupported_files(plot: Plot) -> None:
    """Formats that are not read: dropped, with their annotations."""
    images = plot.take(2, has_objects(plot))
    for image, suffix, data in zip(images, (".svg", ".heic"), (_SVG, _HEIC), strict=True):
        plot.path(image).unlink()
        image["file_name"] = Path(image["file_name"]).with_suffix(suffix).as_posix()
        write_bytes(plot.path(image), data)
    outcome = ("dropped", "unsupported_format")
    plot.about_images("unsupported_format", outcome, images, "an SVG drawing and a HEIC photograph")
    _lose(plot, images)


def wrong_sizes(plot: Plot) -> None:
    """Declared sizes that are not the file's: dropped, with their annotations."""
    images = plot.take(2, has_objects(plot))
    for image in images:
        image["width"], image["height"] = 2 * image["width"] + 8, 2 * image["height"] + 8
    why = "the declared size fits the picture neither way up: it was resized after annotation"
    plot.about_images("size_mismatch", ("dropped", "size_mismatch"), images, why)
    _lose(plot, images)


def turned(plot: Plot) -> None:
    """Photographs with EXIF orientation 6, none of them a defect: they must be used in the right frame."""
    oblong, square = is_oblong, lambda image: not is_oblong(image)
    groups = {"viewed": plot.take(3, oblong), "stored": plot.take(1, oblong), "undecidable": plot.take(1, square)}
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _QUARTER_TURN
    for frame, images in groups.items():
        for image in images:
            pixels = plot.pixels(image)
            stored = pixels if frame == "stored" else np.ascontiguousarray(np.rot90(pixels))
            write_bytes(plot.path(image), jpeg(stored, exif=exif))
    plot.notes["orientation"] = {frame: files_of(images) for frame, images in groups.items()}


def greyscale(plot: Plot) -> None:
    """Pictures of one channel, no defect."""
    images = plot.take(2, has_objects(plot))
    for image in images:
        with Image.open(plot.path(image)) as picture:
            grey = np.asarray(picture.convert("L"))
        write_bytes(plot.path(image), jpeg(grey))
    plot.notes["greyscale"] = files_of(images)


def unlisted_files(plot: Plot) -> None:
    """Pictures without a record: skipped."""
    images = plot.take(3, has_objects(plot))
    for image in images:
        plot.keep_only(image, lambda record: False)
        plot.document.images.remove(image)
    plot.about_images("not_annotated", ("skipped", "not_annotated"), images, "no record names the picture")


def unmatched(plot: Plot) -> None:
    """Records without an annotation of a selected class: skipped."""
    outcome = ("skipped", "no_matching_annotation")
    bare = plot.take(2, has_objects(plot))
    for image in bare:
        plot.keep_only(image, lambda record: False)
    plot.about_images("no_annotation", outcome, bare, "the record has no annotation")
    pebbled = plot.take(2, lambda image: any(map(is_pebble, plot.annotations(image))))
    for image in pebbled:
        plot.keep_only(image, is_pebble)
    plot.about_images("only_unselected", outcome, pebbled, f"all its annotations are of the class {UNSELECTED}")


def empty_mask(plot: Plot) -> None:
    """Pictures whose only annotation covers no pixel: kept, their label map is empty."""
    images, ids = plot.take(2, has_objects(plot)), []
    for image in images:
        plot.keep_only(image, lambda record: False)
        x, y = image["width"] // 2 + 0.55, 20.3
        ring = [x, y, x + 0.3, y, x + 0.3, y + 30, x, y + 30]
        assert_pixels(ring, image, wanted=False)
        ids.append(plot.add(image_id=image["id"], **fields_of("coin", [ring], area=9.0)))
    why = "a sliver 0.3 pixels wide covers no pixel centre; it is the only annotation of its picture"
    plot.about_annotations("sliver", ("dropped", "zero_area"), ids, why)
    plot.notes["empty_mask"] = files_of(images)


def duplicates(plot: Plot) -> None:
    """Pictures that are there twice, no defect: a split must keep them together."""
    equal = [(image, _copied(plot, image, "copy of")) for image in plot.take(3, has_objects(plot))]
    for image, copy in equal:
        shutil.copyfile(plot.path(image), plot.path(copy))
    near = [(image, _copied(plot, image, "edited")) for image in plot.take(4, has_objects(plot))]
    for image, copy in near:
        with Image.open(plot.path(image)) as picture:
            brighter = ImageEnhance.Brightness(picture).enhance(1.08)
        write_bytes(plot.path(copy), jpeg(np.asarray(brighter), quality=70))
    pairs = {"equal": equal, "near": near}
    plot.notes["duplicates"] = {kind: [files_of([*pair]) for pair in found] for kind, found in pairs.items()}


def _copied(plot: Plot, image: Record, prefix: str) -> Record:
    """A second record of the same picture and its annotations, under another name beside the first."""
    name = Path(image["file_name"])
    number = max(FIRST_FREE_IMAGE_ID - 1, *(record["id"] for record in plot.document.images)) + 1
    copy = image | {"id": number, "file_name": (name.parent / f"{prefix} {name.name}").as_posix()}
    plot.document.images.append(copy)
    for record in plot.annotations(image):
        plot.add(**{key: value for key, value in record.items() if key != "id"} | {"image_id": number})
    return copy
