"""Where a data set is written to, what goes there, and the account of what did not."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from segpipe.core.errors import AnnotationError, UserError
from segpipe.core.files import atomic_write
from segpipe.core.parallel import Mapper
from segpipe.data import photos
from segpipe.data.records import Dataset, Image, Instance, by_image
from segpipe.data.split_words import split_named
from segpipe.ingest.parsing import UNKNOWN
from segpipe.ingest.source import folder_of

Shape = TypeVar("Shape")
LOST_FLAGS = "objects lost what their annotator noted: difficult, occluded, truncated"
SPLITS = ("train", "val", "test", None)


@dataclass(frozen=True, slots=True)
class Target:
    """root: the source folder; out: where to write; copy_images: photographs too; mapper: how to map over pictures."""

    root: Path
    out: Path
    copy_images: bool = False
    mapper: Mapper = map

    def put_photograph(self, file: str, place: str) -> None:
        """Copy a photograph of the source to `place` in the target, if photographs are copied at all."""
        if not self.copy_images:
            return
        with atomic_write(self.out / place, durable=False) as part:
            if photos.is_embedded(self.root / file):
                part.write_bytes(photos.embedded_file(self.root / file))
            else:
                shutil.copyfile(self.root / file, part)


@dataclass(frozen=True, slots=True)
class Written:
    """Counts: what was written; changed: what the target says in another way; dropped: what is not there, and why.

    files: the photographs that were written of, as the source has them.
    """

    counts: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """One annotated photograph. size_hw: pixels as declared, else as its file has them."""

    image: Image
    size_hw: tuple[int, int]
    instances: tuple[Instance, ...]


def accepted(
    page: Page, refused: Callable[[Instance], str], shape: Callable[[Instance], Shape], written: Written
) -> Iterator[tuple[Instance, Shape]]:
    """Each instance of the page with its shape in the target; what is refused, or cannot be drawn, is counted."""
    for instance in page.instances:
        reason = refused(instance)
        if reason:
            written.dropped[reason] += 1
            continue
        try:
            found = shape(instance)
        except AnnotationError as error:
            written.dropped[f"annotation: {error.reason}"] += 1
            continue
        yield instance, found


def check(root: Path, out: Path) -> None:
    """Raise UserError unless `out` is absent or an empty folder, outside the source folder."""
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{out}: lies in the source folder, which is only read; name another folder")
    try:
        if any(out.iterdir()):
            raise UserError(f"{out}: is not empty; name a new folder, or empty this one")
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); name another folder") from error


def of_classes(dataset: Dataset, class_of: Mapping[str, str]) -> Dataset:
    """The data set with these classes only, in this order, regions to ignore included.

    class_of: the class that each category which counts becomes. Raises UserError for a category that the source has
    not.
    """
    missing = [name for name in class_of if name not in dataset.categories]
    if missing:
        raise UserError(f"--classes: no class {missing[0]!r} in the source; it has {', '.join(dataset.categories)}")
    unwanted = set(dataset.categories) - set(class_of)
    kept = [
        replace(instance, category=class_of.get(instance.category, instance.category))
        for instance in dataset.instances
        if instance.category not in unwanted
    ]
    return replace(dataset, categories=tuple(dict.fromkeys(class_of.values())), instances=tuple(kept))


def with_holes(dataset: Dataset) -> Dataset:
    """The data set with outlines of several rings drawn by even-odd."""
    drawn = (replace(i, even_odd=True) if len(i.rings) > 1 and i.kind == "region" else i for i in dataset.instances)
    return replace(dataset, instances=tuple(drawn))


def pages(dataset: Dataset, root: Path, written: Written) -> list[Page]:
    """The annotated photographs with the annotations that can be used; counts those and what is left out, by reason.

    Raises UserError if no photograph is left.
    """
    of_image = by_image(dataset.instances)
    found = list(_pages(dataset, root, of_image, written))
    for homeless in of_image.values():
        written.dropped.update(_reason(instance) or "annotation: image_lost" for instance in homeless)
    if not found:
        reasons = ", ".join(f"{count} {reason}" for reason, count in written.dropped.most_common())
        raise UserError(f"{root}: no annotated photograph can be used ({reasons}); mend the source")
    written.files.extend(page.image.file for page in found)
    return found


def _pages(dataset: Dataset, root: Path, of_image: dict[str, list[Instance]], written: Written) -> Iterator[Page]:
    for image in dataset.images:
        try:
            size_hw = _size_hw(image, root)
        except AnnotationError as error:
            written.dropped[f"photograph: {error.reason}"] += 1
            continue
        instances = [_as_ignored(instance, written) for instance in of_image.pop(image.key, [])]
        written.dropped.update(filter(None, map(_reason, instances)))
        written.changed["annotations lost outlines that enclose nothing"] += sum(
            not i.problem and i.rings_refused > 0 for i in instances
        )
        yield Page(image, size_hw, tuple(instance for instance in instances if not instance.problem))


def _as_ignored(instance: Instance, written: Written) -> Instance:
    """An outline or pixels whose class nothing names, as a region to ignore, which it is to the pipeline too."""
    if instance.problem != UNKNOWN or not (instance.rings or instance.rle or instance.mask_value is not None):
        return instance
    written.changed["annotations of an unknown class became regions to ignore"] += 1
    return replace(instance, problem="", category="", role="ignore")


def _reason(instance: Instance) -> str:
    return f"annotation: {instance.problem}" if instance.problem else ""


def _size_hw(image: Image, root: Path) -> tuple[int, int]:
    if image.problem:
        raise AnnotationError(image.detail, image.problem)
    if not image.annotated:
        raise AnnotationError("no annotation file names it", "not_annotated")
    if photos.is_embedded(root / image.file):
        photos.read_size(root / image.file)  # a picture in base64 is sooner broken than a file of its own
    if image.height is not None and image.width is not None:
        return image.height, image.width
    return photos.viewed_hw(*photos.read_size(root / image.file))


def places(images: Sequence[Image], named: Callable[[Image], str]) -> dict[str, str]:
    """For each key a place without suffix: by_path or by_split; photographs that would share one go by their keys."""
    own = {image.key: named(image) for image in images}
    counts = Counter(place.casefold() for place in own.values())
    return {key: place if counts[place.casefold()] == 1 else f"{folder_of(place)}/{key}" for key, place in own.items()}


def by_path(image: Image) -> str:
    """The photograph's own path without suffix, below a folder of its split's name if no folder says it."""
    stem = _stem(image)
    return stem if split_named(folder_of(stem)) == image.split else f"{image.split}/{stem}"


def by_split(image: Image) -> str:
    """The photograph's own path without suffix, the first folder always that of its split, if it has one."""
    stem = _stem(image)
    return stem if not image.split or stem.startswith(f"{image.split}/") else f"{image.split}/{stem}"


def _stem(image: Image) -> str:
    return str(PurePosixPath(image.file).with_suffix(""))


def photograph(image: Image, root: Path) -> str:
    """The photograph's path in the source; one inside an annotation file as if it stood beside that."""
    return f"{_stem(image)}{suffix(image, root)}"


def suffix(image: Image, root: Path) -> str:
    """What the photograph's file ends in, or would if it were one."""
    return photos.suffix(root / image.file)


def path_from(folder: Path, path: Path) -> str:
    """`path` as a POSIX path relative to `folder`."""
    return Path(os.path.relpath(path, folder)).as_posix()
