"""The target of a conversion: the images to write, their paths in the target, and the counts of what changed."""

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

Converted = TypeVar("Converted")
LOST_FLAGS = "object: without flags (difficult, occluded, truncated)"
SPLITS = ("train", "val", "test", None)


@dataclass(frozen=True, slots=True)
class Target:
    """The folder and the options of a conversion."""

    root: Path  # the source folder
    out: Path
    copy_images: bool = False
    mapper: Mapper = map  # maps a function over images

    def copy_photo(self, file: str, path: str) -> None:
        """Copy a photo of the source to `path` in the target, if copy_images is set.

        file: the photo's path in the source; an image inside an annotation file becomes a file.
        """
        if not self.copy_images:
            return
        with atomic_write(self.out / path, durable=False) as part:
            if photos.is_embedded(self.root / file):
                part.write_bytes(photos.embedded_file(self.root / file))
            else:
                shutil.copyfile(self.root / file, part)


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a conversion. Each key of the counters is a noun, and mostly what happened: "image: unreadable"."""

    counts: Counter[str] = field(default_factory=Counter)  # records written
    changed: Counter[str] = field(default_factory=Counter)  # records that the target has in another form
    dropped: Counter[str] = field(default_factory=Counter)  # records left out, with the reason
    files: list[str] = field(default_factory=list)  # the photos of the written images, as the source names them


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One annotated image that can be read, and its annotations that can be used."""

    image: Image
    size_hw: tuple[int, int]  # as declared, otherwise of the photo
    instances: tuple[Instance, ...]


def convert_each(
    annotated: AnnotatedImage,
    refusal: Callable[[Instance], str],
    converted: Callable[[Instance], Converted],
    written: Written,
) -> Iterator[tuple[Instance, Converted]]:
    """Each instance of an image with its shape in the target; the others are counted in written.dropped.

    refusal: why the target cannot store an instance, "" if it can; converted: makes the shape, or raises
    AnnotationError.
    """
    for instance in annotated.instances:
        reason = refusal(instance)
        if reason:
            written.dropped[reason] += 1
            continue
        try:
            shape = converted(instance)
        except AnnotationError as error:
            written.dropped[f"annotation: {error.reason}"] += 1
            continue
        yield instance, shape


def check_folders(root: Path, out: Path) -> None:
    """Raise UserError unless `out` is a new or empty folder outside the source folder `root`."""
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{out}: is in the source folder, which is only read; name another folder")
    try:
        if any(out.iterdir()):
            raise UserError(f"{out}: is not empty; name a new folder, or empty this one")
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); name another folder") from error


def with_classes(dataset: Dataset, class_of: Mapping[str, str]) -> Dataset:
    """The data set with the selected classes only, and with all ignored regions.

    class_of: the class of each selected category, in the order of the classes.
    Raises UserError for a category that the source does not have.
    """
    missing = [name for name in class_of if name not in dataset.categories]
    if missing:
        raise UserError(f"--classes: no class {missing[0]!r} in the source; it has {', '.join(dataset.categories)}")
    unselected = set(dataset.categories) - set(class_of)
    kept = [
        replace(instance, category=class_of.get(instance.category, instance.category))
        for instance in dataset.instances
        if instance.category not in unselected
    ]
    return replace(dataset, categories=tuple(dict.fromkeys(class_of.values())), instances=tuple(kept))


def with_holes(dataset: Dataset) -> Dataset:
    """The data set with outlines of several rings drawn by the even-odd rule."""
    instances = (replace(i, even_odd=True) if len(i.rings) > 1 and i.kind == "region" else i for i in dataset.instances)
    return replace(dataset, instances=tuple(instances))


def annotated_images(dataset: Dataset, root: Path, written: Written) -> list[AnnotatedImage]:
    """The annotated images with their usable annotations; the others are counted in `written` by their reason.

    Raises UserError if no image remains.
    """
    of_image = by_image(dataset.instances)
    images = list(_annotated_images(dataset, root, of_image, written))
    for without_image in of_image.values():
        written.dropped.update(_reason(instance) or "annotation: image_lost" for instance in without_image)
    if not images:
        reasons = ", ".join(f"{count} {reason}" for reason, count in written.dropped.most_common())
        raise UserError(f"{root}: no annotated image can be used ({reasons}); fix the source")
    written.files.extend(annotated.image.file for annotated in images)
    return images


def _annotated_images(
    dataset: Dataset, root: Path, of_image: dict[str, list[Instance]], written: Written
) -> Iterator[AnnotatedImage]:
    """of_image: the instances by image key; those of the returned images are removed from it."""
    for image in dataset.images:
        try:
            size_hw = _size_hw(image, root)
        except AnnotationError as error:
            written.dropped[f"image: {error.reason}"] += 1
            continue
        instances = [_as_ignored(instance, written) for instance in of_image.pop(image.key, [])]
        written.dropped.update(filter(None, map(_reason, instances)))
        written.changed["annotation: without the rings that enclose no area"] += sum(
            not i.problem and i.rings_refused > 0 for i in instances
        )
        yield AnnotatedImage(image, size_hw, tuple(instance for instance in instances if not instance.problem))


def _as_ignored(instance: Instance, written: Written) -> Instance:
    """An instance of an unknown class with pixels as an ignored region, as in the pipeline."""
    if instance.problem != UNKNOWN or not (instance.rings or instance.rle or instance.mask_value is not None):
        return instance
    written.changed["annotation: of an unknown class, as ignored region"] += 1
    return replace(instance, problem="", category="", role="ignore")


def _reason(instance: Instance) -> str:
    return f"annotation: {instance.problem}" if instance.problem else ""


def _size_hw(image: Image, root: Path) -> tuple[int, int]:
    if image.problem:
        raise AnnotationError(image.detail, image.problem)
    if not image.annotated:
        raise AnnotationError("no annotation file names it", "not_annotated")
    if photos.is_embedded(root / image.file):
        photos.read_size(root / image.file)  # an image in base64 is damaged more often than a file
    if image.height is not None and image.width is not None:
        return image.height, image.width
    return photos.viewed_hw(*photos.read_size(root / image.file))


def target_stems(images: Sequence[Image], stem_of: Callable[[Image], str]) -> dict[str, str]:
    """The path in the target without suffix by image key, unique also if upper and lower case are the same.

    stem_of: by_path or by_split. Images that would have the same path get their keys as names.
    """
    stems = {image.key: stem_of(image) for image in images}
    counts = Counter(stem.casefold() for stem in stems.values())
    return {key: stem if counts[stem.casefold()] == 1 else f"{folder_of(stem)}/{key}" for key, stem in stems.items()}


def by_path(image: Image) -> str:
    """The photo's path without suffix, in a folder named after its split if no folder of the path means the split."""
    stem = _stem(image)
    return stem if split_named(folder_of(stem)) == image.split else f"{image.split}/{stem}"


def by_split(image: Image) -> str:
    """The photo's path without suffix; the first folder is always that of its split, if it has one."""
    stem = _stem(image)
    return stem if not image.split or stem.startswith(f"{image.split}/") else f"{image.split}/{stem}"


def _stem(image: Image) -> str:
    return str(PurePosixPath(image.file).with_suffix(""))


def photo_path(image: Image, root: Path) -> str:
    """The photo's path in the source; an image inside an annotation file as if it were a file next to it."""
    return f"{_stem(image)}{suffix(image, root)}"


def suffix(image: Image, root: Path) -> str:
    """The suffix of the photo's file; for an image inside an annotation file, the suffix of its format."""
    return photos.suffix(root / image.file)


def path_from(folder: Path, path: Path) -> str:
    """`path` as a POSIX path relative to `folder`."""
    return Path(os.path.relpath(path, folder)).as_posix()
