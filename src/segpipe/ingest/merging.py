"""Several data sets of one source, each in its own folder and format, joined into one; and where they contradict."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from segpipe.core.files import sha256_of
from segpipe.data.records import Conflict, Dataset, Image, Instance
from segpipe.ingest.image_records import with_keys
from segpipe.ingest.source import Source, files_below, has_photos, unlisted_images

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of a source. folder: where it stands ("." for all of the source); source: the files of it alone."""

    folder: str
    source: Source
    dataset: Dataset

    @property
    def name(self) -> str:
        """Its folder and format."""
        return f"{self.folder} ({self.dataset.format})"


def folders_below(source: Source, folder: str) -> list[str]:
    """The folders in `folder` that have files of the source somewhere below them."""
    prefix = "" if folder == "." else f"{folder}/"
    inner = {
        file[len(prefix) :].split("/")[0] for file in files_below(source.files, folder) if "/" in file[len(prefix) :]
    }
    return [prefix + name for name in sorted(inner)]


def part_of(source: Source, folder: str) -> Source | None:
    """The files of the source below `folder`, by the same paths; None if they hold no photograph."""
    files = tuple(files_below(source.files, folder))
    refused = {file: why for file, why in source.refused.items() if file.startswith(f"{folder}/")}
    return Source(source.root, files, refused) if has_photos(source.root, files) else None


def merged(source: Source, parts: Sequence[Part]) -> Dataset:
    """The parts as one data set: classes by name in the order of the parts, every picture of the source once.

    conflicts: where parts contradict each other, in how they spell a class or in what they say of the same photograph.
    """
    _warn_of_spellings(parts)
    if len(parts) == 1:
        return parts[0].dataset
    covered = frozenset(file for part in parts for file in [*part.source.files, *part.source.refused])
    owners = [(number, image) for number, part in enumerate(parts) for image in part.dataset.images]
    owners += [(-1, image) for image in unlisted_images(source, covered)]
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
        conflicts=_conflicts(parts),
    )


def _order(image: Image) -> tuple[str, str]:
    return image.file, image.place


def _with_key(instance: Instance, key: str) -> Instance:
    return instance if instance.image_key == key else replace(instance, image_key=key)


def _warn_of_spellings(parts: Sequence[Part]) -> None:
    """Say which classes of one part differ in nothing but capitals, blanks, hyphens or underscores."""
    for part in parts:
        for names in _spellings(part.dataset.categories).values():
            if len(names) > 1:
                said = " and ".join(map(repr, names))
                logger.warning("%s: %s are classes of their own; ingest.classes may make one of them", part.name, said)


def _conflicts(parts: Sequence[Part]) -> tuple[Conflict, ...]:
    """Every contradiction between parts."""
    return (*_spelt_apart(parts), *_annotated_apart(parts))


def _spelt_apart(parts: Sequence[Part]) -> Iterator[Conflict]:
    first: dict[str, tuple[str, Part]] = {}
    for part in parts:
        for name in part.dataset.categories:
            known, owner = first.setdefault(_folded(name), (name, part))
            if known != name and owner is not part:
                yield Conflict(
                    kind="spelling",
                    categories=(known, name),
                    what=f"class {known!r} of {owner.name} and {name!r} of {part.name} differ in spelling only",
                    remedy=f"make them one under ingest.classes in params.yaml (convert: --classes), like "
                    f"{{{known}: [{known}, {name}]}}, or list both",
                )


def _annotated_apart(parts: Sequence[Part]) -> Iterator[Conflict]:
    """The photographs that two parts have, equal to the byte, with objects of other classes in each."""
    classes = [_classes_of(part.dataset) for part in parts]
    for owners in _same_photographs(parts):
        for (one, first), (other, second) in combinations(owners, 2):
            said, contrary = classes[one].get(first.key, set()), classes[other].get(second.key, set())
            if one != other and said != contrary:
                formats = parts[one].dataset.format, parts[other].dataset.format
                yield Conflict(
                    kind="photograph",
                    categories=tuple(sorted(said ^ contrary)),
                    what=f"{first.file} ({formats[0]}: {_listed(said)}) and {second.file} ({formats[1]}: "
                    f"{_listed(contrary)}) are the same photograph, annotated twice and not alike",
                    remedy="keep one of the two, or leave the classes that differ out of ingest.classes in params.yaml",
                )


def _same_photographs(parts: Sequence[Part]) -> Iterator[list[tuple[int, Image]]]:
    """Annotated photographs of the same bytes, with the numbers of their parts; only files of one size are hashed."""
    by_size: dict[int, list[tuple[int, Image]]] = defaultdict(list)
    for number, part in enumerate(parts):
        for image in part.dataset.images:
            if image.annotated and image.file and not image.problem:
                by_size[(part.source.root / image.file).stat().st_size].append((number, image))
    for alike in by_size.values():
        if len({number for number, _ in alike}) > 1:
            by_hash: dict[str, list[tuple[int, Image]]] = defaultdict(list)
            for number, image in alike:
                by_hash[sha256_of(parts[number].source.root / image.file)].append((number, image))
            yield from (owners for owners in by_hash.values() if len(owners) > 1)


def _classes_of(dataset: Dataset) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for instance in dataset.instances:
        if instance.category and not instance.problem:
            found[instance.image_key].add(instance.category)
    return found


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no object"


def _spellings(names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[_folded(name)].append(name)
    return found


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")
