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
from segpipe.ingest import drafts, fractions, point_lists
from segpipe.ingest.documents import file_bytes
from segpipe.ingest.finding import Finder
from segpipe.ingest.named_photos import Wanted, declared_size, locate, own_picture, own_pictures
from segpipe.ingest.source import Source, folder_of, is_picture
from segpipe.ingest.xml_files import root_of, text_of
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
    pictures = own_pictures(source)
    return tuple(file for file in files if marked and (file in marked or own_picture(pictures, file)))


def _is_marked(data: bytes) -> bool:
    return bool(_ROOT.search(data) and _OWN.search(data) and not _FOREIGN.search(data))


def read(source: Source, files: Sequence[str]) -> Dataset:
    """Read the files of `recognise`: one Image each, and one Instance for each object.

    Objects that their annotator deleted have the problem `deleted`. Never raises for a single file or object.
    """
    pictures, finder = own_pictures(source), Finder(source)
    documents = [_document(source, finder, file, own_picture(pictures, file)) for file in files]
    masks = {mask for _, _, named in documents for mask in named}
    images, keys = locate(source, [wanted for wanted, _, _ in documents], masks)
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


def _document(source: Source, finder: Finder, file: str, own: str) -> tuple[Wanted, list[Instance], list[str]]:
    """The photograph, the objects and the mask pictures of one file."""
    image = Image(key="", file="", place=file)
    try:
        root = root_of(source, file)
    except AnnotationError as error:
        return Wanted(image=replace(image, problem=error.reason, detail=str(error)), own=own), [], []
    size = declared_size(_whole(text_of(root, "imagesize/nrows")), _whole(text_of(root, "imagesize/ncols")))
    folder = text_of(root, "folder").replace("\\", "/")
    reader = _Masks(source, finder, _beside(file, "Masks", folder))
    found = [_instance(file, i, e, reader) for i, e in enumerate(root.iter("object"))]
    wanted = Wanted(
        image=fractions.noted(replace(image, **size), found),
        name=text_of(root, "filename"),
        folder=folder,
        folders=(folder_of(file), *_beside(file, "Images", folder)),
        own=own,
    )
    return wanted, found, reader.named


def _whole(text: str) -> int | str | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text or None


def _beside(file: str, name: str, folder: str) -> list[str]:
    """Folders `name`/`folder` and `name`, beside the file and beside each folder above it."""
    bases = [folder_of(file)]
    while bases[-1] != ".":
        bases.append(folder_of(bases[-1]))
    return [posixpath.join(base, name, inner) for base in bases for inner in dict.fromkeys([folder, ""])]


class _Masks:
    """The mask pictures that the objects of one file name. named: those found, none of which is a photograph."""

    def __init__(self, source: Source, finder: Finder, folders: list[str]) -> None:
        self._source, self._finder, self._folders = source, finder, folders
        self.named: list[str] = []

    def rle(self, name: str) -> Rle:
        """Read a mask of the whole picture: what is opaque, or what is not black."""
        file = self._finder.exactly(name, self._folders) if name else None
        if file is None or file in self._source.refused or not is_picture(file):
            raise AnnotationError(f"no mask {name!r} in Masks; put it there or delete the object", "missing_file")
        self.named.append(file)
        # validate holds its size against the photograph
        return rle.encode_mask(mask_files.decode_mask(file_bytes(self._source.root / file)))


def _instance(file: str, position: int, element: Element, masks: _Masks) -> Instance:
    """The instance of one object, as far as it can be read, with its first problem."""
    place = f"{file}: object[{position}]"
    known: dict[str, Any] = {"id": f"{file}#{position}", "image_key": "", "category": "", "place": place}
    try:
        if text_of(element, "deleted") == "1":
            known["category"] = text_of(element, "name")
            raise AnnotationError("its annotator deleted it", DELETED)
        known |= drafts.named(_name, element)
        flags = _flags(element)
        known = drafts.added(known, {"flags": flags, "detail": ", ".join(flags)})
        known |= _shape(element, masks)
    except AnnotationError as error:
        known = drafts.failed(known, error)
    return Instance(**known)


def _flags(element: Element) -> tuple[str, ...]:
    """The tool's own mark, and CVAT's "occluded=yes, difficult=true" among its attributes in words."""
    attributes = (pair.partition("=") for pair in text_of(element, "attributes").split(","))
    said = [(name, value) for name, _, value in attributes]
    return drafts.flags([*said, ("occluded", text_of(element, "occluded"))])


def _name(element: Element) -> str:
    name = text_of(element, "name")
    if not name:
        raise AnnotationError("has no name; name its class or delete it", "unknown_category")
    return name


def _shape(element: Element, masks: _Masks) -> dict[str, Any]:
    """The fields of an Instance that say where an object is. One point is a point, two are a line."""
    if element.find("segm") is not None:
        return {"rle": masks.rle(text_of(element, "segm/mask"))}
    ring = _ring(element)
    if len(ring) in (2, 4):
        return {"kind": "point" if len(ring) == 2 else "line", "rings": (ring,)}
    if text_of(element, "type") == "bounding_box":
        return {"kind": "box", "rings": (geometry.rotated(ring, _rotation_deg(element)),)}
    return {"rings": (ring,)}


def _rotation_deg(element: Element) -> float:
    """CVAT's export writes the corners of an upright box and its rotation beside them."""
    found = _ROTATION.search(text_of(element, "attributes"))
    return float(found[1]) if found else 0.0


def _ring(element: Element) -> Ring:
    points = element.findall("polygon/pt")
    return point_lists.flat([[_number(text_of(pt, "x")), _number(text_of(pt, "y"))] for pt in points], least=1)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return reprlib.repr(text)
