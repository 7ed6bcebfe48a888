"""The join of several data sets of one source, each in a separate folder and format, and the conflicts between them."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from segpipe.core.files import sha256_of
from segpipe.data.records import Conflict, Dataset, Image, Instance
from segpipe.ingest.image_keys import with_keys
from segpipe.ingest.source import Source, files_below, has_photos, unlisted_images

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of a source."""

    folder: str  # "." for the whole source
    source: Source  # only the files in `folder`
    dataset: Dataset

    @property
    def name(self) -> str:
        """The folder and format, for messages."""
        return f"{self.folder} ({self.dataset.format})"


def folders_below(source: Source, folder: str) -> list[str]:
    """The sub-folders of `folder` that contain files of the source."""
    prefix = "" if folder == "." else f"{folder}/"
    inner = {
        file[len(prefix) :].split("/")[0] for file in files_below(source.files, folder) if "/" in file[len(prefix) :]
    }
    return [prefix + name for name in sorted(inner)]


def part_of(source: Source, folder: str) -> Source | None:
    """The source restricted to the files below `folder`; None if no photo is among them."""
    files = tuple(files_below(source.files, folder))
    refused = {file: why for file, why in source.refused.items() if file.startswith(f"{folder}/")}
    return Source(source.root, files, refused) if has_photos(source.root, files) else None


def merged(source: Source, parts: Sequence[Part]) -> Dataset:
    """The parts as one data set, with the conflicts between them.

    Classes are joined by name, in the order of the parts. Every image file of the source occurs once.
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
    """Log the classes of one part that differ only in case, blanks, hyphens or underscores."""
    for part in parts:
        for names in _spellings(part.dataset.categories).values():
            if len(names) > 1:
                similar = " and ".join(map(repr, names))
                logger.warning("%s: %s are separate classes; join them under ingest.classes", part.name, similar)


def _conflicts(parts: Sequence[Part]) -> tuple[Conflict, ...]:
    """All conflicts between the parts."""
    return (*_spelling_conflicts(parts), *_annotation_conflicts(parts))


def _spelling_conflicts(parts: Sequence[Part]) -> Iterator[Conflict]:
    first: dict[str, tuple[str, Part]] = {}
    for part in parts:
        for name in part.dataset.categories:
            earlier, owner = first.setdefault(_folded(name), (name, part))
            if earlier != name and owner is not part:
                yield Conflict(
                    kind="spelling",
                    categories=(earlier, name),
                    what=f"class {earlier!r} of {owner.name} and {name!r} of {part.name} differ only in spelling",
                    remedy=f"join them under ingest.classes in params.yaml (convert: --classes), like "
                    f"{{{earlier}: [{earlier}, {name}]}}, or list both",
                )


def _annotation_conflicts(parts: Sequence[Part]) -> Iterator[Conflict]:
    """Photos with equal bytes in two parts, annotated with different classes."""
    classes = [_classes_of(part.dataset) for part in parts]
    for owners in _equal_photos(parts):
        for (one, first), (other, second) in combinations(owners, 2):
            names, other_names = classes[one].get(first.key, set()), classes[other].get(second.key, set())
            if one != other and names != other_names:
                formats = parts[one].dataset.format, parts[other].dataset.format
                yield Conflict(
                    kind="photograph",
                    categories=tuple(sorted(names ^ other_names)),
                    what=f"{first.file} ({formats[0]}: {_listed(names)}) and {second.file} ({formats[1]}: "
                    f"{_listed(other_names)}) are the same photo, annotated twice with different classes",
                    remedy="keep one of them, or remove the differing classes from ingest.classes in params.yaml",
                )


def _equal_photos(parts: Sequence[Part]) -> Iterator[list[tuple[int, Image]]]:
    """Groups of annotated photos with equal bytes, with the numbers of their parts. Only equal sizes are hashed."""
    by_size: dict[int, list[tuple[int, Image]]] = defaultdict(list)
    for number, part in enumerate(parts):
        for image in part.dataset.images:
            if image.annotated and image.file and not image.problem:
                by_size[(part.source.root / image.file).stat().st_size].append((number, image))
    for same_size in by_size.values():
        if len({number for number, _ in same_size}) > 1:
            by_hash: dict[str, list[tuple[int, Image]]] = defaultdict(list)
            for number, image in same_size:
                by_hash[sha256_of(parts[number].source.root / image.file)].append((number, image))
            yield from (owners for owners in by_hash.values() if len(owners) > 1)


def _classes_of(dataset: Dataset) -> dict[str, set[str]]:
    classes_of: dict[str, set[str]] = defaultdict(set)
    for instance in dataset.instances:
        if instance.category and not instance.problem:
            classes_of[instance.image_key].add(instance.category)
    return classes_of


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no object"


def _spellings(names: Sequence[str]) -> dict[str, list[str]]:
    names_of: dict[str, list[str]] = defaultdict(list)
    for name in names:
        names_of[_folded(name)].append(name)
    return names_of


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")
