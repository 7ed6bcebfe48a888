"""Break a clean folder on purpose, a known number of times for each way, and write down which.

Every defect has pictures of its own, and every record ends with one reason only, so that no count depends on
another. Additions lie inside an object of the same class: the label map of a usable picture stays exact.
The manifest, OUT/defects.json:
    expected.images, expected.annotations   rows (all that come in), verdicts and reasons, as the final ledger counts
    planted      one entry for each defect: name, about (images or annotations), verdict, reason, count, why, and
                 the files or annotation ids
    orientation  EXIF-turned photographs: viewed, stored (the frame the annotation fits), undecidable (both fit)
    duplicates   pairs of files: equal (the same bytes), near (encoded anew, brightened)
    greyscale    files with one channel
"""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from shapely.geometry import Polygon

from segpipe.demo.folder import CATEGORY_IDS, IMAGES, Document, Record, jpeg
from segpipe.demo.scenes import CLASSES, UNSELECTED
from segpipe.errors import UserError
from segpipe.files import write_bytes, write_json
from segpipe.masks import raster, rle

MANIFEST = Path("defects.json")
LEAST_COUNT = 100  # pictures: fewer do not hold enough of what the defects need

_SELECTED_IDS = {CATEGORY_IDS[name] for name in CLASSES}
_UNSELECTED_ID = CATEGORY_IDS[UNSELECTED]
_UNKNOWN_CATEGORY_ID = 44
_FIRST_FREE_IMAGE_ID = 900_001
_EXIF_ORIENTATION = 0x0112
_QUARTER_TURN = 6  # to be turned 90 degrees clockwise for viewing
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="160" height="160"><circle cx="80" cy="80" r="40"/></svg>\n'
_HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)


@dataclass(slots=True)
class _Plot:
    """A folder under treatment. free: image records that no defect has touched."""

    out: Path
    document: Document
    free: list[Record]
    planted: list[Record] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def take(self, count: int, fits: Callable[[Record], bool]) -> list[Record]:
        """The last `count` free image records that fit; they are free no more."""
        found = [image for image in reversed(self.free) if fits(image)][:count]
        if len(found) < count:
            raise UserError(f"too few pictures to plant all defects; give a --count above {LEAST_COUNT}")
        self.free = [image for image in self.free if image not in found]
        return found

    def annotations(self, image: Record) -> list[Record]:
        return [record for record in self.document.annotations if record.get("image_id") == image["id"]]

    def keep_only(self, image: Record, keeps: Callable[[Record], bool]) -> None:
        self.document.annotations = [
            record for record in self.document.annotations if record.get("image_id") != image["id"] or keeps(record)
        ]

    def add(self, **fields: Any) -> int:
        """Append an annotation record; its id."""
        number = max(record["id"] for record in self.document.annotations) + 1
        self.document.annotations.append({"id": number} | fields)
        return number

    def path(self, image: Record) -> Path:
        return self.out / IMAGES / str(image["file_name"])

    def pixels(self, image: Record) -> np.ndarray:
        with Image.open(self.path(image)) as picture:
            return np.asarray(picture)

    def about_images(self, defect: str, outcome: tuple[str, str], images: list[Record], why: str) -> None:
        files = sorted((IMAGES / str(image["file_name"])).as_posix() for image in images)
        self._note(defect, "images", outcome, len(files), why, {"files": files})

    def about_annotations(self, defect: str, outcome: tuple[str, str], ids: list[int], why: str) -> None:
        self._note(defect, "annotations", outcome, len(ids), why, {"ids": sorted(ids)})

    def _note(
        self, defect: str, about: str, outcome: tuple[str, str], count: int, why: str, which: dict[str, Any]
    ) -> None:
        entry = {"defect": defect, "about": about, "verdict": outcome[0], "reason": outcome[1], "why": why}
        self.planted.append(entry | {"count": count} | which)


def plant(out: Path, document: Document) -> None:
    """Break the pictures in `out` and the document, in place, and write the manifest.

    Raises UserError if there are too few pictures.
    """
    if len(document.images) < LEAST_COUNT:
        raise UserError(
            f"--count {len(document.images)} is too few to plant all defects; {LEAST_COUNT} or more, or --clean"
        )
    plot = _Plot(out, document, list(document.images))
    for step in _STEPS:
        step(plot)
    write_json(out / MANIFEST, _manifest(plot))


# ---- files ------------------------------------------------------------------------------------------------------


def _lose(plot: _Plot, images: list[Record]) -> None:
    """Leave lost pictures two annotations that would have been drawn: each of them is then `image_lost`."""
    for image in images:
        kept = list(filter(_is_object, plot.annotations(image)))[:2]
        plot.keep_only(image, kept.__contains__)
    ids = [record["id"] for image in images for record in plot.annotations(image)]
    why = f"its picture cannot be used: {plot.planted[-1]['defect']}"
    plot.about_annotations(f"on_{plot.planted[-1]['defect']}", ("dropped", "image_lost"), ids, why)


def _missing_files(plot: _Plot) -> None:
    images = plot.take(3, _has_objects(plot))
    for image in images:
        plot.path(image).unlink()
    plot.about_images("missing_file", ("dropped", "missing_file"), images, "the record's file is not there")
    _lose(plot, images)


def _broken_files(plot: _Plot) -> None:
    cut, empty, text = (
        plot.take(2, _has_objects(plot)),
        plot.take(1, _has_objects(plot)),
        plot.take(1, _has_objects(plot)),
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


def _unsupported_files(plot: _Plot) -> None:
    images = plot.take(2, _has_objects(plot))
    for image, suffix, data in zip(images, (".svg", ".heic"), (_SVG, _HEIC), strict=True):
        plot.path(image).unlink()
        image["file_name"] = Path(image["file_name"]).with_suffix(suffix).as_posix()
        write_bytes(plot.path(image), data)
    outcome = ("dropped", "unsupported_format")
    plot.about_images("unsupported_format", outcome, images, "an SVG drawing and a HEIC photograph")
    _lose(plot, images)


def _wrong_sizes(plot: _Plot) -> None:
    images = plot.take(2, _has_objects(plot))
    for image in images:
        image["width"], image["height"] = 2 * image["width"] + 8, 2 * image["height"] + 8
    why = "the declared size fits the picture neither way up: it was resized after annotation"
    plot.about_images("size_mismatch", ("dropped", "size_mismatch"), images, why)
    _lose(plot, images)


def _turned(plot: _Plot) -> None:
    """Photographs with EXIF orientation 6, none of them a defect: they must be used in the right frame."""
    oblong, square = _is_oblong, lambda image: not _is_oblong(image)
    groups = {"viewed": plot.take(3, oblong), "stored": plot.take(1, oblong), "undecidable": plot.take(1, square)}
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _QUARTER_TURN
    for frame, images in groups.items():
        for image in images:
            pixels = plot.pixels(image)
            stored = pixels if frame == "stored" else np.ascontiguousarray(np.rot90(pixels))
            write_bytes(plot.path(image), jpeg(stored, exif=exif))
    plot.notes["orientation"] = {frame: _files(images) for frame, images in groups.items()}


def _greyscale(plot: _Plot) -> None:
    images = plot.take(2, _has_objects(plot))
    for image in images:
        with Image.open(plot.path(image)) as picture:
            grey = np.asarray(picture.convert("L"))
        write_bytes(plot.path(image), jpeg(grey))
    plot.notes["greyscale"] = _files(images)


# ---- records of images ------------------------------------------------------------------------------------------


def _unlisted_files(plot: _Plot) -> None:
    images = plot.take(3, _has_objects(plot))
    for image in images:
        plot.keep_only(image, lambda record: False)
        plot.document.images.remove(image)
    plot.about_images("not_annotated", ("skipped", "not_annotated"), images, "no record names the picture")


def _unmatched(plot: _Plot) -> None:
    outcome = ("skipped", "no_matching_annotation")
    bare = plot.take(2, _has_objects(plot))
    for image in bare:
        plot.keep_only(image, lambda record: False)
    plot.about_images("no_annotation", outcome, bare, "the record has no annotation")
    pebbled = plot.take(2, lambda image: any(map(_is_pebble, plot.annotations(image))))
    for image in pebbled:
        plot.keep_only(image, _is_pebble)
    plot.about_images("only_unselected", outcome, pebbled, f"all its annotations are of the class {UNSELECTED}")


def _empty_mask(plot: _Plot) -> None:
    """Pictures whose only annotation covers no pixel: kept, their label map is empty."""
    images, ids = plot.take(2, _has_objects(plot)), []
    for image in images:
        plot.keep_only(image, lambda record: False)
        x, y = image["width"] // 2 + 0.55, 20.3
        ring = [x, y, x + 0.3, y, x + 0.3, y + 30, x, y + 30]
        _assert_pixels(ring, image, wanted=False)
        ids.append(plot.add(image_id=image["id"], **_fields("coin", [ring], area=9.0)))
    why = "a sliver 0.3 pixels wide covers no pixel centre; it is the only annotation of its picture"
    plot.about_annotations("sliver", ("dropped", "zero_area"), ids, why)
    plot.notes["empty_mask"] = _files(images)


def _duplicates(plot: _Plot) -> None:
    equal = [(image, _copied(plot, image, "copy of")) for image in plot.take(3, _has_objects(plot))]
    for image, copy in equal:
        shutil.copyfile(plot.path(image), plot.path(copy))
    near = [(image, _copied(plot, image, "edited")) for image in plot.take(4, _has_objects(plot))]
    for image, copy in near:
        with Image.open(plot.path(image)) as picture:
            brighter = ImageEnhance.Brightness(picture).enhance(1.08)
        write_bytes(plot.path(copy), jpeg(np.asarray(brighter), quality=70))
    pairs = {"equal": equal, "near": near}
    plot.notes["duplicates"] = {kind: [_files([*pair]) for pair in found] for kind, found in pairs.items()}


def _copied(plot: _Plot, image: Record, prefix: str) -> Record:
    """A second record of the same picture and its annotations, under another name beside the first."""
    name = Path(image["file_name"])
    number = max(_FIRST_FREE_IMAGE_ID - 1, *(record["id"] for record in plot.document.images)) + 1
    copy = image | {"id": number, "file_name": (name.parent / f"{prefix} {name.name}").as_posix()}
    plot.document.images.append(copy)
    for record in plot.annotations(image):
        plot.add(**{key: value for key, value in record.items() if key != "id"} | {"image_id": number})
    return copy


# ---- annotations ------------------------------------------------------------------------------------------------


def _crossings(plot: _Plot) -> None:
    ids = []
    for image in plot.take(2, _has_host(plot)):
        host = _host(plot, image)
        x, y, reach = _middle(host)
        bow_tie = [x - reach, y - reach, x + reach, y + reach, x + reach, y - reach, x - reach, y + reach]
        ids.append(_add_inside(plot, image, host, bow_tie))
    why = "a bow-tie of two triangles, inside an object of its class"
    plot.about_annotations("bow_tie", ("repaired", "self_crossing"), ids, why)
    looped = [_loop(_host(plot, image)) for image in plot.take(3, _has_host(plot))]
    why = "two neighbouring points of a good outline are swapped: a small loop"
    plot.about_annotations("loop", ("repaired", "self_crossing"), looped, why)


def _loop(host: Record) -> int:
    """Swap the two neighbouring points of the outline that make it cross itself with the least change."""
    points = np.reshape(host["segmentation"][0], (-1, 2))
    area = Polygon(points).area
    tries = []
    for first in range(len(points) - 1):
        swapped = points.copy()
        swapped[[first, first + 1]] = points[[first + 1, first]]
        if not Polygon(swapped).is_valid:
            tries.append((abs(Polygon(swapped).area - area), first, swapped))
    host["segmentation"] = [min(tries, key=lambda attempt: attempt[:2])[2].ravel().tolist()]
    return int(host["id"])


def _removed_rings(plot: _Plot) -> None:
    ids = []
    for image in plot.take(3, _has_host(plot)):
        host = _host(plot, image)
        x, y, reach = _middle(host)
        host["segmentation"].append(_tenths([x, y, x + reach, y]))
        ids.append(host["id"])
    why = "beside its good ring it has one of two points"
    plot.about_annotations("two_point_ring_too", ("repaired", "ring_removed"), ids, why)


def _bad_rings(plot: _Plot) -> None:
    two, odd = [], []
    for image in plot.take(2, _has_host(plot)):
        two.append(plot.add(image_id=image["id"], **_fields("brick", [[10.0, 10.0, 30.0, 30.0]], area=0.0)))
    for image in plot.take(2, _has_host(plot)):
        odd.append(
            plot.add(image_id=image["id"], **_fields("star", [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0]], area=400.0))
        )
    outcome = ("dropped", "bad_ring")
    plot.about_annotations("two_point_ring", outcome, two, "its only ring has two points")
    plot.about_annotations("odd_ring", outcome, odd, "seven numbers cannot be points")


def _bad_runs(plot: _Plot) -> None:
    ids = []
    for image, form in zip(plot.take(3, _has_host(plot)), ("short", "long", "string"), strict=True):
        height, width = image["height"], image["width"]
        rest = height * width - 1100
        counts: list[int] | str = [1000, 100, rest - 40 if form == "short" else rest + 40]
        if form == "string":
            counts = raster.draw([[5.0, 5.0, 25.0, 5.0, 25.0, 25.0]], (height - 8, width))["counts"].decode()
        segmentation = {"size": [height, width], "counts": counts}
        ids.append(plot.add(image_id=image["id"], **_fields("ring", segmentation, area=100.0)))
    why = "the run lengths do not sum to height x width: too short, too long, a string made for a lower picture"
    plot.about_annotations("bad_rle", ("dropped", "bad_rle"), ids, why)


def _no_area(plot: _Plot) -> None:
    ids = []
    lines = ([10.0, 20.4, 40.0, 20.4, 25.0, 20.4], [30.3, 10.0, 30.3, 40.0, 30.3, 22.0])
    for image, line in zip(plot.take(2, _has_host(plot)), lines, strict=True):
        _assert_pixels(line, image, wanted=False)
        ids.append(plot.add(image_id=image["id"], **_fields("leaf", [line], area=0.0)))
    plot.about_annotations("zero_area", ("dropped", "zero_area"), ids, "all points lie on one line")


def _past_border(plot: _Plot) -> None:
    ids = []
    for image in plot.take(4, lambda image: _bordering(plot, image) is not None):
        record, grown = _bordering(plot, image) or ({}, [])
        record["segmentation"] = [grown]
        ids.append(record["id"])
    why = "the outline goes on 6 pixels past the border; inside the picture it is exact"
    plot.about_annotations("past_border", ("clipped", "past_border"), ids, why)


def _bordering(plot: _Plot, image: Record) -> tuple[Record, list[float]] | None:
    """A record of one ring with an edge on the picture's border, and that ring with the edge pushed outwards."""
    for record in filter(_is_polygon, plot.annotations(image)):
        points = np.reshape(record["segmentation"][0], (-1, 2))
        for axis, border, step in ((0, 0, -6), (0, image["width"], 6), (1, 0, -6), (1, image["height"], 6)):
            on = np.flatnonzero((points[:, axis] == border) & (np.roll(points, -1, axis=0)[:, axis] == border))
            if len(on) == 1:
                ends = np.stack([points[on[0]], points[(on[0] + 1) % len(points)]])
                ends[:, axis] += step
                return record, _tenths(np.insert(points, on[0] + 1, ends, axis=0).ravel().tolist())
    return None


def _outside(plot: _Plot) -> None:
    first, second = plot.take(2, _has_host(plot))
    right, bottom = first["width"] + 10.0, second["height"] + 10.0
    ids = [
        plot.add(image_id=first["id"], **_fields("coin", [_square(right, 20.0)], area=144.0)),
        plot.add(image_id=second["id"], **_fields("star", [_square(20.0, bottom)], area=144.0)),
        plot.add(image_id=second["id"], **_fields("leaf", [_square(-40.0, -40.0)], area=144.0)),
    ]
    plot.about_annotations("outside_frame", ("dropped", "outside_frame"), ids, "all of it lies outside the picture")


def _unknown_ids(plot: _Plot) -> None:
    images = [_FIRST_FREE_IMAGE_ID + 90_000 + i for i in range(5)]
    ids = [plot.add(image_id=number, **_fields("brick", [_square(20.0, 20.0)], area=144.0)) for number in images]
    plot.about_annotations("unknown_image", ("dropped", "unknown_image"), ids, "no image has its image_id")
    ids = []
    for image in plot.take(2, _has_host(plot)):
        record = _fields("brick", [_square(20.0, 20.0)], area=144.0) | {"category_id": _UNKNOWN_CATEGORY_ID}
        ids.append(plot.add(image_id=image["id"], **record))
    plot.about_annotations("unknown_category", ("dropped", "unknown_category"), ids, "no category has its category_id")


def _bad_records(plot: _Plot) -> None:
    images = plot.take(3, _has_host(plot))
    whole = {"image_id": images[0]["id"], **_fields("coin", [_square(20.0, 20.0)], area=144.0)}
    ids = [plot.add(**_without(whole | {"image_id": image["id"]}, "segmentation")) for image in images[:2]]
    ids.append(plot.add(**whole | {"image_id": images[2]["id"], "segmentation": "m 20 20 h 12"}))
    ids.append(plot.add(**_without(whole, "category_id")))
    ids.append(plot.add(**_without(whole, "image_id")))
    ids.append(plot.add(**whole | {"category_id": [1]}))
    why = "segmentation is missing (2) or text (1); category_id is missing (1) or a list (1); image_id is missing (1)"
    plot.about_annotations("bad_record", ("dropped", "bad_record"), ids, why)


def _hidden(plot: _Plot) -> None:
    ids = []
    for image in plot.take(2, _has_host(plot)):
        host = _host(plot, image)
        plot.add(**_without(host, "id"))
        ids.append(host["id"])
    why = "a later record repeats the object exactly and, of equal size, lies on top"
    plot.about_annotations("drawn_twice", ("hidden", "covered"), ids, why)


def _natural(plot: _Plot) -> None:
    """What the scenes hold anyway: a class that is not selected, and crowds."""
    pebbles = [record["id"] for record in plot.document.annotations if _is_pebble(record)]
    why = f"{UNSELECTED} is annotated and not among the selected classes {', '.join(CLASSES)}"
    plot.about_annotations("class_not_selected", ("discarded", "class_not_selected"), pebbles, why)
    crowds = [record["id"] for record in plot.document.annotations if record.get("iscrowd") == 1]
    plot.about_annotations("crowd", ("ignored", "crowd"), crowds, "a heap of coins, annotated as one crowd")


_STEPS: tuple[Callable[[_Plot], None], ...] = (
    _past_border,  # first the ones that need a special picture
    _turned,
    _unmatched,
    _missing_files,
    _broken_files,
    _unsupported_files,
    _wrong_sizes,
    _greyscale,
    _unlisted_files,
    _empty_mask,
    _crossings,
    _removed_rings,
    _bad_rings,
    _bad_runs,
    _no_area,
    _outside,
    _unknown_ids,
    _bad_records,
    _hidden,
    _duplicates,
    _natural,
)


# ---- the manifest -----------------------------------------------------------------------------------------------


def _manifest(plot: _Plot) -> dict[str, Any]:
    unlisted = sum(entry["count"] for entry in plot.planted if entry["reason"] == "not_annotated")
    rows = {"images": len(plot.document.images) + unlisted, "annotations": len(plot.document.annotations)}
    expected = {about: _expected(plot, about, count) for about, count in rows.items()}
    return {"selected_classes": list(CLASSES), "expected": expected, "planted": plot.planted, **plot.notes}


def _expected(plot: _Plot, about: str, rows: int) -> dict[str, Any]:
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for entry in plot.planted:
        if entry["about"] == about:
            verdicts[entry["verdict"]] += entry["count"]
            reasons[entry["reason"]] += entry["count"]
    verdicts["kept"] = rows - verdicts.total()
    return {"rows": rows, "verdicts": dict(verdicts), "reasons": dict(reasons)}


# ---- small things -----------------------------------------------------------------------------------------------


def _is_object(record: Record) -> bool:
    return record.get("category_id") in _SELECTED_IDS and not record["iscrowd"]


def _is_pebble(record: Record) -> bool:
    return record.get("category_id") == _UNSELECTED_ID


def _is_polygon(record: Record) -> bool:
    """An object drawn by one ring."""
    return _is_object(record) and isinstance(record["segmentation"], list) and len(record["segmentation"]) == 1


def _is_oblong(image: Record) -> bool:
    return bool(image["width"] != image["height"])


def _has_objects(plot: _Plot) -> Callable[[Record], bool]:
    return lambda image: any(map(_is_object, plot.annotations(image)))


def _has_host(plot: _Plot) -> Callable[[Record], bool]:
    return lambda image: _host_or_none(plot, image) is not None


def _host(plot: _Plot, image: Record) -> Record:
    host = _host_or_none(plot, image)
    assert host is not None, "take() was asked for pictures with a host"
    return host


def _host_or_none(plot: _Plot, image: Record) -> Record | None:
    """The smallest object of the picture, so nothing lies on it, if it is one ring with room in its middle."""
    objects = sorted(filter(_is_object, plot.annotations(image)), key=lambda record: record["area"])
    if not objects or not _is_polygon(objects[0]):
        return None
    x, y, reach = _middle(objects[0])
    room = Polygon([(x - reach, y - reach), (x + reach, y - reach), (x + reach, y + reach), (x - reach, y + reach)])
    outline = Polygon(np.reshape(objects[0]["segmentation"][0], (-1, 2)))
    return objects[0] if reach >= 2 and outline.buffer(-1).contains(room) else None


def _middle(host: Record) -> tuple[float, float, float]:
    """x, y of the middle of a record's ring, and how far one can go from there."""
    outline = Polygon(np.reshape(host["segmentation"][0], (-1, 2)))
    return round(outline.centroid.x, 1), round(outline.centroid.y, 1), round(0.2 * outline.area**0.5, 1)


def _add_inside(plot: _Plot, image: Record, host: Record, ring: list[float]) -> int:
    """Add a ring of the host's class that covers some of the host's pixels and no other."""
    _assert_pixels(ring, image, wanted=True)
    fields = {key: value for key, value in host.items() if key != "id"}
    size_hw = (image["height"], image["width"])
    area = rle.area_px(raster.draw([ring], size_hw))
    return plot.add(**fields | {"segmentation": [_tenths(ring)], "area": area, "bbox": _bbox(ring)})


def _assert_pixels(ring: list[float], image: Record, wanted: bool) -> None:
    pixels = rle.area_px(raster.draw([ring], (image["height"], image["width"])))
    assert bool(pixels) == wanted, f"{ring} covers {pixels} pixels"


def _fields(category: str, segmentation: Any, area: float) -> Record:
    ring = segmentation[0] if isinstance(segmentation, list) else [0.0, 0.0, 10.0, 10.0]
    bbox = _bbox(ring)
    return {
        "category_id": CATEGORY_IDS[category],
        "iscrowd": 0,
        "area": area,
        "bbox": bbox,
        "segmentation": segmentation,
    }


def _bbox(ring: list[float]) -> list[float]:
    x, y = ring[: len(ring) // 2 * 2 : 2], ring[1::2]
    return _tenths([min(x), min(y), max(x) - min(x), max(y) - min(y)])


def _square(x: float, y: float) -> list[float]:
    return [x, y, x + 12, y, x + 12, y + 12, x, y + 12]


def _tenths(numbers: list[float]) -> list[float]:
    return [round(float(number), 1) for number in numbers]


def _without(record: Record, key: str) -> Record:
    return {name: value for name, value in record.items() if name != key}


def _files(images: list[Record]) -> list[str]:
    return [(IMAGES / str(image["file_name"])).as_posix() for image in images]
