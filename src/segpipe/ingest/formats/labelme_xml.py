"""LabelMe 3.0 XML, of the web tool and of CVAT's export: one file a photograph, polygons, boxes and mask pictures.

Source: CSAILVision/LabelMeAnnotationTool, annotationTools/js/xml.js; LabelMeToolbox.
"""

import logging
import posixpath
import re
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Dataset, Image, Instance, Rle
from segpipe.ingest import fractions
from segpipe.ingest.image_records import PhotoReference, image_files_by_stem, locate_photos, sibling_photo
from segpipe.ingest.parsing import (
    category_or_problem,
    declared_size,
    file_bytes,
    raised_flags,
    ring_of_points,
    with_fields,
    with_problem,
    xml_root,
    xml_text,
)
from segpipe.ingest.photo_finder import PhotoFinder
from segpipe.ingest.source import Source, folder_of, is_image_file, with_parents
from segpipe.masks import geometry, mask_files, rle
from segpipe.masks.geometry import Ring

logger = logging.getLogger(__name__)

FORMAT = "labelme_xml"
DELETED = "deleted"
_ROOT = re.compile(rb"<annotation[\s>]")
_OWN = re.compile(rb"<(imagesize|sourceAnnotation|deleted|segm|polygon>\s*<(username|pt))[\s>]?")
_ROTATION = re.compile(r"\brotation=(-?\d{1,4}(?:\.\d{1,9})?)\b")
_FOREIGN = re.compile(rb"<(size|bndbox)>")  # PASCAL VOC's


def recognise(source: Source) -> tuple[str, ...]:
    """The LabelMe 3.0 files of a source; with them the other XML files that have a picture of their name beside."""
    files = source.with_suffix(".xml")
    marked = {file for file in files if _is_marked(file_bytes(source.root / file))}
    pictures = image_files_by_stem(source)
    return tuple(file for file in files if marked and (file in marked or sibling_photo(pictures, file)))


def _is_marked(data: bytes) -> bool:
    return bool(_ROOT.search(data) and _OWN.search(data) and not _FOREIGN.search(data))


def read(source: Source, files: Sequence[str]) -> Dataset:
    """Read the files of `recognise`: one Image each, and one Instance for each object.

    Objects that their annotator deleted have the problem `deleted`. Never raises for a single file or object.
    """
    pictures, finder = image_files_by_stem(source), PhotoFinder(source)
    documents = [_document(source, finder, file, sibling_photo(pictures, file)) for file in files]
    masks = {mask for _, _, named in documents for mask in named}
    images, keys = locate_photos(source, [wanted for wanted, _, _ in documents], masks)
    instances = tuple(
        replace(instance, image_key=key)
        for key, (_, drawn, _) in zip(keys, documents, strict=True)
        for instance in drawn
    )
    return Dataset(
        format=FORMAT,
        categories=tuple(sorted({instance.category for instance in instances if instance.category})),
        images=tuple(images),
        instances=instances,
    )


def _document(
    source: Source, finder: PhotoFinder, file: str, own: str
) -> tuple[PhotoReference, list[Instance], list[str]]:
    """The photograph, the objects and the mask pictures of one file."""
    image = Image(key="", file="", place=file)
    try:
        root = xml_root(source, file)
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)), sibling=own), [], []
    size = declared_size(_whole(xml_text(root, "imagesize/nrows")), _whole(xml_text(root, "imagesize/ncols")))
    folder = xml_text(root, "folder").replace("\\", "/")
    reader = _Masks(source, finder, _beside(file, "Masks", folder))
    found = [_instance(file, i, e, reader) for i, e in enumerate(root.iter("object"))]
    wanted = PhotoReference(
        image=fractions.with_problem(replace(image, **size), found),
        name=xml_text(root, "filename"),
        folder=folder,
        folders=(folder_of(file), *_beside(file, "Images", folder)),
        sibling=own,
    )
    return wanted, found, reader.named


def _whole(text: str) -> int | str | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text or None


def _beside(file: str, name: str, folder: str) -> list[str]:
    """Folders `name`/`folder` and `name`, beside the file and beside each folder above it."""
    return [
        posixpath.join(base, name, inner)
        for base in with_parents(folder_of(file))
        for inner in dict.fromkeys([folder, ""])
    ]


class _Masks:
    """The mask pictures that the objects of one file name. named: those found, none of which is a photograph."""

    def __init__(self, source: Source, finder: PhotoFinder, folders: list[str]) -> None:
        self._source, self._finder, self._folders = source, finder, folders
        self.named: list[str] = []

    def rle(self, name: str) -> Rle:
        """Read a mask of the whole picture: what is opaque, or what is not black."""
        file = self._finder.as_written(name, self._folders) if name else None
        if file is None or file in self._source.refused or not is_image_file(file):
            raise AnnotationError(f"no mask {name!r} in Masks; put it there or delete the object", "missing_file")
        self.named.append(file)
        # validate holds its size against the photograph
        return rle.encode_mask(mask_files.decode_mask(file_bytes(self._source.root / file)))


def _instance(file: str, position: int, element: Element, masks: _Masks) -> Instance:
    """The instance of one object, as far as it can be read, with its first problem."""
    place = f"{file}: object[{position}]"
    known: dict[str, Any] = {"id": f"{file}#{position}", "image_key": "", "category": "", "place": place}
    try:
        if xml_text(element, "deleted") == "1":
            known["category"] = xml_text(element, "name")
            raise AnnotationError("its annotator deleted it", DELETED)
        known |= category_or_problem(_name, element)
        flags = _flags(element)
        known = with_fields(known, {"flags": flags, "detail": ", ".join(flags)})
        known |= _shape(element, masks)
    except AnnotationError as error:
        known = with_problem(known, error)
    return Instance(**known)


def _flags(element: Element) -> tuple[str, ...]:
    """The tool's own mark, and CVAT's "occluded=yes, difficult=true" among its attributes in words."""
    attributes = (pair.partition("=") for pair in xml_text(element, "attributes").split(","))
    said = [(name, value) for name, _, value in attributes]
    return raised_flags([*said, ("occluded", xml_text(element, "occluded"))])


def _name(element: Element) -> str:
    name = xml_text(element, "name")
    if not name:
        raise AnnotationError("has no name; name its class or delete it", "unknown_category")
    return name


def _shape(element: Element, masks: _Masks) -> dict[str, Any]:
    """The fields of an Instance that say where an object is. One point is a point, two are a line."""
    if element.find("segm") is not None:
        return {"rle": masks.rle(xml_text(element, "segm/mask"))}
    ring = _ring(element)
    if len(ring) in (2, 4):
        return {"kind": "point" if len(ring) == 2 else "line", "rings": (ring,)}
    if xml_text(element, "type") == "bounding_box":
        return {"kind": "box", "rings": (geometry.rotated(ring, _rotation_deg(element)),)}
    return {"rings": (ring,)}


def _rotation_deg(element: Element) -> float:
    """CVAT's export writes the corners of an upright box and its rotation beside them."""
    found = _ROTATION.search(xml_text(element, "attributes"))
    return float(found[1]) if found else 0.0


def _ring(element: Element) -> Ring:
    points = element.findall("polygon/pt")
    return ring_of_points([[_number(xml_text(pt, "x")), _number(xml_text(pt, "y"))] for pt in points], minimum=1)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return reprlib.repr(text)
