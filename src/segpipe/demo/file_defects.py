"""Defects of photo files and of image records."""

import shutil
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageEnhance

from segpipe.core.files import write_bytes
from segpipe.demo.folder import Record, jpeg
from segpipe.demo.planting import (
    FIRST_FREE_IMAGE_ID,
    Planting,
    assert_pixels,
    fields_of,
    files_of,
    has_objects,
    is_object,
    is_oblong,
    is_pebble,
)
from segpipe.demo.scenes import UNSELECTED

_QUARTER_TURN = 6  # viewers rotate it by 90 degrees clockwise
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="160" height="160"><circle cx="80" cy="80" r="40"/></svg>\n'
_HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)


def _lose(planting: Planting, images: list[Record]) -> None:
    """Leave two drawable annotations on images that cannot be used: each gets the reason `image_lost`."""
    for image in images:
        kept = list(filter(is_object, planting.annotations(image)))[:2]
        planting.keep_only(image, kept.__contains__)
    ids = [record["id"] for image in images for record in planting.annotations(image)]
    why = f"its photo cannot be used: {planting.planted[-1]['defect']}"
    planting.about_annotations(f"on_{planting.planted[-1]['defect']}", ("dropped", "image_lost"), ids, why)


def missing_files(planting: Planting) -> None:
    """Records without a file: dropped, with their annotations."""
    images = planting.take(3, has_objects(planting))
    for image in images:
        planting.path(image).unlink()
    planting.about_images("missing_file", ("dropped", "missing_file"), images, "the record's file is not there")
    _lose(planting, images)


def broken_files(planting: Planting) -> None:
    """Files that cannot be decoded: dropped, with their annotations."""
    cut, empty, text = (
        planting.take(2, has_objects(planting)),
        planting.take(1, has_objects(planting)),
        planting.take(1, has_objects(planting)),
    )
    for image in cut:
        whole = planting.path(image).read_bytes()
        write_bytes(planting.path(image), whole[: len(whole) * 55 // 100])
    write_bytes(planting.path(empty[0]), b"")
    write_bytes(planting.path(text[0]), b"<html><body>404 Not Found</body></html>\n")
    outcome = ("dropped", "unreadable")
    for defect, images, why in (
        ("truncated_jpeg", cut, "the JPEG ends after 55 % of its bytes"),
        ("zero_bytes", empty, "the file has no byte"),
        ("text_named_jpg", text, "a saved error page that is named .jpg"),
    ):
        planting.about_images(defect, outcome, images, why)
        _lose(planting, images)


def unsupported_files(planting: Planting) -> None:
    """Files of unsupported formats: dropped, with their annotations."""
    images = planting.take(2, has_objects(planting))
    for image, suffix, data in zip(images, (".svg", ".heic"), (_SVG, _HEIC), strict=True):
        planting.path(image).unlink()
        image["file_name"] = Path(image["file_name"]).with_suffix(suffix).as_posix()
        write_bytes(planting.path(image), data)
    outcome = ("dropped", "unsupported_format")
    planting.about_images("unsupported_format", outcome, images, "an SVG drawing and a HEIC photo")
    _lose(planting, images)


def wrong_sizes(planting: Planting) -> None:
    """Declared sizes that differ from the file's: dropped, with their annotations."""
    images = planting.take(2, has_objects(planting))
    for image in images:
        image["width"], image["height"] = 2 * image["width"] + 8, 2 * image["height"] + 8
    why = "the declared size fits the photo in no orientation: it was resized after annotation"
    planting.about_images("size_mismatch", ("dropped", "size_mismatch"), images, why)
    _lose(planting, images)


def turned(planting: Planting) -> None:
    """Photos with EXIF orientation 6. This is not a defect, but they must be used in the right frame."""
    oblong, square = is_oblong, lambda image: not is_oblong(image)
    groups = {
        "viewed": planting.take(3, oblong),
        "stored": planting.take(1, oblong),
        "undecidable": planting.take(1, square),
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = _QUARTER_TURN
    for frame, images in groups.items():
        for image in images:
            pixels = planting.pixels(image)
            stored = pixels if frame == "stored" else np.ascontiguousarray(np.rot90(pixels))
            write_bytes(planting.path(image), jpeg(stored, exif=exif))
    planting.notes["orientation"] = {frame: files_of(images) for frame, images in groups.items()}


def greyscale(planting: Planting) -> None:
    """Photos of one channel, which is not a defect."""
    images = planting.take(2, has_objects(planting))
    for image in images:
        with Image.open(planting.path(image)) as photo:
            grey = np.asarray(photo.convert("L"))
        write_bytes(planting.path(image), jpeg(grey))
    planting.notes["greyscale"] = files_of(images)


def unlisted_files(planting: Planting) -> None:
    """Photos without a record: skipped."""
    images = planting.take(3, has_objects(planting))
    for image in images:
        planting.keep_only(image, lambda record: False)
        planting.document.images.remove(image)
    planting.about_images("not_annotated", ("skipped", "not_annotated"), images, "no record names the photo")


def unmatched(planting: Planting) -> None:
    """Records without an annotation of a selected class: skipped."""
    outcome = ("skipped", "no_matching_annotation")
    bare = planting.take(2, has_objects(planting))
    for image in bare:
        planting.keep_only(image, lambda record: False)
    planting.about_images("no_annotation", outcome, bare, "the record has no annotation")
    pebbled = planting.take(2, lambda image: any(map(is_pebble, planting.annotations(image))))
    for image in pebbled:
        planting.keep_only(image, is_pebble)
    planting.about_images("only_unselected", outcome, pebbled, f"all its annotations are of the class {UNSELECTED}")


def empty_mask(planting: Planting) -> None:
    """Images whose only annotation covers no pixel: kept, with an empty label map."""
    images, ids = planting.take(2, has_objects(planting)), []
    for image in images:
        planting.keep_only(image, lambda record: False)
        x, y = image["width"] // 2 + 0.55, 20.3
        ring = [x, y, x + 0.3, y, x + 0.3, y + 30, x, y + 30]
        assert_pixels(ring, image, wanted=False)
        ids.append(planting.add(image_id=image["id"], **fields_of("coin", [ring], area=9.0)))
    why = "a sliver 0.3 pixels wide covers no pixel centre; it is the only annotation of its image"
    planting.about_annotations("sliver", ("dropped", "zero_area"), ids, why)
    planting.notes["empty_mask"] = files_of(images)


def duplicates(planting: Planting) -> None:
    """Images that occur twice. This is not a defect, but the split must keep them together."""
    equal = [(image, _copied(planting, image, "copy of")) for image in planting.take(3, has_objects(planting))]
    for image, copy in equal:
        shutil.copyfile(planting.path(image), planting.path(copy))
    near = [(image, _copied(planting, image, "edited")) for image in planting.take(4, has_objects(planting))]
    for image, copy in near:
        with Image.open(planting.path(image)) as photo:
            brighter = ImageEnhance.Brightness(photo).enhance(1.08)
        write_bytes(planting.path(copy), jpeg(np.asarray(brighter), quality=70))
    pairs = {"equal": equal, "near": near}
    planting.notes["duplicates"] = {kind: [files_of([*pair]) for pair in of_kind] for kind, of_kind in pairs.items()}


def _copied(planting: Planting, image: Record, prefix: str) -> Record:
    """Add a second record of an image, with its annotations and a name in the same folder, and return it."""
    name = Path(image["file_name"])
    number = max(FIRST_FREE_IMAGE_ID - 1, *(record["id"] for record in planting.document.images)) + 1
    copy = image | {"id": number, "file_name": (name.parent / f"{prefix} {name.name}").as_posix()}
    planting.document.images.append(copy)
    for record in planting.annotations(image):
        planting.add(**{key: value for key, value in record.items() if key != "id"} | {"image_id": number})
    return copy
