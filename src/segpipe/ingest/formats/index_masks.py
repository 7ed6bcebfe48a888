"""Index masks: an image file per photo whose pixel values are class numbers, or colours.

    images/a.jpg + masks/a.png         other layouts: mask_layouts.py, or ingest.image_pattern and ingest.mask_pattern
    classes.txt, labelmap.txt ...      the meaning of values and colours: mask_classes.py, or ingest.mask_values

Encoding: a PNG, BMP or TIFF of 8 or 16 bits, of palette indices, or of RGB colours that a file declares. Without names
0 is background, 255 is ignored and the others are class_1, class_2 ...
Spec: none; CamVid, ADE20K and many other sets are stored like this.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace

from segpipe.core.errors import UserError
from segpipe.core.parallel import Mapper
from segpipe.data.classes import BACKGROUND
from segpipe.data.records import Dataset, Image, Instance
from segpipe.ingest.image_keys import with_keys
from segpipe.ingest.mask_classes import IGNORE, MaskClasses, colour_classes, value_classes
from segpipe.ingest.mask_layouts import Layout
from segpipe.ingest.mask_surveys import Survey, survey
from segpipe.ingest.source import Source, unlisted_images
from segpipe.masks.mask_files import Colour

logger = logging.getLogger(__name__)

FORMAT = "index_masks"


def read(
    source: Source,
    layout: Layout,
    values: Mapping[int, str] | None = None,
    mapper: Mapper = map,
    colours: Mapping[Colour, str] | None = None,
) -> Dataset:
    """The data set of the masks of `layout`: one Instance per value of a mask, without background.

    A value without a name, and a mask that cannot be read, is an Instance with a problem. Raises UserError if no mask
    can be read or no mask has a class.

    values: class name, "background" or "ignore" by value; without them a file of names in the source is used.
    colours: the same by colour, for masks with colours; without them a file of colours in the source is used.
    """
    masks = sorted([*layout.mask_of.values(), *layout.unmatched])
    classes = MaskClasses(
        value_classes(source, layout.folders, values), colour_classes(source, layout.folders, colours)
    )
    all_surveys = mapper(survey, [source.root / mask for mask in masks])
    surveys = {mask: usable(it, classes) for mask, it in zip(masks, all_surveys, strict=True)}
    categories = _categories(surveys, classes)
    images = with_keys(_images(source, layout, surveys))
    photo_of = {mask: photo for photo, mask in layout.mask_of.items()}
    key_of = {image.file or image.place: image.key for image in images}
    return Dataset(
        format=FORMAT,
        categories=categories,
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(
            instance
            for mask in masks
            for instance in instances_of(mask, key_of[photo_of.get(mask, mask)], surveys[mask], classes)
        ),
    )


def usable(mask_survey: Survey, classes: MaskClasses) -> Survey:
    """The survey, with a problem if the meaning of its colours is unknown."""
    return replace(mask_survey, problem=mask_survey.problem or classes.problem(mask_survey))


def _categories(surveys: Mapping[str, Survey], classes: MaskClasses) -> tuple[str, ...]:
    readable = [it for it in surveys.values() if not it.problem]
    if not readable:
        mask, first = next(iter(surveys.items()))
        raise UserError(f"none of the {len(surveys)} masks can be read; the first, {mask}: {first.problem}")
    categories = classes.categories(readable)
    if not categories:
        present = ", ".join(map(str, sorted({value for it in readable for value, _ in it.pixels})))
        raise UserError(
            f"the masks contain only {present}, which {classes.named_by or 'the default'} reads as background or "
            "ignore; name the classes under ingest.mask_values, for example {255: object}"
        )
    return categories


def _images(source: Source, layout: Layout, surveys: Mapping[str, Survey]) -> list[Image]:
    photos = [_photo(file, layout, surveys) for file in layout.photos]
    missing = [
        Image(key="", file="", place=place, problem="missing_file", detail=why)
        for place, why in [*layout.unmatched.items(), *layout.missing.items()]
    ]
    listed = frozenset([*layout.photos, *surveys, *layout.other_files])
    return [*photos, *missing, *unlisted_images(source, listed)]


def _photo(file: str, layout: Layout, surveys: Mapping[str, Survey]) -> Image:
    mask = layout.mask_of.get(file, "")
    split, notes = layout.split_of.get(file), layout.notes(file)
    image = Image(key="", file=file, split=split, annotated=bool(mask), place=mask, notes=notes)
    size_hw = surveys[mask].size_hw if mask else None
    return image if size_hw is None else replace(image, width=size_hw[1], height=size_hw[0])


def instances_of(mask: str, image_key: str, mask_survey: Survey, classes: MaskClasses) -> Iterator[Instance]:
    """One Instance per value of a mask, without background; one with a problem if the mask cannot be used."""
    of_mask = Instance(id=mask, image_key=image_key, category="", mask_file=mask, place=mask)
    if mask_survey.problem:
        yield replace(of_mask, problem="bad_record", detail=mask_survey.problem)
        return
    for value, pixels in mask_survey.pixels:
        meaning = classes.meaning(mask_survey, value)
        if meaning == BACKGROUND:
            continue
        instance = replace(of_mask, id=f"{mask}#{value}", mask_value=value, area=float(pixels))
        if meaning is None:
            yield replace(instance, problem="unknown_category", detail=classes.unnamed_problem(mask_survey, value))
        elif meaning == IGNORE:
            yield replace(instance, role="ignore")
        else:
            yield replace(instance, category=meaning)
