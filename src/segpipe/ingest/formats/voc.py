"""PASCAL VOC: boxes of Annotations/*.xml, class masks and object masks.

    JPEGImages/2007_000032.jpg
    Annotations/2007_000032.xml             boxes, and polygons in Roboflow's export
    SegmentationClass/2007_000032.png       a pixel is the number or colour of a class
    SegmentationObject/2007_000032.png      a pixel is the number or colour of an object
    ImageSets/Segmentation/train.txt        one name per line; ImageSets/Main likewise
    labelmap.txt                            CVAT: the colours of the classes

Encoding: VOC's boxes count pixels from 1 and include the last pixel; other tools write edges, see `_from_one_based`. In
masks 0 is background, 255 is ignored.
Spec: The PASCAL VOC Challenge 2012 Development Kit, sections 3 and 4 (pixel values, object masks, boxes).
Versions: VOC 2007 to 2012, LabelImg, Roboflow, and CVAT's VOC 1.1.

This module reads the XML files and joins them with the masks, which voc_masks.py reads.
"""

import logging
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from segpipe.core.errors import AnnotationError
from segpipe.core.parallel import Mapper
from segpipe.data.records import FLAGS, Dataset, Image, Instance
from segpipe.data.split_words import SPLIT_WORDS
from segpipe.ingest import fractions, mask_layouts
from segpipe.ingest.formats import voc_masks
from segpipe.ingest.formats.voc_masks import Bounds
from segpipe.ingest.image_records import PhotoReference, folders_around, locate_photos
from segpipe.ingest.mask_classes import MaskClasses
from segpipe.ingest.mask_layouts import Layout
from segpipe.ingest.parsing import (
    UNKNOWN,
    Fields,
    are_numbers,
    declared_size,
    file_bytes,
    is_number,
    is_whole,
    long_enough,
    number_or_nan,
    raised_flags,
    xml_root,
    xml_text,
)
from segpipe.ingest.source import Source, folder_of
from segpipe.masks import geometry
from segpipe.masks.geometry import Ring
from segpipe.masks.mask_files import Colour

logger = logging.getLogger(__name__)

FORMAT = "voc"
_PHOTO_FOLDERS = ("../JPEGImages", "../images", "../Images")
_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class VocFiles:
    """The annotation files of a source."""

    xml: tuple[str, ...]
    masks: Layout | None  # the class masks, None if there are none

    def __bool__(self) -> bool:
        return bool(self.xml or self.masks)


def recognise(source: Source) -> VocFiles:
    """The XML files of VOC, the other XML files in their folders, and the class masks."""
    files = source.with_suffix(".xml")
    marked = {file for file in files if _is_voc(file_bytes(source.root / file))}
    folders = {folder_of(file) for file in marked}
    return VocFiles(tuple(file for file in files if folder_of(file) in folders), mask_layouts.voc(source))


def _is_voc(data: bytes) -> bool:
    """Whether `data` is an XML file of VOC. LabelMe's XML has an imagesize and polygons instead."""
    has_photo = b"<filename>" in data or b"<folder>" in data or b"<path>" in data
    return (
        b"<annotation" in data
        and b"<annotations" not in data
        and (b"<bndbox>" in data or (has_photo and b"<size>" in data and b"<imagesize>" not in data))
    )


def read(
    source: Source,
    files: VocFiles,
    values: Mapping[int, str] | None = None,
    mapper: Mapper = map,
    colours: Mapping[Colour, str] | None = None,
) -> Dataset:
    """The data set of the files of `recognise`: one Instance per object of XML files and masks, and per class of masks.

    A box has the problem `repeated` if the class mask of its photo shows its class inside. A file or record that cannot
    be used has a problem, too.

    values, colours: the classes of numbers and colours in class masks; both are used before labelmap.txt. Without any
    they are VOC's numbers and colours, with VOC's names if the XML files have no other names.
    """
    read_files = [_xml_file(source, file) for file in files.xml]
    xml_files = dict(zip(files.xml, _from_one_based(read_files), strict=True))
    images, key_of = _images(source, files.masks, xml_files)
    objects_of: dict[str, list[VocObject]] = {}
    for file, xml_file in xml_files.items():
        objects_of.setdefault(key_of[file], []).extend(xml_file.objects)
    names = {box.name for boxes in objects_of.values() for box in boxes if box.name}
    classes = voc_masks.classes_of(source, files.masks, names, values, colours)
    bounds_of = {key: [box.bounds for box in boxes] for key, boxes in objects_of.items()}
    masks = voc_masks.read_masks(source, files.masks, key_of, bounds_of, classes, mapper)
    repeated = {
        box.id
        for mask, voc_mask in masks.items()
        for box, shown in zip(objects_of.get(key_of[mask], []), voc_mask.in_boxes, strict=False)
        if box.name in {classes.meaning(voc_mask.classes, value) for value in shown}
    }  # the boxes whose class the class mask shows inside
    of_masks = [
        i for mask, voc_mask in masks.items() for i in voc_masks.instances_of(mask, key_of[mask], voc_mask, classes)
    ]
    of_boxes = [
        _instance(box, key_of[file], box.id in repeated)
        for file, xml_file in xml_files.items()
        for box in xml_file.objects
    ]
    in_masks = classes.categories(voc_mask.classes for voc_mask in masks.values()) if masks else ()
    in_boxes = sorted({instance.category for instance in of_boxes if instance.category})
    return Dataset(
        format=FORMAT,
        categories=tuple(dict.fromkeys([*in_masks, *_in_table_order(in_boxes, classes)])),
        images=tuple(voc_masks.sized(image, masks) for image in images),
        instances=(*of_masks, *of_boxes),
    )


def _in_table_order(names: Sequence[str], classes: MaskClasses) -> list[str]:
    """The names in the order of the class table if it has all of them, else unchanged."""
    table = [*(classes.colours.names.values() if classes.colours else ()), *classes.numbers.names.values()]
    in_table = dict.fromkeys(table)
    return [name for name in in_table if name in names] if in_table.keys() >= set(names) else list(names)


# Photos


def _images(
    source: Source, layout: Layout | None, xml_files: Mapping[str, "XmlFile"]
) -> tuple[list[Image], dict[str, str]]:
    """All images, and the image key by annotation file, mask or XML."""
    by_stem = {PurePosixPath(file).with_suffix("").as_posix(): file for file in reversed(source.image_files)}
    photos = {file: _photo_of_xml(file, xml_file, by_stem) for file, xml_file in xml_files.items()}
    if layout is not None:
        photos |= {
            mask: PhotoReference(image=Image(key="", file="", place=mask, notes=layout.notes(photo)), sibling=photo)
            for photo, mask in layout.mask_of.items()
        }
        photos |= {
            mask: PhotoReference(image=Image(key="", file="", place=mask, problem="missing_file", detail=why))
            for mask, why in [*layout.unmatched.items(), *layout.missing.items()]
        }
    others = [*layout.mask_of.values(), *layout.unmatched, *layout.other_files] if layout else []
    images, keys = locate_photos(source, list(photos.values()), others)
    splits = _splits(source, layout, images)
    return [replace(i, split=splits.get(i.file, i.split)) for i in images], dict(zip(photos, keys, strict=True))


def _photo_of_xml(file: str, xml_file: "XmlFile", by_stem: Mapping[str, str]) -> PhotoReference:
    image = Image(key="", file="", place=file, problem=xml_file.problem, detail=xml_file.detail)
    if not xml_file.problem:
        image = replace(image, **declared_size(*xml_file.size_hw))
    stem = PurePosixPath(file).stem
    folders = folders_around(file, *_PHOTO_FOLDERS)
    paths = [stem if folder == "." else f"{folder}/{stem}" for folder in folders]
    sibling = next((by_stem[path] for path in paths if path in by_stem), "")
    return PhotoReference(image=image, name=xml_file.photo or stem, folders=folders, sibling=sibling)


def _splits(source: Source, layout: Layout | None, images: Sequence[Image]) -> dict[str, str | None]:
    """The split of each photo in the lists of ImageSets/Segmentation, else of ImageSets/Main."""
    split_of = dict(layout.split_of) if layout else {}
    file_of = {PurePosixPath(i.file).with_suffix("").as_posix(): i.file for i in images if i.file}
    for split in SPLIT_WORDS:
        for file in source.files:
            if file.endswith(f"ImageSets/Main/{split}.txt"):
                base = PurePosixPath(file).parent.parent.parent / "JPEGImages"
                stems = [line.split()[0] for line in source.text(file).splitlines() if line.split()]
                named = [file_of[path] for stem in stems if (path := (base / stem).as_posix()) in file_of]
                split_of.update((name, split) for name in named if split_of.get(name) is None)
    return {file: split for file, split in split_of.items() if split}


# XML files


@dataclass(frozen=True, kw_only=True, slots=True)
class VocObject:
    """One <object>."""

    id: str
    place: str
    name: str = ""
    bounds: Bounds | None = None  # of its box, None if it cannot be read
    outline: Ring = ()  # its polygon, if it has one
    flags: tuple[str, ...] = ()  # of FLAGS
    problem: str = ""
    detail: str = ""

    @property
    def ring(self) -> Ring:
        """The four corners of the object's box, () without a box."""
        return geometry.box(*self.bounds) if self.bounds else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class XmlFile:
    """One XML file."""

    photo: str = ""  # its name as written
    size_hw: tuple[int | None, int | None] = (None, None)  # as declared
    objects: tuple[VocObject, ...] = ()
    problem: str = ""
    detail: str = ""


def _xml_file(source: Source, file: str) -> XmlFile:
    try:
        root = xml_root(source, file)
    except AnnotationError as error:
        return XmlFile(problem=error.reason, detail=str(error))
    objects = [_object(f"{file}#{n}", f"{file}: object[{n}]", e) for n, e in enumerate(root.iterfind("object"))]
    in_fractions = fractions.are_all([ring for box in objects for ring in (box.outline, box.ring)])
    return XmlFile(
        photo=xml_text(root, "filename"),
        size_hw=(_size(root, "height"), _size(root, "width")),
        objects=tuple(objects),
        problem=fractions.REASON if in_fractions else "",
        detail=fractions.PROBLEM if in_fractions else "",
    )


def _size(root: Element, key: str) -> int | None:
    number = number_or_nan(xml_text(root, f"size/{key}"))
    return int(number) if is_whole(number, minimum=1) else None  # LabelImg writes 0 for an unknown size


def _object(number: str, place: str, element: Element) -> VocObject:
    fields = Fields(element)
    name = fields.read(_class_name, default="")
    bounds, outline = fields.read(_bounds_and_outline, default=(None, ()))
    flags = raised_flags((flag, xml_text(element, flag)) for flag in FLAGS)
    return VocObject(
        id=number,
        place=place,
        name=name,
        bounds=bounds,
        outline=outline,
        flags=flags,
        problem=fields.problem,
        detail=fields.detail or ", ".join(flags),
    )


def _class_name(element: Element) -> str:
    name = xml_text(element, "name")
    if not name:
        raise AnnotationError("has no name; add its class or delete it", UNKNOWN)
    return name


def _bounds_and_outline(element: Element) -> tuple[Bounds | None, Ring]:
    outline = _outline(element)
    if element.find("bndbox") is None and outline:
        return (min(outline[::2]), min(outline[1::2]), max(outline[::2]), max(outline[1::2])), outline
    edges = [number_or_nan(xml_text(element, f"bndbox/{key}")) for key in _EDGES]
    wrong = next((key for key, edge in zip(_EDGES, edges, strict=True) if not is_number(edge)), None)
    if wrong is not None:
        problem = f"{wrong} {reprlib.repr(xml_text(element, f'bndbox/{wrong}'))} is not a number of pixels"
        raise AnnotationError(f"{problem}; correct it or delete the object", "bad_ring")
    left, top, right, bottom = edges
    return (left, top, right, bottom), outline


def _outline(element: Element) -> Ring:
    """Roboflow's <polygon>: x1, y1, x2, y2 ... as elements."""
    polygon = element.find("polygon")
    if polygon is None:
        return ()
    numbers = [number_or_nan((part.text or "").strip()) for part in polygon]
    if len(numbers) % 2 or not are_numbers(numbers):
        raise AnnotationError("its polygon is not x1, y1, x2, y2 ... in pixels; draw it again", "bad_ring")
    return long_enough(tuple(numbers), 3)


def _from_one_based(files: Sequence[XmlFile]) -> list[XmlFile]:
    """The files with boxes whose edges count from 0: VOC's boxes count pixels from 1 and include the last pixel.

    All boxes are VOC's, unless one edge is below 1 or between two pixels: then all are edges already.
    """
    edges = [edge for file in files if not file.problem for box in file.objects for edge in box.bounds or ()]
    if not edges or any(edge < 1 or edge != int(edge) for edge in edges):
        return list(files)
    logger.info("all box edges are whole numbers from 1 on: read as VOC's boxes, which count pixels from 1")
    return [replace(file, objects=tuple(_from_zero(box) for box in file.objects)) for file in files]


def _from_zero(box: VocObject) -> VocObject:
    if box.bounds is None:
        return box
    left, top, right, bottom = box.bounds
    return replace(box, bounds=(left - 1, top - 1, right, bottom))


def _instance(box: VocObject, key: str, is_repeated: bool) -> Instance:
    instance = Instance(
        id=box.id,
        image_key=key,
        category=box.name,
        place=box.place,
        kind="region" if box.outline else "box",
        rings=tuple(filter(None, [box.outline or box.ring])),
        flags=box.flags,
        problem=box.problem,
        detail=box.detail,
    )
    if is_repeated and not box.problem:
        detail = "the class mask shows its class inside the box, so the mask is used"
        return replace(instance, problem="repeated", detail=detail)
    return instance
