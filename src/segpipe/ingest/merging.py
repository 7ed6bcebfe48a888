"""Several data sets of one source, each in a folder and a format of its own, as one."""

from collections.abc import Sequence
from dataclasses import replace

from segpipe.data.records import Dataset, Image, Instance
from segpipe.ingest import conflicts
from segpipe.ingest.conflicts import Part
from segpipe.ingest.keys import with_keys
from segpipe.ingest.source import Source, below, holds_photographs, unlisted


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
    """The parts as one data set: classes by name in the order of the parts, every picture of the source once.

    conflicts: where parts contradict each other, in how they spell a class or in what they say of the same photograph.
    """
    conflicts.warn_of_spellings(parts)
    if len(parts) == 1:
        return parts[0].dataset
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
        conflicts=conflicts.between(parts),
    )


def _order(image: Image) -> tuple[str, str]:
    return image.file, image.place


def _with_key(instance: Instance, key: str) -> Instance:
    return instance if instance.image_key == key else replace(instance, image_key=key)
