"""CVAT 1.1 XML: shapes on images, and tracks over the frames of a video.

    annotations.xml              <annotations> with <meta>, then <image> elements, or <track> elements (CVAT for video)
    images/birds.jpg             named by an <image>
    images/frame_000000.png      a frame of a video: the last number in its name

Encoding: <polygon>, <polyline> and <points> have points="x,y;x,y", <box> xtl, ytl, xbr, ybr, <ellipse> cx, cy, rx, ry,
all in pixels; rotation is clockwise in degrees. <mask> has run lengths of a crop, row by row, the first of zeros. The
shapes of an image are sorted by z_order: under record_order the nearest is on top.
Spec: https://docs.cvat.ai/docs/manual/advanced/xml_format; cvat-ai/cvat, cvat/apps/dataset_manager/formats/cvat.py.
Versions: "CVAT for images 1.1" and "CVAT for video 1.1".
"""

import logging
import posixpath
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from segpipe.core.errors import AnnotationError, UserError, at
from segpipe.data.photos import MAX_PIXELS
from segpipe.data.records import Dataset, Image, Instance, Rle
from segpipe.data.split_words import split_named
from segpipe.ingest import fractions
from segpipe.ingest.image_records import read_images
from segpipe.ingest.parsing import (
    UNKNOWN,
    Fields,
    are_numbers,
    file_bytes,
    int_or_text,
    is_number,
    long_enough,
    number_or_nan,
    raised_flags,
    single_points,
    xml_root,
    xml_text,
)
from segpipe.ingest.source import Source, files_below, folder_of
from segpipe.masks import geometry, rle
from segpipe.masks.geometry import Ring

logger = logging.getLogger(__name__)

FORMAT = "cvat"
_NONE, _SEVERAL = -1, -2  # instead of the id of a frame's image
_REMARKS_LENGTH = 200
_FRAME_NUMBER = re.compile(r"[0-9]{1,9}")
_LAST_NUMBER = re.compile(r"([0-9]{1,9})[^0-9]*$")
_FRAME_FOLDERS = ("images", "JPEGImages", "obj_train_data", ".")


def recognise(source: Source) -> dict[str, Element]:
    """The root elements of the CVAT files of a source by file. Raises UserError for a broken file."""
    return {file: root for file in source.with_suffix(".xml") if (root := _document(source, file)) is not None}


def _document(source: Source, file: str) -> Element | None:
    if b"<annotations" not in file_bytes(source.root / file):
        return None
    with at(file):
        root = xml_root(source, file)
    is_cvat = root.tag == "annotations" and any(root.find(tag) is not None for tag in ("meta", "image", "track"))
    return root if is_cvat else None


def read(source: Source, documents: Mapping[str, Element]) -> Dataset:
    """The data set of the documents of `recognise`: one Instance per shape, in a track per shape and frame.

    Labels of one name are one class. A record that cannot be used has a problem. Raises UserError for a file whose
    coordinates are fractions of the images, and for tracks of several videos over the same images.
    """
    _refuse_several_videos(source, documents)
    entries = {file: _image_entries(source, file, root) for file, root in documents.items()}
    images, key_of = read_images(source, entries, "image")
    image_of = {image.key: image for image in images}
    instances: list[Instance] = []
    for file, root in documents.items():
        shapes = _in_order(file, root, entries[file])
        of_file = [_instance(shape, image_of.get(key_of[file].get(shape.image_id, ""))) for shape in shapes]
        fractions.refuse(file, of_file)
        instances += of_file
    split_of = {key_of[file].get(entry["id"]): entry["split"] for file, records in entries.items() for entry in records}
    labels = [name for root in documents.values() for name in _labels(root)]
    used = [instance.category for instance in instances if instance.category]
    return Dataset(
        format=FORMAT,
        categories=tuple(dict.fromkeys([*labels, *used])),
        images=tuple(
            replace(image, split=split_of.get(image.key) or image.split)
            for image in sorted(images, key=lambda image: (image.file, image.place))
        ),
        instances=tuple(instances),
    )


def _labels(root: Element) -> Iterator[str]:
    """The names of the labels, without the labels of the points of a skeleton."""
    for label in root.iterfind("meta//labels/label"):
        name = xml_text(label, "name")
        if name and label.find("parent") is None:
            yield name


# Images and frames


def _image_entries(source: Source, file: str, root: Element) -> list[dict[str, Any]]:
    """The image records of a file: id (its position), file_name, split, frame, and width and height if declared."""
    subset = xml_text(root, "meta//subset")
    images = [_image_entry(position, element, subset) for position, element in enumerate(root.iterfind("image"))]
    return images or _frame_entries(source, file, root, split_named(subset))


def _image_entry(position: int, element: Element, subset: str) -> dict[str, Any]:
    size = {key: int_or_text(text) for key in ("width", "height") if (text := element.get(key)) is not None}
    split = split_named(element.get("subset") or subset)
    return {
        "id": position,
        "file_name": element.get("name"),
        "split": split,
        "frame": int_or_text(element.get("id")),
        **size,
    }


def _frame_entries(source: Source, file: str, root: Element, split: str | None) -> list[dict[str, Any]]:
    """The frames that a track names, and the frames of the task whose image files exist."""
    file_of = _frame_files(source, file)
    texts = [shape.get("frame", "") for shape in root.iterfind("track/*")]
    in_tracks = {int(text) for text in texts if _FRAME_NUMBER.fullmatch(text)}
    in_task = _frames_of_task(root)
    frames = sorted(in_tracks | {frame for frame in file_of if frame in in_task})
    size = _original_size(root)
    return [
        {"id": n, "frame": frame, "file_name": file_of.get(frame, f"frame_{frame:06d}"), "split": split, **size}
        for n, frame in enumerate(frames)
    ]


def _frame_files(source: Source, file: str) -> dict[int, str]:
    """The image file of each frame, from the first folder around the annotation file that has numbered image files."""
    base = folder_of(file)
    for name in _FRAME_FOLDERS:
        folder = posixpath.normpath(posixpath.join(base, name))
        inside = [image for image in files_below(source.image_files, folder) if folder_of(image) == folder]
        numbers = {image: int(match[1]) for image in inside if (match := _LAST_NUMBER.search(_stem(image)))}
        if numbers:
            counts = Counter(numbers.values())
            return {number: image for image, number in numbers.items() if counts[number] == 1}
    return {}


def _stem(file: str) -> str:
    return posixpath.splitext(posixpath.basename(file))[0]


def _frames_of_task(root: Element) -> range:
    """The frames from start_frame to stop_frame; none if the file does not declare both."""
    first, last = (xml_text(root, f"meta//{name}_frame") for name in ("start", "stop"))
    are_declared = _FRAME_NUMBER.fullmatch(first) and _FRAME_NUMBER.fullmatch(last)
    return range(int(first), int(last) + 1) if are_declared else range(0)


def _original_size(root: Element) -> dict[str, int]:
    width, height = (xml_text(root, f"meta//original_size/{key}") for key in ("width", "height"))
    is_declared = _FRAME_NUMBER.fullmatch(width) and _FRAME_NUMBER.fullmatch(height)
    return {"width": int(width), "height": int(height)} if is_declared else {}


def _refuse_several_videos(source: Source, documents: Mapping[str, Element]) -> None:
    """Raise UserError if tracks of several videos are over the images of one folder: a frame is only a number."""
    videos: dict[str, dict[str, str]] = {}
    for file, root in documents.items():
        image = next(iter(_frame_files(source, file).values()), "") if root.find("image") is None else ""
        names = {(element.text or "").strip() for element in root.iterfind("meta//source")} - {""}
        for name in sorted(names) if image else ():
            videos.setdefault(folder_of(image), {}).setdefault(name, file)
    for folder, files in videos.items():
        if len(files) > 1:
            several = " and ".join(f"{name!r} in {file}" for name, file in files.items())
            raise UserError(
                f"tracks of several videos ({several}) belong to the images in {folder}, and a frame number does not "
                "name its video; put the frames of each video into a separate folder with its XML file"
            )


# Shapes


@dataclass(frozen=True, slots=True)
class _Placed:
    """One shape element and where it belongs."""

    element: Element
    image_id: int  # of its image record, or _NONE or _SEVERAL
    label: str | None  # its label, or the label of its track
    id: str
    place: str


def _in_order(file: str, root: Element, entries: Sequence[Mapping[str, Any]]) -> list[_Placed]:
    """The shapes of all images and tracks: by image, then by z_order, then in the order of the file."""
    shapes = [*_on_images(file, root), *_in_tracks(file, root, entries)]
    return sorted(shapes, key=lambda shape: (shape.image_id, _z_order(shape.element)))


def _on_images(file: str, root: Element) -> Iterator[_Placed]:
    for number, image in enumerate(root.iterfind("image")):
        for position, element in enumerate(image):
            place = f"{file}: image[{number}] ({image.get('name', '')}): {element.tag}[{position}]"
            yield _Placed(element, number, element.get("label"), f"{file}#{number}.{position}", place)


def _in_tracks(file: str, root: Element, entries: Sequence[Mapping[str, Any]]) -> Iterator[_Placed]:
    ids_of_frame: dict[Any, dict[str, int]] = {}
    for entry in reversed(entries):
        ids_of_frame.setdefault(entry["frame"], {})[entry["file_name"]] = entry["id"]
    for number, track in enumerate(root.iterfind("track")):
        for position, element in enumerate(track):
            frame = int_or_text(element.get("frame", ""))
            place = f"{file}: track[{number}] (id {track.get('id', '')}): {element.tag}[{position}] (frame {frame})"
            ids = ids_of_frame.get(frame, {}) if frame is not None else {}
            image_id = next(iter(ids.values())) if len(ids) == 1 else _SEVERAL if ids else _NONE
            yield _Placed(element, image_id, track.get("label"), f"{file}#track{number}.{position}", place)


def _z_order(element: Element) -> int:
    try:
        return int(element.get("z_order", "0"))
    except ValueError:
        return 0


def _instance(shape: _Placed, image: Image | None) -> Instance:
    fields = Fields(shape.element)
    key = fields.read(_image_key, shape, image, default="")
    if shape.element.get("outside") == "1" and not fields.problem:
        return Instance(
            id=shape.id,
            place=shape.place,
            image_key=key,
            category=(shape.label or "").strip(),
            problem="outside",
            detail="its track is outside the image on this frame",
        )
    return Instance(
        id=shape.id,
        place=shape.place,
        image_key=key,
        category=fields.read(_class_name, shape.label, default=""),
        **fields.read_together(_remarks),
        **fields.read_together(_drawn, image),
        problem=fields.problem,
        detail=fields.detail,
    )


def _image_key(element: Element, shape: _Placed, image: Image | None) -> str:
    frame = element.get("frame")
    if shape.image_id == _SEVERAL:
        problem = f"several images have the frame number {frame}; give each image a different number"
        raise AnnotationError(problem, "ambiguous_image")
    if image is None:
        raise AnnotationError(f"no image has the frame number {frame}; add the image", "unknown_image")
    return image.key


def _class_name(element: Element, label: str | None) -> str:
    if label is None or not label.strip():
        raise AnnotationError("has no label; add one or delete it", UNKNOWN)
    return label.strip()


def _remarks(element: Element) -> dict[str, Any]:
    """The element's flags, and as the detail these and its attributes."""
    pairs = [(a.get("name", ""), (a.text or "").strip()) for a in element.iterfind("attribute")]
    occluded = ["occluded"] if element.get("occluded") == "1" else []
    words = [*occluded, *(f"{name}: {value}" for name, value in pairs)]
    flags = raised_flags([*pairs, ("occluded", element.get("occluded"))])
    return {"flags": flags, "detail": ", ".join(words)[:_REMARKS_LENGTH]}


def _drawn(element: Element, image: Image | None) -> dict[str, Any]:
    """kind and rings, or rle."""
    if element.tag == "mask":
        return {"rle": _mask(element, image)}
    if element.tag in _SHAPES:
        return _SHAPES[element.tag](element)
    if element.tag in _NOT_REGIONS:
        problem = f"{_NOT_REGIONS[element.tag]} is not a region; draw the object's outline or delete it"
        raise AnnotationError(problem, "not_a_region")
    raise AnnotationError(f"the shape {element.tag!r} is unknown; draw the object's outline or delete it")


def _polygon(element: Element) -> dict[str, Any]:
    return {"rings": (long_enough(_points(element), 3),)}


def _polyline(element: Element) -> dict[str, Any]:
    return {"kind": "line", "rings": (long_enough(_points(element), 2),)}


def _point_set(element: Element) -> dict[str, Any]:
    return {"kind": "point", "rings": single_points(long_enough(_points(element), 1))}


def _box(element: Element) -> dict[str, Any]:
    left, top, right, bottom = (_number(element, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    ring = geometry.rotated(geometry.box(left, top, right, bottom), _number(element, "rotation", 0.0))
    return {"kind": "box", "rings": (ring,)}


def _ellipse(element: Element) -> dict[str, Any]:
    x, y, radius_x, radius_y = (_number(element, key) for key in ("cx", "cy", "rx", "ry"))
    return {"rings": (geometry.ellipse(x, y, radius_x, radius_y, _number(element, "rotation", 0.0)),)}


_SHAPES: Mapping[str, Callable[[Element], dict[str, Any]]] = {
    "polygon": _polygon,
    "polyline": _polyline,
    "points": _point_set,
    "box": _box,
    "ellipse": _ellipse,
}
_NOT_REGIONS = {"cuboid": "a cuboid", "skeleton": "a skeleton", "tag": "a tag of the whole image"}


def _points(element: Element) -> Ring:
    """points="x,y;x,y" as flat x, y ..."""
    numbers: list[float] = []
    for position, point in enumerate((element.get("points") or "").split(";")):
        parts = [number_or_nan(part) for part in point.split(",")]
        if len(parts) != 2 or not are_numbers(parts):
            problem = f"points[{position}] {reprlib.repr(point)} is not x,y in pixels"
            raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
        numbers += parts
    return tuple(numbers)


def _number(element: Element, key: str, default: float | None = None) -> float:
    is_absent = key not in element.attrib and default is not None
    number = default if is_absent else number_or_nan(element.get(key, ""))
    if number is None or not is_number(number):
        problem = f"{key} {reprlib.repr(element.get(key))} is not a number of pixels or degrees"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
    return number


def _mask(element: Element, image: Image | None) -> Rle:
    """The run lengths of a crop, row by row, as COCO's of the whole frame, column by column."""
    if image is None or image.width is None or image.height is None:
        raise AnnotationError("its image declares no width and height, so its mask cannot be placed", "bad_rle")
    left, top, width, height = (_whole(element, key) for key in ("left", "top", "width", "height"))
    runs = [_run(text) for text in (element.get("rle") or "").split(",")]
    if min(width, height) < 1 or width * height > MAX_PIXELS or sum(runs) != width * height:
        problem = f"the runs of its mask sum to {sum(runs)}, not to {width} x {height}"
        raise AnnotationError(f"{problem}; export it again", "bad_rle")
    crop = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return rle.encode_crop(crop, left, top, (image.height, image.width))


def _whole(element: Element, key: str) -> int:
    number = number_or_nan(element.get(key, ""))
    if not is_number(number) or number != int(number):
        problem = f"its mask's {key} {reprlib.repr(element.get(key))} is not a whole number"
        raise AnnotationError(f"{problem}; export it again", "bad_rle")
    return int(number)


def _run(text: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit() and len(stripped) < 12):
        raise AnnotationError(f"{reprlib.repr(text)} in its mask's rle is not a run length; export it again", "bad_rle")
    return int(stripped)
