"""Pascal VOC: class and object masks, and the boxes of Annotations/*.xml; CVAT's VOC 1.1 export too.

Source: The PASCAL VOC Challenge 2012 Development Kit, sections 3 and 4 (pixel values, object masks, boxes from 1 on).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from segpipe.core.parallel import Mapper
from segpipe.data.classes import BACKGROUND, voc_colours
from segpipe.data.records import Dataset, Image, Instance
from segpipe.data.split_words import SPLIT_WORDS
from segpipe.ingest import mask_layouts
from segpipe.ingest.formats import voc_objects
from segpipe.ingest.formats.index_masks import instances_of, usable
from segpipe.ingest.formats.voc_masks import Overlay, Pair, overlay
from segpipe.ingest.formats.voc_objects import Document, VocObject
from segpipe.ingest.image_records import PhotoReference, folders_around, locate_photos
from segpipe.ingest.mask_classes import IGNORE, ColourClasses, MaskClasses, ValueClasses, colour_classes, value_classes
from segpipe.ingest.mask_layouts import Layout
from segpipe.ingest.mask_surveys import Survey
from segpipe.ingest.parsing import declared_size, file_bytes
from segpipe.ingest.source import Source, folder_of
from segpipe.masks.mask_files import Colour, colour_number

logger = logging.getLogger(__name__)

FORMAT = "voc"
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_PHOTO_FOLDERS = ("../JPEGImages", "../images", "../Images")


@dataclass(frozen=True, slots=True)
class VocFiles:
    """The annotation files of a source. masks: class masks by photograph, None if there are none."""

    xml: tuple[str, ...]
    masks: Layout | None

    def __bool__(self) -> bool:
        return bool(self.xml or self.masks)


def recognise(source: Source) -> VocFiles:
    """The XML files of boxes, with them any other in their folders, and the class masks."""
    files = source.with_suffix(".xml")
    marked = {file for file in files if _is_voc(file_bytes(source.root / file))}
    folders = {folder_of(file) for file in marked}
    return VocFiles(tuple(file for file in files if folder_of(file) in folders), mask_layouts.voc(source))


def _is_voc(data: bytes) -> bool:
    """Whether it is VOC's: LabelMe's XML has an imagesize and polygons instead."""
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
    """Read boxes and masks: an Instance for each object of an XML file, and for each object or class of a mask.

    An object of an XML file is a box; where the photograph's class mask shows its class inside, it has the problem
    `repeated`. values, colours: what class masks store, before labelmap.txt; without both, VOC's own numbers and
    colours, and VOC's own names if the XML files have no other. Never raises for a single file or record.
    """
    read_documents = [voc_objects.document(source, file) for file in files.xml]
    documents = dict(zip(files.xml, voc_objects.from_one_based(read_documents), strict=True))
    images, key_of = _images(source, files, documents)
    boxes = _boxes_by_key(documents, key_of)
    overlays = _overlays(source, files.masks, key_of, boxes, mapper)
    classes = _classes(source, files, documents, values, colours)
    overlays = {mask: replace(it, classes=usable(it.classes, classes)) for mask, it in overlays.items()}
    repeated = {
        id(box)
        for mask, it in overlays.items()
        for box, shown in zip(boxes.get(key_of[mask], []), it.in_boxes, strict=False)
        if box.name in {classes.meaning(it.classes, value) for value in shown}
    }
    drawn = [instance for mask, it in overlays.items() for instance in _of_masks(mask, key_of[mask], it, classes)]
    listed = [_of_object(box, key_of[file], id(box) in repeated) for file, d in documents.items() for box in d.objects]
    names = classes.categories(it.classes for it in overlays.values()) if overlays else ()
    boxed = sorted({instance.category for instance in listed if instance.category})
    return Dataset(
        format=FORMAT,
        categories=tuple(dict.fromkeys([*names, *_in_order(boxed, classes)])),
        images=tuple(_sized(image, overlays) for image in images),
        instances=(*drawn, *listed),
    )


def _in_order(names: Sequence[str], classes: MaskClasses) -> list[str]:
    """The names in the order of the class table, if that knows them all, else as they are."""
    table = [*(classes.colours.names.values() if classes.colours else ()), *classes.numbers.names.values()]
    known = dict.fromkeys(table)
    return [name for name in known if name in names] if known.keys() >= set(names) else list(names)


def _images(source: Source, files: VocFiles, documents: Mapping[str, Document]) -> tuple[list[Image], dict[str, str]]:
    """All images, and the image key by annotation file, mask or XML."""
    own = {PurePosixPath(file).with_suffix("").as_posix(): file for file in reversed(source.image_files)}
    wanted = {file: _wanted_of_xml(file, document, own) for file, document in documents.items()}
    layout = files.masks
    if layout is not None:
        wanted |= {
            mask: PhotoReference(image=Image(key="", file="", place=mask, notes=layout.notes(photo)), sibling=photo)
            for photo, mask in layout.mask_of.items()
        }
        wanted |= {
            mask: PhotoReference(image=Image(key="", file="", place=mask, problem="missing_file", detail=why))
            for mask, why in [*layout.unmatched.items(), *layout.missing.items()]
        }
    others = [*layout.mask_of.values(), *layout.unmatched, *layout.other_files] if layout else []
    images, keys = locate_photos(source, list(wanted.values()), others)
    splits = _splits(source, layout, images)
    return [replace(i, split=splits.get(i.file, i.split)) for i in images], dict(zip(wanted, keys, strict=True))


def _wanted_of_xml(file: str, document: Document, own: Mapping[str, str]) -> PhotoReference:
    image = Image(key="", file="", place=file, problem=document.problem, detail=document.detail)
    if not document.problem:
        image = replace(image, **declared_size(*document.size_hw))
    stem = PurePosixPath(file).stem
    folders = folders_around(file, *_PHOTO_FOLDERS)
    found = next(
        (own[path] for folder in folders if (path := stem if folder == "." else f"{folder}/{stem}") in own), ""
    )
    return PhotoReference(image=image, name=document.photo or stem, folders=folders, sibling=found)


def _splits(source: Source, layout: Layout | None, images: Sequence[Image]) -> dict[str, str | None]:
    """The split of each photograph as a list of ImageSets/Segmentation names it, else of ImageSets/Main."""
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


def _boxes_by_key(documents: Mapping[str, Document], key_of: Mapping[str, str]) -> dict[str, list[VocObject]]:
    found: dict[str, list[VocObject]] = {}
    for file, document in documents.items():
        found.setdefault(key_of[file], []).extend(document.objects)
    return found


def _overlays(
    source: Source,
    layout: Layout | None,
    key_of: Mapping[str, str],
    boxes: Mapping[str, Sequence[VocObject]],
    mapper: Mapper,
) -> dict[str, Overlay]:
    masks = sorted([*layout.mask_of.values(), *layout.unmatched]) if layout else []
    objects = {_object_key(PurePosixPath(file)): file for file in layout.other_files} if layout else {}
    pairs = [_pair(source, mask, objects, boxes.get(key_of[mask], [])) for mask in masks]
    return dict(zip(masks, mapper(overlay, pairs), strict=True))


def _pair(source: Source, mask: str, objects: Mapping[str, str], boxes: Sequence[VocObject]) -> Pair:
    path = PurePosixPath(mask)
    object_mask = objects.get(_object_key(path.parent.parent / "SegmentationObject" / path.name), "")
    return Pair(
        class_mask=source.root / mask,
        object_mask=source.root / object_mask if object_mask else None,
        object_file=object_mask,
        boxes=tuple(box.bounds or (0.0, 0.0, 0.0, 0.0) for box in boxes),
    )


def _object_key(path: PurePosixPath) -> str:
    return path.with_suffix("").as_posix().casefold()


def _classes(
    source: Source,
    files: VocFiles,
    documents: Mapping[str, Document],
    values: Mapping[int, str] | None,
    colours: Mapping[Colour, str] | None,
) -> MaskClasses:
    """What class masks store: what is declared, else VOC's own numbers, in VOC's own colours where they are RGB."""
    folders = files.masks.folders if files.masks else (".",)
    numbers = value_classes(source, folders, values)
    declared = colour_classes(source, folders, colours)
    if not numbers.named_by:
        names = {box.name for document in documents.values() for box in document.objects if box.name}
        if names and names <= set(VOC_CLASSES):
            numbers = ValueClasses(dict(enumerate((BACKGROUND, *VOC_CLASSES))), "the development kit of VOC")
    if declared is None:
        by_colour = {colour_number(c): numbers.meaning(i) for i, c in enumerate(voc_colours(256))}
        named = {colour: name for colour, name in by_colour.items() if name}
        return MaskClasses(numbers, ColourClasses(named, numbers.named_by or "the palette of VOC"))
    return MaskClasses(numbers, ColourClasses({_VOID: IGNORE, **declared.names}, declared.named_by))


_VOID = colour_number(voc_colours(256)[255])


def _of_masks(mask: str, key: str, found: Overlay, classes: MaskClasses) -> Iterator[Instance]:
    """The objects of the object mask, then the classes of the class mask where they lie beyond the objects."""
    of_classes = list(instances_of(mask, key, found.classes, classes))
    if not found.objects or found.classes.problem:
        note = (
            f"{found.object_file} {found.object_problem}; its objects are not told apart"
            if found.object_problem
            else ""
        )
        yield from (replace(i, detail=i.detail or note) for i in of_classes)
        return
    for value, cover in found.objects.items():
        yield _of_object_mask(found, value, cover, key, classes)
    for instance in of_classes:
        rest = found.beyond.get(instance.mask_value if instance.mask_value is not None else -1)
        if rest is None:
            yield instance
        elif rest.pixels:
            yield replace(instance, mask_file="", mask_value=None, rle=rest.rle, area=float(rest.pixels))


def _of_object_mask(found: Overlay, value: int, cover: Mapping[int, int], key: str, classes: MaskClasses) -> Instance:
    """The object, of the class that most of its pixels have. cover: its pixels by the class mask's value."""
    place = f"{found.object_file}#{value}"
    area = float(sum(cover.values()))
    bare = Instance(
        id=place, image_key=key, category="", mask_file=found.object_file, mask_value=value, area=area, place=place
    )
    votes: dict[str, int] = {}
    for class_value, pixels in cover.items():
        name = classes.meaning(found.classes, class_value)
        if name not in (None, BACKGROUND, IGNORE):
            votes[str(name)] = votes.get(str(name), 0) + pixels
    if not votes:
        problem = "the class mask shows no class where this object is; export both masks again"
        return replace(bare, problem="unknown_category", detail=problem)
    name = max(votes, key=lambda vote: votes[vote])
    strange = int(area) - votes[name]
    detail = f"{strange} of its {int(area)} pixels are of another class in the class mask" if strange else ""
    return replace(bare, category=name, detail=detail)


def _of_object(box: VocObject, key: str, repeated: bool) -> Instance:
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
    if repeated and not box.problem:
        detail = "the class mask shows its class inside the box; the mask says where"
        return replace(instance, problem="repeated", detail=detail)
    return instance


def _sized(image: Image, overlays: Mapping[str, Overlay]) -> Image:
    found: Survey | None = overlays[image.place].classes if image.place in overlays else None
    if found is None or found.size_hw is None or image.width is not None:
        return image
    return replace(image, height=found.size_hw[0], width=found.size_hw[1])
