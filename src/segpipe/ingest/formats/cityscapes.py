"""Cityscapes: polygons of gtFine or gtCoarse, or the ID images drawn from them.

    leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png       the photo
    gtFine/train/aachen/aachen_000000_000019_gtFine_polygons.json       used first
    gtFine/train/aachen/aachen_000000_000019_gtFine_instanceIds.png     used without polygons
    gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png        used without both; gtCoarse: used without gtFine

Encoding: an object is a label and one ring [[x, y], ...] in pixels; later objects cover earlier ones. A label that ends
in "group" is a crowd. Pixels that no object covers are "unlabeled". In ID images a pixel is the id of a label, or
1000 id + number for an object whose label has instances. Labels that the benchmark does not score are ignored.
Spec: mcordts/cityscapesScripts, cityscapesscripts/helpers/labels.py (names, ids, hasInstances, ignoreInEval),
helpers/annotation.py (the JSON), preparation/json2labelImg.py and json2instanceImg.py (drawing).
Versions: gtFine_trainvaltest and gtCoarse of 2016.
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
from segpipe.ingest.image_records import PhotoReference, folders_around, locate_photos, with_image_keys
from segpipe.ingest.mask_surveys import Survey, survey
from segpipe.ingest.parsing import (
    UNKNOWN,
    Fields,
    declared_size,
    json_document,
    json_list,
    required_text,
    ring_of_points,
)
from segpipe.ingest.source import Source, folder_of
from segpipe.masks import rle

logger = logging.getLogger(__name__)

FORMAT = "cityscapes"


@dataclass(frozen=True, slots=True)
class Label:
    """One label of the benchmark's table."""

    name: str
    id: int
    scored: bool  # not ignoreInEval
    instances: bool = False  # hasInstances: its objects have numbers in instanceIds


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
_FINE = ("gtFine_polygons.json", "gtFine_instanceIds.png", "gtFine_labelIds.png")
_PREFERRED = (*_FINE, *(kind.replace("gtFine", "gtCoarse") for kind in _FINE))


def recognise(source: Source) -> tuple[str, ...]:
    """The ground truth file of each photo: gtFine before gtCoarse, polygons before ID images."""
    best: dict[str, tuple[int, str]] = {}
    for file in source.files:
        match = _GROUND_TRUTH.fullmatch(posixpath.basename(file))
        if match:
            rank = _PREFERRED.index(f"{match[2]}_{match[3]}")
            key = f"{split_named(file)}/{match[1]}"
            best[key] = min(best.get(key, (rank, file)), (rank, file))
    return tuple(sorted(file for _, file in best.values()))


def read(source: Source, files: Sequence[str], mapper: Mapper = map) -> Dataset:
    """The data set of the files of `recognise`: one Instance per object, in the order of the file.

    A label that is not scored is a region to ignore. So are the pixels that no object covers, an Instance at the
    beginning of its image. A file or object that cannot be used has a problem.
    """
    logger.info("objects overlap in the order of the file: set rasterize.priority to record_order")
    id_images = [file for file in files if file.endswith(".png")]
    surveys = dict(zip(id_images, mapper(survey, [source.root / file for file in id_images]), strict=True))
    documents = [_id_image(file, surveys[file]) if file in surveys else _polygons_file(source, file) for file in files]
    others = [file for file in source.image_files if re.search(r"_gt(Fine|Coarse)_\w+\.png$", file)]
    images, keys = locate_photos(source, [photo for photo, _ in documents], others)
    instances = with_image_keys(keys, [of_file for _, of_file in documents])
    names = {instance.category for instance in instances}
    categories = tuple(label.name for label in LABELS if label.name in names)
    return Dataset(format=FORMAT, categories=categories, images=tuple(images), instances=instances)


def _photo(file: str, image: Image) -> PhotoReference:
    """The photo of a ground truth file: at the same place below leftImg8bit."""
    name = _GROUND_TRUTH.sub(r"\1_leftImg8bit.png", posixpath.basename(file))
    folder = re.sub("gtFine|gtCoarse", "leftImg8bit", folder_of(file))  # gtFine_trainvaltest/gtFine, too
    return PhotoReference(image=image, name=name, folders=(folder, *folders_around(file)))


# Polygons


def _polygons_file(source: Source, file: str) -> tuple[PhotoReference, list[Instance]]:
    image = Image(key="", file="", place=file)
    try:
        document = json_document(source.root / file)
        objects = json_list(document, "objects")
    except AnnotationError as error:
        return _photo(file, replace(image, problem=error.reason, detail=str(error))), []
    image = replace(image, **declared_size(document.get("imgHeight"), document.get("imgWidth")))
    instances = [*_uncovered(file, image), *(_object(file, n, entry) for n, entry in enumerate(objects))]
    return _photo(file, fractions.with_problem(image, instances)), instances


def _uncovered(file: str, image: Image) -> Iterator[Instance]:
    """The whole image as a region to ignore, below all objects: uncovered pixels are unlabeled."""
    if image.height is not None and image.width is not None:
        yield Instance(
            id=f"{file}#unlabeled",
            place=f"{file}: pixels without an object",
            image_key="",
            category="",
            rle=rle.full_frame((image.height, image.width)),
            role="ignore",
            detail="unlabeled, as in the benchmark",
        )


def _object(file: str, position: int, entry: Any) -> Instance:
    """One entry of the list objects."""
    fields = Fields.of_object(entry)
    return Instance(
        id=f"{file}#{position}",
        place=f"{file}: objects[{position}]",
        image_key="",
        **fields.read_together(_class, default={"category": ""}),
        rings=fields.read(_rings, default=()),
        problem=fields.problem,
        detail=fields.detail,
    )


def _class(record: dict[str, Any]) -> dict[str, Any]:
    """category, role and layered. Groups are as in assureSingleInstanceName of cityscapesScripts."""
    name = required_text(record, "label")
    if record.get("deleted") in (1, True):
        raise AnnotationError("the file marks it as deleted", "deleted")
    label = _BY_NAME.get(name)
    is_group = label is None and name.endswith("group")
    if is_group:
        label = _BY_NAME.get(name.removesuffix("group"))
    if label is None:
        problem = f"{reprlib.repr(name)} is not a label of Cityscapes; correct it or delete it"
        raise AnnotationError(problem, UNKNOWN)
    if label.id < 0:
        raise AnnotationError(f"{name} has no id; cityscapesScripts does not draw it either", "deleted")
    return _drawn_as(label, "crowd" if is_group and label.instances else "object")


def _drawn_as(label: Label, role: Role) -> dict[str, Any]:
    if not label.scored:
        detail = f"{label.name}: not scored by the benchmark"
        return {"category": "", "role": "ignore", "layered": True, "detail": detail}
    return {"category": label.name, "role": role, "layered": role == "crowd"}


def _rings(record: dict[str, Any]) -> tuple[tuple[float, ...], ...]:
    return (ring_of_points(record.get("polygon"), minimum=3),)


# ID images


def _id_image(file: str, image_values: Survey) -> tuple[PhotoReference, list[Instance]]:
    image = Image(key="", file="", place=file)
    common = Instance(id=file, image_key="", category="", mask_file=file, place=file)
    if image_values.size_hw is None:
        return _photo(file, image), [replace(common, problem="bad_record", detail=image_values.problem)]
    image = replace(image, height=image_values.size_hw[0], width=image_values.size_hw[1])
    return _photo(file, image), [_of_value(common, value, pixels) for value, pixels in image_values.pixels]


def _of_value(common: Instance, value: int, pixels: int) -> Instance:
    """The pixels of one value: below 1000 an id, a group if the label has instances; else 1000 id + number."""
    instance = replace(common, id=f"{common.place}#{value}", mask_value=value, area=float(pixels))
    label = _BY_ID.get(value // 1000 if value >= 1000 else value)
    if label is None:
        detail = f"the value {value} is not an id of Cityscapes (helpers/labels.py); export the image again"
        return replace(instance, problem=UNKNOWN, detail=detail)
    is_group = common.place.endswith("instanceIds.png") and value < 1000 and label.instances
    return replace(instance, **_drawn_as(label, "crowd" if is_group else "object"))
