"""Which format a source folder is of, and its records."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from segpipe.annotations import coco, cvat, index_masks, labelme, labelme_xml, mask_layouts, supervisely, via
from segpipe.annotations.index_masks import Mapper
from segpipe.annotations.source import Source, list_source
from segpipe.errors import UserError, at
from segpipe.records import Dataset

logger = logging.getLogger(__name__)

AUTO = "auto"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How to read index masks: what their values mean, two patterns instead of folder names, how to map over them."""

    values: Mapping[int, str] | None = None
    image_pattern: str = ""
    mask_pattern: str = ""
    mapper: Mapper = map


_BY_FOLDERS = MaskOptions()


@dataclass(frozen=True, slots=True)
class Recognised:
    """A source that a format can read. what: that in words."""

    what: str
    read: Callable[[], Dataset]


Files = TypeVar("Files", bound=Collection[str])


def _of_files(
    what: str, recognise: Callable[[Source], Files], read: Callable[[Source, Files], Dataset]
) -> Callable[[Source, MaskOptions], Recognised | None]:
    """A format that recognises its annotation files. what: those in words."""

    def recognised(source: Source, options: MaskOptions) -> Recognised | None:
        files = recognise(source)
        return Recognised(f"{what}: {_some(list(files))}", partial(read, source, files)) if files else None

    return recognised


def _masks(source: Source, options: MaskOptions) -> Recognised | None:
    if options.image_pattern:
        layout = mask_layouts.by_patterns(source, options.image_pattern, options.mask_pattern)
    elif (found := mask_layouts.recognise(source)) is not None:
        layout = found
    else:
        return None
    what = f"index masks, {layout.name}: {len(layout.mask_of)} of {len(layout.images)} photographs have one"
    return Recognised(what, partial(index_masks.read, source, layout, options.values, options.mapper))


# A new format is one module with `recognise` and `read`, and its line here.
FORMATS: Mapping[str, Callable[[Source, MaskOptions], Recognised | None]] = {
    coco.FORMAT: _of_files("COCO instances JSON", coco.recognise, coco.read),
    cvat.FORMAT: _of_files("CVAT XML", cvat.recognise, cvat.read),
    labelme.FORMAT: _of_files("LabelMe JSON", labelme.recognise, labelme.read),
    labelme_xml.FORMAT: _of_files("LabelMe 3.0 XML", labelme_xml.recognise, labelme_xml.read),
    supervisely.FORMAT: _of_files("Supervisely JSON", supervisely.recognise, supervisely.read),
    via.FORMAT: _of_files("VGG Image Annotator", via.recognise, via.read),
    index_masks.FORMAT: _masks,
}


def read_source(root: Path, format: str = AUTO, masks: MaskOptions = MaskOptions()) -> Dataset:
    """Read the source folder `root` in one of FORMATS, or in the one that recognises it.

    Raises UserError, one line that starts with `root`: no such folder, no picture in it, an annotation file that
    is broken as a whole, no format that recognises it, or several.
    """
    source = list_source(root)
    with at(str(root)):
        name, recognised = _the_one(source, format, masks)
        logger.info("%s: recognised as %s (%s)", root, name, recognised.what)
        dataset = recognised.read()
    for kind, records in (("images", dataset.images), ("annotations", dataset.instances)):
        problems = Counter(record.problem for record in records if record.problem)
        logger.info("%d %s%s", len(records), kind, f", of them {dict(problems)}" if problems else "")
    return dataset


def _the_one(source: Source, format: str, masks: MaskOptions) -> tuple[str, Recognised]:
    if format not in (AUTO, *FORMATS):
        raise UserError(f"ingest.format {format!r} is unknown; set it to {AUTO}, {', '.join(FORMATS)} in params.yaml")
    if bool(masks.image_pattern) != bool(masks.mask_pattern):
        raise UserError("ingest.image_pattern and ingest.mask_pattern go together; set both in params.yaml, or none")
    patterns_only = format == AUTO and masks.image_pattern
    names = [index_masks.FORMAT] if patterns_only else list(FORMATS) if format == AUTO else [format]
    found = {name: it for name in names if (it := FORMATS[name](source, masks)) is not None}
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        several = " and ".join(f"{name} ({it.what})" for name, it in found.items())
        raise UserError(f"recognised as {several}; set ingest.format in params.yaml to one of them")
    raise UserError(
        f"no annotations of format {_either(names)} among its files ({_suffixes(source)}); point ingest.source in "
        "params.yaml at the folder of one data set, or name its masks by ingest.image_pattern and ingest.mask_pattern"
    )


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _suffixes(source: Source) -> str:
    counts = Counter(PurePosixPath(file).suffix.lower() or "without suffix" for file in source.files)
    return ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:5])


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
