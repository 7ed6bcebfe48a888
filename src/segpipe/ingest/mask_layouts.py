"""Which mask belongs to which photograph: the folder layouts that people use.

CamVid: X and Xannot. Plain: images and masks, with folders for the splits above or below. Or two patterns that say
it. VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from segpipe.core.errors import UserError
from segpipe.data.records import Note
from segpipe.data.split_words import SPLIT_WORDS, split_named
from segpipe.ingest.finding import OTHER_FOLDER
from segpipe.ingest.source import Source, below, folder_of

_IMAGE_FOLDERS = ("images", "image", "imgs", "img")
_MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "annotation", "segmentations", "gt")
_VOC_SETS = "ImageSets/Segmentation"
_LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
_EXTRA = re.compile(
    r"(_leftImg8bit|_image|_img|_sat"
    r"|(_gtFine|_gtCoarse)?_(labelIds|labelTrainIds)|[-_](mask|masks|label|labels|seg|segmentation|gt|annotation|L))$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Photographs and masks of a source. name: the layout in words; folders: where a file of class names may stand.

    mask_of: mask by photograph; images: all photographs, with a mask or without; lone: masks without a photograph
    and why; split_of: the source's own split by photograph; others: pictures that are neither; absent: places of
    list entries without a file, and why; apart: photographs whose mask is in a folder of another name.
    """

    name: str
    folders: tuple[str, ...]
    images: tuple[str, ...]
    mask_of: Mapping[str, str]
    lone: Mapping[str, str]
    split_of: Mapping[str, str | None]
    others: frozenset[str] = frozenset()
    absent: Mapping[str, str] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()

    def notes(self, photo: str) -> tuple[Note, ...]:
        """What is worth knowing of how a photograph has its mask."""
        words = f"its mask is {self.mask_of.get(photo)}, the only file of that name"
        return ((OTHER_FOLDER, words),) if photo in self.apart else ()


def recognise(source: Source) -> Layout | None:
    """The first layout, of CamVid and plain folders, by which a photograph has a mask."""
    tree = _tree(source)
    return _annot(source, tree) or _plain(source, tree)


def voc(source: Source) -> Layout | None:
    """The layout of VOC's folders, with the splits that ImageSets names; None if no photograph has a class mask."""
    tree = _tree(source)
    bases = [base for base, below in tree.items() if {"jpegimages", "segmentationclass"} <= below.keys()]
    pairs = [(tree[base]["jpegimages"], tree[base]["segmentationclass"]) for base in bases]
    others = [tree[base]["segmentationobject"] for base in bases if "segmentationobject" in tree[base]]
    layout = _of_folders(source, "VOC", pairs, others)
    return None if layout is None else replace(_with_voc_sets(source, layout), folders=(".", *bases))


def by_patterns(source: Source, image_pattern: str, mask_pattern: str) -> Layout:
    """The layout that two glob patterns say, relative to the source; '**' stands for any folders.

    Photographs and masks match by their path behind the folders that a pattern spells out, without suffix.
    Raises UserError if a pattern is none, or nothing matches.
    """
    masks = _globbed(source, mask_pattern, "ingest.mask_pattern")
    found = _globbed(source, image_pattern, "ingest.image_pattern")
    images = sorted(set(found) - set(masks))
    stems = _stems(images, _spelt_out(image_pattern)), _stems(masks, _spelt_out(mask_pattern))
    mask_of, lone, apart = _matched(*stems)
    if not mask_of:
        raise UserError(
            f"none of the {len(images)} pictures of ingest.image_pattern {image_pattern!r} has its name among the "
            f"{len(masks)} of ingest.mask_pattern {mask_pattern!r}; mend the patterns in params.yaml"
        )
    return Layout(
        name=f"{image_pattern} + {mask_pattern}",
        folders=(".",),
        images=tuple(images),
        mask_of=mask_of,
        lone=lone,
        split_of={file: _split(file, mask_of) for file in images},
        apart=apart,
    )


def _globbed(source: Source, pattern: str, key: str) -> list[str]:
    """The pictures that a pattern means: only the source's own list is searched, never the disk."""
    wanted = PurePosixPath(pattern).parts
    if not wanted or wanted[0] == "/" or ".." in wanted:
        raise UserError(f"{key} {pattern!r} is no pattern of files in the source; mend it")
    return [file for file in source.pictures if _fits(file.split("/"), wanted)]


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the parts of a path are those of a pattern, in which '**' stands for any folders."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_fits(parts[start:], wanted[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def _spelt_out(pattern: str) -> str:
    """The folders of a pattern before its first wildcard."""
    parts = PurePosixPath(pattern).parts[:-1]
    wild = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    return "/".join(parts[:wild]) or "."


Tree = Mapping[str, Mapping[str, str]]  # folder -> the folders in it, by name in lower case


def _tree(source: Source) -> Tree:
    folders = {folder_of(file) for file in source.pictures}
    above = folders | {str(folder) for inner in folders for folder in PurePosixPath(inner).parents}
    tree: dict[str, dict[str, str]] = {folder: {} for folder in sorted(above)}
    for folder in sorted(above - {"."}):
        tree[folder_of(folder)][PurePosixPath(folder).name.casefold()] = folder
    return tree


def _annot(source: Source, tree: Tree) -> Layout | None:
    pairs = [(folder, f"{folder}annot") for folder in tree if f"{folder}annot" in tree]
    return _of_folders(source, "X/ + Xannot/", pairs, [])


def _plain(source: Source, tree: Tree) -> Layout | None:
    pairs, others = _plain_pairs(tree)
    return _of_folders(source, "images/ + masks/", pairs, others)


def plain_folders(source: Source) -> list[tuple[str, str]]:
    """Each folder of photographs with the folder of masks beside it."""
    return _plain_pairs(_tree(source))[0]


def _plain_pairs(tree: Tree) -> tuple[list[tuple[str, str]], list[str]]:
    """(image folder, mask folder) of each place that has both, and further mask folders there."""
    pairs, others = [], []
    for inner in tree.values():
        images = next((inner[name] for name in _IMAGE_FOLDERS if name in inner), None)
        masks = [inner[name] for name in _MASK_FOLDERS if name in inner]
        if images and masks:
            pairs.append((images, masks[0]))
            others += masks[1:]
    return pairs, others


def _of_folders(source: Source, name: str, pairs: list[tuple[str, str]], others: list[str]) -> Layout | None:
    """The layout of pairs of (image folder, mask folder), None if no photograph has a mask that keeps its values."""
    mask_of: dict[str, str] = {}
    lone: dict[str, str] = {}
    images: set[str] = set()
    apart: set[str] = set()
    for image_folder, mask_folder in pairs:
        image_stems = _stems(below(source.pictures, image_folder), image_folder)
        matched, left, strange = _matched(image_stems, _stems(below(source.pictures, mask_folder), mask_folder))
        images.update(image_stems)
        mask_of |= matched
        lone |= left
        apart |= strange
    if not any(mask.lower().endswith(_LOSSLESS) for mask in mask_of.values()):
        return None
    return Layout(
        name=name,
        folders=tuple(dict.fromkeys([".", *(folder_of(image_folder) for image_folder, _ in pairs)])),
        images=tuple(sorted(images)),
        mask_of=mask_of,
        lone=lone,
        split_of={file: _split(file, mask_of) for file in sorted(images)},
        others=frozenset(file for folder in others for file in below(source.pictures, folder)),
        apart=frozenset(apart),
    )


def _split(image: str, mask_of: Mapping[str, str]) -> str | None:
    return split_named(folder_of(image)) or split_named(folder_of(mask_of.get(image, "")))


def _with_voc_sets(source: Source, layout: Layout) -> Layout:
    """The layout with the split of each photograph as its VOC list names it; of several lists the first."""
    image_of = {_voc_stem(file): file for file in reversed(layout.images)}
    lone = {_voc_stem(file) for file in layout.lone}
    split_of: dict[str, str | None] = {}
    absent: dict[str, str] = {}
    for split in SPLIT_WORDS:
        for place, stem in _voc_entries(source, split):
            if stem in image_of:
                split_of.setdefault(image_of[stem], split)
            elif stem not in lone:
                absent[place] = f"no photograph {stem}; put it there or take it off the list"
    return replace(layout, split_of=split_of, absent=absent)


def _voc_stem(file: str) -> str:
    """JPEGImages/2007_000032.jpg or SegmentationClass/2007_000032.png -> 2007_000032, behind the folder of both."""
    base, _, name = str(PurePosixPath(file).with_suffix("")).rpartition("/")
    return str(PurePosixPath(base).parent / name)


def _voc_entries(source: Source, split: str) -> Iterator[tuple[str, str]]:
    """(place, stem) of each line of the lists that name the photographs of one split."""
    for file in source.files:
        if file == (tail := f"{_VOC_SETS}/{split}.txt") or file.endswith(f"/{tail}"):
            base = PurePosixPath(file).parent.parent.parent
            for number, line in enumerate(source.text(file).splitlines(), start=1):
                if line.strip():
                    yield f"{file}: line {number}", str(base / line.split()[0])


def _stems(files: Iterable[str], folder: str) -> dict[str, str]:
    """The path behind `folder`, without suffix, of each file."""
    cut = 0 if folder == "." else len(folder) + 1
    return {file: str(PurePosixPath(file[cut:]).with_suffix("")) for file in files}


def _matched(
    images: Mapping[str, str], masks: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], frozenset[str]]:
    """The mask of each photograph, both given with their stems, the masks left over, each with the reason, and the
    photographs whose mask is in a folder of another name.

    First by the same stem, then without endings like "_mask"; each step matches only what is the one of its name on
    both sides. Last by the name alone, where all the photographs and all the masks have it once.
    """
    mask_of: dict[str, str] = {}
    left = dict(masks)
    for view in (_same, _bare, _name_alone):
        alone = view is _name_alone
        free = _by_view({file: stem for file, stem in images.items() if alone or file not in mask_of}, view)
        for stem, candidates in _by_view(masks if alone else left, view).items():
            if len(candidates) == 1 and len(free.get(stem, [])) == 1 and candidates[0] in left:
                mask_of[free[stem][0]] = candidates[0]
                del left[candidates[0]]
    apart = frozenset(image for image, mask in mask_of.items() if not _fit(images[image], masks[mask]))
    return mask_of, {mask: _why_lone(mask, images) for mask in left}, apart


def _fit(image: str, mask: str) -> bool:
    """Whether the folders of two stems are the same, as far as both have some."""
    folders = [f"/{folder_of(stem)}" if "/" in stem else "" for stem in (image, mask)]
    shorter, longer = sorted(folders, key=len)
    return longer.endswith(shorter)


def _by_view(stems: Mapping[str, str], view: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for file, stem in stems.items():
        found[view(stem)].append(file)
    return found


def _same(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)


def _bare(stem: str) -> str:
    return _EXTRA.sub("", _same(stem))


def _name_alone(stem: str) -> str:
    return PurePosixPath(_bare(stem)).name


def _why_lone(mask: str, images: Mapping[str, str]) -> str:
    name = _name_alone(str(PurePosixPath(mask).with_suffix("")))
    alike = [file for file, stem in images.items() if _name_alone(stem) == name]
    if alike:
        return f"it is not the only mask, or not of the only photograph, of this name ({alike[0]}); keep one of each"
    return "no photograph has its name; put it there or remove the mask"
