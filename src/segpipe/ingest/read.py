"""The reader of a source folder: it detects the format, or the format of each sub-folder, and reads the records."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from segpipe.core.errors import UserError, at, check_total
from segpipe.core.parallel import Mapper
from segpipe.core.plurals import counted
from segpipe.data.records import Dataset
from segpipe.ingest import mask_layouts
from segpipe.ingest.formats import (
    cityscapes,
    coco,
    coco_panoptic,
    cvat,
    index_masks,
    labelme,
    labelme_xml,
    object_masks,
    supervisely,
    via,
    voc,
    yolo,
)
from segpipe.ingest.merging import Part, folders_below, merged, part_of
from segpipe.ingest.names import AUTO
from segpipe.ingest.parsing import file_problem
from segpipe.ingest.photo_finder import OTHER_FOLDER
from segpipe.ingest.source import Source, is_image_file, list_source
from segpipe.masks.mask_files import Colour

logger = logging.getLogger(__name__)

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """Options for the readers of masks."""

    values: Mapping[int, str] | None = None  # class names by stored number, from params.yaml
    colours: Mapping[Colour, str] | None = None  # class names by colour, from params.yaml
    image_pattern: str = ""  # glob patterns of photos and masks, used instead of folder names
    mask_pattern: str = ""
    mapper: Mapper = map  # maps over the mask files


@dataclass(frozen=True, slots=True)
class Recognised:
    """A source that a format can read."""

    description: str
    read: Callable[[], Dataset]
    num_annotations: int | None = None  # counted without the reader, as a check; None: not counted


Files = TypeVar("Files", bound=Collection[str])


def _of_files(
    description: str, recognise: Callable[[Source], Files], read: Callable[[Source, Files], Dataset]
) -> Callable[[Source, MaskOptions], Recognised | None]:
    """The recogniser of a format that finds its annotation files and reads them without masks."""

    def recognised(source: Source, options: MaskOptions) -> Recognised | None:
        files = recognise(source)
        if not files:
            return None
        return Recognised(f"{description}: {_some(list(files))}", partial(read, source, files))

    return recognised


def _coco(source: Source, options: MaskOptions) -> Recognised | None:
    documents = {} if coco.recognise_results(source) else coco.recognise(source)
    description = f"COCO instances JSON: {_some(list(documents))}"
    rows = sum(len(document["annotations"]) for document in documents.values())
    return Recognised(description, partial(coco.read, source, documents), rows) if documents else None


def _coco_results(source: Source, options: MaskOptions) -> Recognised | None:
    results = coco.recognise_results(source)
    description = f"COCO results: {_some(list(results.lists))}" if results else ""
    return Recognised(description, partial(coco.read_results, source, results)) if results else None


def _coco_panoptic(source: Source, options: MaskOptions) -> Recognised | None:
    documents = coco_panoptic.recognise(source)
    description = f"COCO panoptic: {_some(list(documents))}"
    return (
        Recognised(description, partial(coco_panoptic.read, source, documents, options.mapper)) if documents else None
    )


def _cityscapes(source: Source, options: MaskOptions) -> Recognised | None:
    files = cityscapes.recognise(source)
    description = f"Cityscapes: {_some(list(files))}"
    return Recognised(description, partial(cityscapes.read, source, files, options.mapper)) if files else None


def _object_masks(source: Source, options: MaskOptions) -> Recognised | None:
    files = None if options.image_pattern else object_masks.recognise(source)
    if files is None:
        return None
    description = object_masks.masks_in_words(files)
    return Recognised(description, partial(object_masks.read, source, files, options.values, options.mapper))


def _masks(source: Source, options: MaskOptions) -> Recognised | None:
    if options.image_pattern:
        layout = mask_layouts.by_patterns(source, options.image_pattern, options.mask_pattern)
    elif object_masks.recognise(source) is not None:
        return None
    elif (detected := mask_layouts.recognise(source)) is not None:
        layout = detected
    else:
        return None
    masks, photos = counted(len(layout.mask_of), "mask"), counted(len(layout.photos), "photo")
    description = f"index masks, {layout.name}: {masks} for {photos}"
    return Recognised(
        description, partial(index_masks.read, source, layout, options.values, options.mapper, options.colours)
    )


def _voc(source: Source, options: MaskOptions) -> Recognised | None:
    files = voc.recognise(source)
    if not files:
        return None
    masks = counted(len(files.masks.mask_of) if files.masks else 0, "class mask")
    description = f"Pascal VOC: {counted(len(files.xml), 'XML file')}, {masks}"
    return Recognised(description, partial(voc.read, source, files, options.values, options.mapper, options.colours))


# A new format is one module with `recognise` and `read`, and its line here.
FORMATS: Mapping[str, Callable[[Source, MaskOptions], Recognised | None]] = {
    coco.FORMAT: _coco,
    coco_panoptic.FORMAT: _coco_panoptic,
    coco.RESULTS_FORMAT: _coco_results,
    cvat.FORMAT: _of_files("CVAT XML", cvat.recognise, cvat.read),
    labelme.FORMAT: _of_files("LabelMe JSON", labelme.recognise, labelme.read),
    labelme_xml.FORMAT: _of_files("LabelMe 3.0 XML", labelme_xml.recognise, labelme_xml.read),
    supervisely.FORMAT: _of_files("Supervisely JSON", supervisely.recognise, supervisely.read),
    via.FORMAT: _of_files("VGG Image Annotator", via.recognise, via.read),
    voc.FORMAT: _voc,
    yolo.FORMAT: _of_files("YOLO labels", yolo.recognise, yolo.read),
    cityscapes.FORMAT: _cityscapes,
    index_masks.FORMAT: _masks,
    object_masks.FORMAT: _object_masks,
}


# In these formats every image file of the source is a photo.
_WITHOUT_MASKS = (coco.FORMAT, cvat.FORMAT, labelme.FORMAT, via.FORMAT, yolo.FORMAT)


def read_source(root: Path, format: str = AUTO, masks: MaskOptions = MaskOptions()) -> Dataset:
    """The records of the source folder `root`.

    format: one of FORMATS; or AUTO, which detects it. A source of several formats is then read folder by folder, and
    the folders are joined into one data set.
    Raises UserError if the folder does not exist or has no image file, if an annotation file as a whole is broken, or
    if no format, or more than one, recognises the source.
    """
    source = list_source(root)
    with at(str(root)):
        dataset = merged(source, [_read(place) for place in _places(source, format, masks)])
        if not dataset.instances and (hint := _hint(source)):
            raise UserError(f"its {dataset.format} files contain no annotation{hint}")
    for noun, records in (("image", dataset.images), ("annotation", dataset.instances)):
        problems = Counter(record.problem for record in records if record.problem)
        listed = ", ".join(f"{count} {code}" for code, count in problems.items())
        logger.info("%s%s", counted(len(records), noun), f", with problems: {listed}" if listed else "")
    _warn_of_other_folders(dataset)
    return dataset


def inventory(dataset: Dataset) -> dict[str, Any]:
    """Counts for metrics/ingest.json: images by split, annotations by kind and role, and problems by reason."""
    images, instances = dataset.images, dataset.instances
    return {
        "format": dataset.format,
        "categories": len(dataset.categories),
        "images": {
            "in": len(images),
            "annotated": sum(image.annotated for image in images),
            "by_split": dict(Counter(image.split or "none" for image in images)),
            "problems": dict(Counter(image.problem for image in images if image.problem)),
        },
        "annotations": {
            "in": len(instances),
            "by_kind": dict(Counter(instance.kind for instance in instances)),
            "by_role": dict(Counter(instance.role for instance in instances)),
            "problems": dict(Counter(instance.problem for instance in instances if instance.problem)),
        },
    }


def _warn_of_other_folders(dataset: Dataset) -> None:
    """Log how many photos were found in other folders than their records name."""
    places = [
        f"{image.place}: {words}" for image in dataset.images for code, words in image.notes if code == OTHER_FOLDER
    ]
    if places:
        number, verb = counted(len(places), "photo"), "is" if len(places) == 1 else "are"
        logger.warning("%s %s not in the folder that the record names (first: %s)", number, verb, places[0])


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder of the source that one format recognises."""

    folder: str  # "." for the whole source
    source: Source
    format: str
    recognised: Recognised


def _read(place: _Place) -> Part:
    logger.info(
        "%s: recognised as %s (%s)", place.source.root / place.folder, place.format, place.recognised.description
    )
    dataset = place.recognised.read()
    expected, num_read = place.recognised.num_annotations, len(dataset.instances)
    check_total(expected in (None, num_read), f"{expected} annotations in the files, {num_read} read")
    _check_images(place, dataset)
    return Part(place.folder, place.source, dataset)


def _check_images(place: _Place, dataset: Dataset) -> None:
    """Check that every photo of the folder has one record. Raises LedgerError."""
    files = Counter(image.file for image in dataset.images if image.file)
    twice = [file for file, count in files.items() if count > 1]
    check_total(not twice, f"image files with several records: {twice[:_SHOWN]}")
    if place.format in _WITHOUT_MASKS:
        lost = [file for file in place.source.image_files if file not in files]
        check_total(not lost, f"image files of the source without a record: {lost[:_SHOWN]}")


def _places(source: Source, format: str, masks: MaskOptions) -> list[_Place]:
    if format not in (AUTO, *FORMATS):
        raise UserError(f"ingest.format {format!r} is unknown; set it to {AUTO}, {', '.join(FORMATS)} in params.yaml")
    if bool(masks.image_pattern) != bool(masks.mask_pattern):
        raise UserError(
            "ingest.image_pattern and ingest.mask_pattern belong together; set both in params.yaml, or neither"
        )
    patterns_only = format == AUTO and masks.image_pattern
    names = [index_masks.FORMAT] if patterns_only else list(FORMATS) if format == AUTO else [format]
    places = _recognised(source, ".", names, masks)
    if len(places) > 1:
        return _by_folder(source, places, masks) or _refuse_several(places)
    if places:
        return places
    raise UserError(
        f"no annotations of format {_either(names)} among its files ({_suffixes(source)}){_hint(source)}; "
        "set ingest.source in params.yaml to the folder of one data set, or set ingest.image_pattern and "
        "ingest.mask_pattern"
    )


def _recognised(source: Source, folder: str, names: Iterable[str], masks: MaskOptions) -> list[_Place]:
    """A place for each format that recognises the folder."""
    results = [(name, FORMATS[name](source, masks)) for name in names]
    return [_Place(folder, source, name, recognised) for name, recognised in results if recognised is not None]


def _by_folder(source: Source, whole: Sequence[_Place], masks: MaskOptions) -> list[_Place]:
    """The sub-folders that one format each recognises; [] unless all formats of the whole occur among them.

    Raises UserError for a folder that several formats recognise and that cannot be divided further.
    """
    places: list[_Place] = []
    for folder in folders_below(source, whole[0].folder):
        part = part_of(source, folder)
        of_folder = _recognised(part, folder, FORMATS, masks) if part else []
        if len(of_folder) > 1:
            of_folder = _by_folder(source, of_folder, masks) or _refuse_several(of_folder)
        places += of_folder
    return places if {place.format for place in whole} <= {place.format for place in places} else []


def _refuse_several(places: Sequence[_Place]) -> list[_Place]:
    """Raise UserError that names all formats. The return type allows `x or _refuse_several(places)`."""
    several = " and ".join(f"{place.format} ({place.recognised.description})" for place in places)
    if places[0].folder == ".":
        raise UserError(f"recognised as {several}; set ingest.format in params.yaml to one of them")
    raise UserError(
        f"{places[0].folder}: recognised as {several}; keep the annotations of one format there, or set "
        "ingest.source in params.yaml to that folder and ingest.format to one of them"
    )


def _hint(source: Source) -> str:
    """The first file that may contain the annotations but cannot be read, and why; "" if there is none."""
    refused = [f"{file} {why}" for file, why in source.refused.items() if not is_image_file(file)]
    broken = (f"{file}: {problem}" for file in source.files if (problem := file_problem(source, file)))
    return next((f"; {hint}" for hint in (*refused[:1], *islice(broken, 1))), "")


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _suffixes(source: Source) -> str:
    counts = Counter(PurePosixPath(file).suffix.lower() or "without suffix" for file in source.files)
    return ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:5])


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
