"""Several data sets of one source, each in a folder and a format of its own, as one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from segpipe.annotations.keys import with_keys
from segpipe.annotations.source import Source, below, holds_photographs, unlisted
from segpipe.records import Dataset, Image, Instance

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of a source. folder: where it stands ("." for all of the source); source: the files of it alone."""

    folder: str
    source: Source
    dataset: Dataset


def folders_below(source: Source, folder: str) -> list[str]:
    """The folders in `folder` that have files of the source somewhere below them."""
    prefix = "" if folder == "." else f"{folder}/"
    inner = {file[len(prefix) :].split("/")[0] for file in below(source.files, folder) if "/" in file[len(prefix) :]}
    return [prefix + name for name in sorted(inner)]


def part_of(source: Source, folder: str) -> Source | None:
    """The files of the source below `folder`, by the same paths; None if they hold no photograph."""
    files = tuple(below(source.files, folder))
    refused = {file: why for file, why in source.refused.items() if file.startswith(f"{folder}/")}
    return Source(source.root, files, refused) if holds_photographs(source.root, files) else None


def merged(source: Source, parts: Sequence[Part]) -> Dataset:
    """The parts as one data set: classes by name in the order of the parts, every picture of the source once."""
    if len(parts) == 1:
        return parts[0].dataset
    _warn_of_spellings(parts)
    covered = frozenset(file for part in parts for file in [*part.source.files, *part.source.refused])
    owners = [(number, image) for number, part in enumerate(parts) for image in part.dataset.images]
    owners += [(-1, image) for image in unlisted(source, covered)]
    images = with_keys([image for _, image in owners])
    key_of = {(n, before.key): now.key for (n, before), now in zip(owners, images, strict=True)}
    return Dataset(
        format=" + ".join(dict.fromkeys(part.dataset.format for part in parts)),
        categories=tuple(dict.fromkeys(name for part in parts for name in part.dataset.categories)),
        images=tuple(sorted(images, key=_order)),
        instances=tuple(
            _with_key(instance, key_of.get((number, instance.image_key), ""))
            for number, part in enumerate(parts)
            for instance in part.dataset.instances
        ),
    )


def _order(image: Image) -> tuple[str, str]:
    return image.file, image.place


def _with_key(instance: Instance, key: str) -> Instance:
    return instance if instance.image_key == key else replace(instance, image_key=key)


def _warn_of_spellings(parts: Sequence[Part]) -> None:
    """Say which classes of different parts differ in nothing but capitals, blanks or underscores."""
    first: dict[str, tuple[str, str]] = {}
    for part in parts:
        for name in part.dataset.categories:
            folded = name.casefold().replace("_", "").replace("-", "").replace(" ", "")
            known, folder = first.setdefault(folded, (name, part.folder))
            if known != name:
                logger.warning(
                    "class %r (%s) and %r (%s) are two classes; merge them under ingest.classes if they are one",
                    known,
                    folder,
                    name,
                    part.folder,
                )
