"""LabelMe 3.0 XML, of the web tool and of CVAT: one file per photo, with polygons, boxes and mask images.

    Annotations/set/a.xml             or a.xml beside a.jpg
    Images/set/a.jpg                  named by <filename> and <folder>, or by the name of the XML
    Masks/set/a_mask_0.png            named by <segm><mask>, of the size of the photo

Encoding: <polygon> has <pt> with <x>, <y> in pixels; one point is a point, two are a line. <type>bounding_box</type> is
an upright box; CVAT writes its rotation in degrees among the <attributes>. A mask is the opaque pixels of its image, or
the pixels that are not black. <deleted>1</deleted> marks objects that the annotator deleted.
Spec: CSAILVision/LabelMeAnnotationTool, annotationTools/js/xml.js; CSAILVision/LabelMeToolbox.
Versions: LabelMe 3.0, and the exports of CVAT and Datumaro.
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
from segpipe.ingest.image_records import (
    PhotoReference,
    categories_of,
    image_files_by_stem,
    locate_photos,
    marked_or_beside_photos,
    sibling_photo,
    with_image_keys,
)
from segpipe.ingest.parsing import (
    UNKNOWN,
    Fields,
    declared_size,
    file_bytes,
    int_or_text,
    raised_flags,
    ring_of_points,
    xml_root,
    xml_text,
)
from segpipe.ingest.photo_finder import PhotoFinder
from segpipe.ingest.source import Source, folder_of, is_image_file, with_parents
from segpipe.masks import geometry, mask_files, rle
from segpipe.masks.geometry import Ring

logger = logging.getLogger(__name__)

FORMAT = "labelme_xml"
_ROOT = re.compile(rb"<annotation[\s>]")
_LABELME = re.compile(rb"<(imagesize|sourceAnnotation|deleted|segm|polygon>\s*<(username|pt))[\s>]?")
_VOC = re.compile(rb"<(size|bndbox)>")
_ROTATION = re.compile(r"\brotation=(-?\d{1,4}(?:\.\d{1,9})?)\b")


def recognise(source: Source) -> tuple[str, ...]:
    """The LabelMe 3.0 files of a source, and with them the other XML files beside a photo of their name."""
    return marked_or_beside_photos(source, ".xml", _is_marked)


def _is_marked(data: bytes) -> bool:
    return bool(_ROOT.search(data) and _LABELME.search(data) and not _VOC.search(data))


def read(source: Source, files: Sequence[str]) -> Dataset:
    """The data set of the files of `recognise`: one Image per file, one Instance per object.

    An object that its annotator deleted has the problem `deleted`. A file or object that cannot be used has a problem,
    too.
    """
    stems, finder = image_files_by_stem(source), PhotoFinder(source)
    documents = [_document(source, finder, file, sibling_photo(stems, file)) for file in files]
    mask_names = {mask for _, _, masks in documents for mask in masks}
    images, keys = locate_photos(source, [photo for photo, _, _ in documents], mask_names)
    instances = with_image_keys(keys, [of_file for _, of_file, _ in documents])
    return Dataset(
        format=FORMAT,
        categories=categories_of(instances),
        images=tuple(images),
        instances=instances,
    )


def _document(
    source: Source, finder: PhotoFinder, file: str, sibling: str
) -> tuple[PhotoReference, list[Instance], list[str]]:
    """The photo, the instances and the mask files of one XML file."""
    image = Image(key="", file="", place=file)
    try:
        root = xml_root(source, file)
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)), sibling=sibling), [], []
    size = declared_size(*(int_or_text(xml_text(root, f"imagesize/{key}") or None) for key in ("nrows", "ncols")))
    folder = xml_text(root, "folder").replace("\\", "/")
    masks = _Masks(source, finder, _folders_named("Masks", file, folder))
    instances = [_instance(file, n, element, masks) for n, element in enumerate(root.iter("object"))]
    photo = PhotoReference(
        image=fractions.with_problem(replace(image, **size), instances),
        name=xml_text(root, "filename"),
        folder=folder,
        folders=(folder_of(file), *_folders_named("Images", file, folder)),
        sibling=sibling,
    )
    return photo, instances, masks.files


def _folders_named(name: str, file: str, folder: str) -> list[str]:
    """`name`/`folder` and `name`, beside the file and beside each folder above it."""
    return [
        posixpath.join(base, name, inner)
        for base in with_parents(folder_of(file))
        for inner in dict.fromkeys([folder, ""])
    ]


class _Masks:
    """The mask images that the objects of one file name."""

    def __init__(self, source: Source, finder: PhotoFinder, folders: list[str]) -> None:
        self.files: list[str] = []  # they are not photos
        self._source, self._finder, self._folders = source, finder, folders

    def rle(self, name: str) -> Rle:
        """The mask of the whole image with that file name. The stage validate compares its size with the photo's."""
        file = self._finder.as_written(name, self._folders) if name else None
        if file is None or file in self._source.refused or not is_image_file(file):
            raise AnnotationError(f"no mask {name!r} in Masks; add the file or delete the object", "missing_file")
        self.files.append(file)
        return rle.encode_mask(mask_files.decode_mask(file_bytes(self._source.root / file)))


def _instance(file: str, position: int, element: Element, masks: _Masks) -> Instance:
    """One <object>."""
    identity: dict[str, Any] = {"id": f"{file}#{position}", "place": f"{file}: object[{position}]", "image_key": ""}
    if xml_text(element, "deleted") == "1":
        return Instance(
            **identity, category=xml_text(element, "name"), problem="deleted", detail="its annotator deleted it"
        )
    fields = Fields(element)
    return Instance(
        **identity,
        category=fields.read(_class_name, default=""),
        **fields.read_together(_flags),
        **fields.read_together(_drawn, masks),
        problem=fields.problem,
        detail=fields.detail,
    )


def _class_name(element: Element) -> str:
    name = xml_text(element, "name")
    if not name:
        raise AnnotationError("has no name; add its class or delete it", UNKNOWN)
    return name


def _flags(element: Element) -> dict[str, Any]:
    """<occluded>, and flags among CVAT's attributes in words: "occluded=yes, difficult=true"."""
    pairs = [pair.partition("=")[::2] for pair in xml_text(element, "attributes").split(",")]
    flags = raised_flags([*pairs, ("occluded", xml_text(element, "occluded"))])
    return {"flags": flags, "detail": ", ".join(flags)}


def _drawn(element: Element, masks: _Masks) -> dict[str, Any]:
    """kind and rings, or rle."""
    if element.find("segm") is not None:
        return {"rle": masks.rle(xml_text(element, "segm/mask"))}
    ring = _ring(element)
    if len(ring) in (2, 4):
        return {"kind": "point" if len(ring) == 2 else "line", "rings": (ring,)}
    if xml_text(element, "type") == "bounding_box":
        return {"kind": "box", "rings": (geometry.rotated(ring, _rotation_deg(element)),)}
    return {"rings": (ring,)}


def _rotation_deg(element: Element) -> float:
    """The rotation among CVAT's attributes; the corners in the file are of the upright box."""
    match = _ROTATION.search(xml_text(element, "attributes"))
    return float(match[1]) if match else 0.0


def _ring(element: Element) -> Ring:
    points = element.findall("polygon/pt")
    return ring_of_points([[_number(xml_text(pt, "x")), _number(xml_text(pt, "y"))] for pt in points], minimum=1)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return reprlib.repr(text)
