"""Cityscapes: leftImg8bit/<split>/<city>/*_leftImg8bit.png with gtFine or gtCoarse polygons, or their id pictures.

Source: mcordts/cityscapesScripts, cityscapesscripts/helpers/labels.py (names, ids, hasInstances, ignoreInEval),
helpers/annotation.py (the JSON), preparation/json2labelImg.py and json2instanceImg.py (later objects on top; a label
that ends in "group" stands for several objects of that label; what no object covers is "unlabeled").
"""

import logging
import posixpath
import re
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.core.parallel import Mapper
from segpipe.data.records import Dataset, Image, Instance, Role
from segpipe.data.split_words import split_named
from segpipe.ingest import fractions
from segpipe.ingest.image_records import PhotoReference, folders_around, locate_photos
from segpipe.ingest.mask_surveys import Survey, survey
from segpipe.ingest.parsing import (
    UNKNOWN,
    declared_size,
    json_document,
    json_list,
    json_object,
    required_text,
    ring_of_points,
    with_problem,
)
from segpipe.ingest.source import Source, folder_of
from segpipe.masks import rle

logger = logging.getLogger(__name__)

FORMAT = "cityscapes"
_NOT_SCORED = "unlabeled"


@dataclass(frozen=True, slots=True)
class Label:
    """One label. scored: not ignoreInEval; instances: single objects of it are told apart (24 on, in id pictures)."""

    name: str
    id: int
    scored: bool
    instances: bool = False


def _scored(first: int, *names: str, instances: bool = False) -> tuple[Label, ...]:
    return tuple(Label(name, first + step, True, instances) for step, name in enumerate(names))


def _ignored(first: int, *names: str, instances: bool = False) -> tuple[Label, ...]:
    return tuple(Label(name, first + step, False, instances) for step, name in enumerate(names))


LABELS = (
    *_ignored(0, "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground"),
    *_scored(7, "road", "sidewalk"),
    *_ignored(9, "parking", "rail track"),
    *_scored(11, "building", "wall", "fence"),
    *_ignored(14, "guard rail", "bridge", "tunnel"),
    *_scored(17, "pole"),
    *_ignored(18, "polegroup"),
    *_scored(19, "traffic light", "traffic sign", "vegetation", "terrain", "sky"),
    *_scored(24, "person", "rider", "car", "truck", "bus", instances=True),
    *_ignored(29, "caravan", "trailer", instances=True),
    *_scored(31, "train", "motorcycle", "bicycle", instances=True),
    Label("license plate", -1, False),
)
_BY_NAME = {label.name: label for label in LABELS}
_BY_ID = {label.id: label for label in LABELS}
_GROUND_TRUTH = re.compile(r"(.+)_(gtFine|gtCoarse)_(polygons\.json|instanceIds\.png|labelIds\.png)")
_BEST = ("gtFine_polygons.json", "gtFine_instanceIds.png", "gtFine_labelIds.png")
_PREFERRED = (*_BEST, *(kind.replace("gtFine", "gtCoarse") for kind in _BEST))


def recognise(source: Source) -> tuple[str, ...]:
    """One ground truth file for each photograph: of all that there are, polygons first, gtFine before gtCoarse."""
    best: dict[str, tuple[int, str]] = {}
    for file in source.files:
        match = _GROUND_TRUTH.fullmatch(posixpath.basename(file))
        if match:
            rank = _PREFERRED.index(f"{match[2]}_{match[3]}")
            key = f"{split_named(file)}/{match[1]}"
            best[key] = min(best.get(key, (rank, file)), (rank, file))
    return tuple(sorted(file for _, file in best.values()))


def read(source: Source, files: Sequence[str], mapper: Mapper = map) -> Dataset:
    """Read the files of `recognise`: one Instance for each object, in the order of the file, the later on top.

    Labels that the benchmark does not score are regions to ignore, and so is what no object covers, an Instance of
    its own; both cover what comes before them. A group of objects is a crowd. Never raises for a file or an object.
    """
    logger.info("objects lie over each other in the order of the file: set rasterize.priority to record_order")
    pictures = [file for file in files if file.endswith(".png")]
    surveys = dict(zip(pictures, mapper(survey, [source.root / file for file in pictures]), strict=True))
    read_files = [_polygons(source, f) if f not in surveys else _id_picture(f, surveys[f]) for f in files]
    others = [file for file in source.image_files if re.search(r"_gt(Fine|Coarse)_\w+\.png$", file)]
    images, keys = locate_photos(source, [wanted for wanted, _ in read_files], others)
    instances = tuple(
        replace(instance, image_key=key) for key, (_, found) in zip(keys, read_files, strict=True) for instance in found
    )
    names = {instance.category for instance in instances}
    known = [label.name for label in LABELS if label.name in names]
    return Dataset(format=FORMAT, categories=tuple(known), images=tuple(images), instances=instances)


def _wanted(file: str, image: Image) -> PhotoReference:
    """The photograph of a ground truth file, at the same place below leftImg8bit."""
    stem = _GROUND_TRUTH.sub(r"\1_leftImg8bit.png", posixpath.basename(file))
    folder = re.sub("gtFine|gtCoarse", "leftImg8bit", folder_of(file))  # gtFine_trainvaltest/gtFine, too
    return PhotoReference(image=image, name=stem, folders=(folder, *folders_around(file)))


def _polygons(source: Source, file: str) -> tuple[PhotoReference, list[Instance]]:
    image = Image(key="", file="", place=file)
    try:
        document = json_document(source.root / file)
        objects = json_list(document, "objects")
    except AnnotationError as error:
        return _wanted(file, replace(image, problem=error.reason, detail=str(error))), []
    image = replace(image, **declared_size(document.get("imgHeight"), document.get("imgWidth")))
    found = [*_uncovered(file, image), *_objects(file, objects)]
    return _wanted(file, fractions.with_problem(image, found)), found


def _uncovered(file: str, image: Image) -> Iterator[Instance]:
    """The whole picture as a region to ignore, beneath all objects: what they leave is unlabeled."""
    if image.height is not None and image.width is not None:
        whole_frame = rle.full_frame((image.height, image.width))
        place, detail = f"{file}: what no object covers", "unlabeled, as the benchmark has it"
        yield Instance(
            id=f"{file}#{_NOT_SCORED}",
            image_key="",
            category="",
            rle=whole_frame,
            role="ignore",
            place=place,
            detail=detail,
        )


def _objects(file: str, objects: Sequence[Any]) -> Iterator[Instance]:
    for position, entry in enumerate(objects):
        known: dict[str, Any] = {"id": f"{file}#{position}", "place": f"{file}: objects[{position}]"}
        known |= {"image_key": "", "category": ""}
        try:
            record = json_object(entry)
            label = required_text(record, "label")
            if record.get("deleted") in (1, True):
                raise AnnotationError("the file marks it as deleted", "deleted")
            known |= _class_of(label)
            known["rings"] = (ring_of_points(record.get("polygon"), minimum=3),)
        except AnnotationError as error:
            known = with_problem(known, error)
        yield Instance(**known)


def _class_of(name: str) -> dict[str, Any]:
    """category, role and layered of a label's name, as cityscapesScripts' assureSingleInstanceName resolves groups."""
    label = _BY_NAME.get(name)
    grouped = label is None and name.endswith("group")
    if grouped:
        label = _BY_NAME.get(name.removesuffix("group"))
    if label is None:
        problem = f"{reprlib.repr(name)} is no label of Cityscapes; mend it or delete it"
        return {"problem": UNKNOWN, "detail": problem}
    if label.id < 0:
        raise AnnotationError(f"a {name} has no id and is not drawn, as in cityscapesScripts", "deleted")
    return _drawn_as(label, "crowd" if grouped and label.instances else "object")


def _drawn_as(label: Label, role: Role) -> dict[str, Any]:
    if not label.scored:
        return {"role": "ignore", "layered": True, "detail": f"{label.name}: not scored by the benchmark"}
    return {"category": label.name, "role": role, "layered": role == "crowd"}


def _id_picture(file: str, found: Survey) -> tuple[PhotoReference, list[Instance]]:
    image = Image(key="", file="", place=file)
    bare = Instance(id=file, image_key="", category="", mask_file=file, place=file)
    if found.size_hw is None:
        return _wanted(file, image), [replace(bare, problem="bad_record", detail=found.problem)]
    image = replace(image, height=found.size_hw[0], width=found.size_hw[1])
    return _wanted(file, image), [_of_value(bare, value, pixels) for value, pixels in found.pixels]


def _of_value(bare: Instance, value: int, pixels: int) -> Instance:
    """The instance of a value: below 1000 an id, or a group where objects are told apart; else id * 1000 + number."""
    instance = replace(bare, id=f"{bare.place}#{value}", mask_value=value, area=float(pixels))
    label = _BY_ID.get(value // 1000 if value >= 1000 else value)
    if label is None:
        detail = f"the value {value} is no id of Cityscapes (helpers/labels.py); export the picture again"
        return replace(instance, problem="unknown_category", detail=detail)
    in_instances = bare.place.endswith("instanceIds.png")
    group = in_instances and value < 1000 and label.instances
    return replace(instance, **_drawn_as(label, "crowd" if group else "object"))
