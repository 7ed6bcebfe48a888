"""Folder layouts of mask data sets, and the pairs of photo and mask in them.

- CamVid: X and Xannot.
- Plain: images and masks, with folders for the splits above or below.
- Two glob patterns from params.yaml.
- VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from segpipe.core.errors import UserError
from segpipe.core.plurals import counted
from segpipe.data.records import Note
from segpipe.data.split_words import SPLIT_WORDS, split_named
from segpipe.ingest.photo_finder import OTHER_FOLDER
from segpipe.ingest.source import Source, files_below, folder_of

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
    """The photos and masks of a source."""

    name: str  # of the layout, for messages
    folders: tuple[str, ...]  # where a file of class names may be
    photos: tuple[str, ...]  # all, with or without a mask
    mask_of: Mapping[str, str]  # by photo
    unmatched: Mapping[str, str]  # masks without a photo, and why
    split_of: Mapping[str, str | None]  # the split in the source, by photo
    other_files: frozenset[str] = frozenset()  # image files that are neither photos nor class masks
    missing: Mapping[str, str] = field(default_factory=dict)  # places of list entries without a file, and why
    matched_elsewhere: frozenset[str] = frozenset()  # photos whose mask is in a folder of another name

    def notes(self, photo: str) -> tuple[Note, ...]:
        """The notes on how a photo was matched with its mask."""
        words = f"its mask is {self.mask_of.get(photo)}, the only file of that name"
        return ((OTHER_FOLDER, words),) if photo in self.matched_elsewhere else ()


def recognise(source: Source) -> Layout | None:
    """The first of the CamVid and the plain layout in which a photo has a mask; None if there is no such layout."""
    tree = _tree(source)
    return _camvid(source, tree) or _plain(source, tree)


def voc(source: Source) -> Layout | None:
    """The layout of VOC's folders, with the splits of ImageSets; None if no photo has a class mask."""
    tree = _tree(source)
    bases = [base for base, inner in tree.items() if {"jpegimages", "segmentationclass"} <= inner.keys()]
    pairs = [(tree[base]["jpegimages"], tree[base]["segmentationclass"]) for base in bases]
    others = [tree[base]["segmentationobject"] for base in bases if "segmentationobject" in tree[base]]
    layout = _of_folders(source, "VOC", pairs, others)
    return None if layout is None else replace(_with_voc_splits(source, layout), folders=(".", *bases))


def by_patterns(source: Source, image_pattern: str, mask_pattern: str) -> Layout:
    """The layout that two glob patterns describe, relative to the source; '**' matches any number of folders.

    A photo and a mask match by their path below the folders that the pattern names literally, without suffix.
    Raises UserError if a pattern is invalid, or nothing matches.
    """
    masks = _globbed(source, mask_pattern, "ingest.mask_pattern")
    matching = _globbed(source, image_pattern, "ingest.image_pattern")
    photos = sorted(set(matching) - set(masks))
    stems = _stems(photos, _literal_folder(image_pattern)), _stems(masks, _literal_folder(mask_pattern))
    mask_of, unmatched, elsewhere = _matched(*stems)
    if not mask_of:
        raise UserError(
            f"ingest.image_pattern {image_pattern!r} ({counted(len(photos), 'file')}) and ingest.mask_pattern "
            f"{mask_pattern!r} ({counted(len(masks), 'file')}) have no name in common; correct them in params.yaml"
        )
    return Layout(
        name=f"{image_pattern} + {mask_pattern}",
        folders=(".",),
        photos=tuple(photos),
        mask_of=mask_of,
        unmatched=unmatched,
        split_of={file: _split(file, mask_of) for file in photos},
        matched_elsewhere=elsewhere,
    )


def _globbed(source: Source, pattern: str, key: str) -> list[str]:
    """The image files that match a pattern; the list of the source is searched, not the disk."""
    wanted = PurePosixPath(pattern).parts
    if not wanted or wanted[0] == "/" or ".." in wanted:
        raise UserError(f"{key} {pattern!r} is not a pattern of files inside the source; correct it in params.yaml")
    return [file for file in source.image_files if _fits(file.split("/"), wanted)]


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the parts of a path match the parts of a pattern, in which '**' matches any number of folders."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_fits(parts[start:], wanted[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def _literal_folder(pattern: str) -> str:
    """The folders of a pattern before its first wildcard."""
    parts = PurePosixPath(pattern).parts[:-1]
    wild = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    return "/".join(parts[:wild]) or "."


Tree = Mapping[str, Mapping[str, str]]  # folder -> the folders in it, by name in lower case


def _tree(source: Source) -> Tree:
    folders = {folder_of(file) for file in source.image_files}
    above = folders | {str(folder) for inner in folders for folder in PurePosixPath(inner).parents}
    tree: dict[str, dict[str, str]] = {folder: {} for folder in sorted(above)}
    for folder in sorted(above - {"."}):
        tree[folder_of(folder)][PurePosixPath(folder).name.casefold()] = folder
    return tree


def _camvid(source: Source, tree: Tree) -> Layout | None:
    pairs = [(folder, f"{folder}annot") for folder in tree if f"{folder}annot" in tree]
    return _of_folders(source, "X/ + Xannot/", pairs, [])


def _plain(source: Source, tree: Tree) -> Layout | None:
    pairs, others = _plain_pairs(tree)
    return _of_folders(source, "images/ + masks/", pairs, others)


def plain_folders(source: Source) -> list[tuple[str, str]]:
    """(photo folder, mask folder) of each place of the plain layout."""
    return _plain_pairs(_tree(source))[0]


def _plain_pairs(tree: Tree) -> tuple[list[tuple[str, str]], list[str]]:
    """(photo folder, mask folder) of each place that has both, and further mask folders there."""
    pairs, others = [], []
    for inner in tree.values():
        photos = next((inner[name] for name in _IMAGE_FOLDERS if name in inner), None)
        masks = [inner[name] for name in _MASK_FOLDERS if name in inner]
        if photos and masks:
            pairs.append((photos, masks[0]))
            others += masks[1:]
    return pairs, others


def _of_folders(source: Source, name: str, pairs: list[tuple[str, str]], others: list[str]) -> Layout | None:
    """The layout of pairs of (photo folder, mask folder), None if no photo has a mask in a lossless format."""
    mask_of: dict[str, str] = {}
    unmatched: dict[str, str] = {}
    photos: set[str] = set()
    elsewhere: set[str] = set()
    for photo_folder, mask_folder in pairs:
        photo_stems, mask_stems = (
            _stems(files_below(source.image_files, folder), folder) for folder in (photo_folder, mask_folder)
        )
        matched, left, from_elsewhere = _matched(photo_stems, mask_stems)
        photos.update(photo_stems)
        mask_of |= matched
        unmatched |= left
        elsewhere |= from_elsewhere
    if not any(mask.lower().endswith(_LOSSLESS) for mask in mask_of.values()):
        return None
    return Layout(
        name=name,
        folders=tuple(dict.fromkeys([".", *(folder_of(photo_folder) for photo_folder, _ in pairs)])),
        photos=tuple(sorted(photos)),
        mask_of=mask_of,
        unmatched=unmatched,
        split_of={file: _split(file, mask_of) for file in sorted(photos)},
        other_files=frozenset(file for folder in others for file in files_below(source.image_files, folder)),
        matched_elsewhere=frozenset(elsewhere),
    )


def _split(photo: str, mask_of: Mapping[str, str]) -> str | None:
    return split_named(folder_of(photo)) or split_named(folder_of(mask_of.get(photo, "")))


def _with_voc_splits(source: Source, layout: Layout) -> Layout:
    """The layout with the splits of VOC's lists; a photo in several lists gets the split of the first."""
    photo_of = {_voc_stem(file): file for file in reversed(layout.photos)}
    unmatched = {_voc_stem(file) for file in layout.unmatched}
    split_of: dict[str, str | None] = {}
    missing: dict[str, str] = {}
    for split in SPLIT_WORDS:
        for place, stem in _voc_entries(source, split):
            if stem in photo_of:
                split_of.setdefault(photo_of[stem], split)
            elif stem not in unmatched:
                missing[place] = f"no photo {stem}; add it or remove it from the list"
    return replace(layout, split_of=split_of, missing=missing)


def _voc_stem(file: str) -> str:
    """The name without suffix, below the folder that JPEGImages and SegmentationClass are in.

    >>> _voc_stem("VOC2012/JPEGImages/2007_000032.jpg"), _voc_stem("SegmentationClass/2007_000032.png")
    ('VOC2012/2007_000032', '2007_000032')
    """
    base, _, name = str(PurePosixPath(file).with_suffix("")).rpartition("/")
    return str(PurePosixPath(base).parent / name)


def _voc_entries(source: Source, split: str) -> Iterator[tuple[str, str]]:
    """(place, stem) of each line of the lists of one split."""
    for file in source.files:
        if file == (tail := f"{_VOC_SETS}/{split}.txt") or file.endswith(f"/{tail}"):
            base = PurePosixPath(file).parent.parent.parent
            for number, line in enumerate(source.text(file).splitlines(), start=1):
                if line.strip():
                    yield f"{file}: line {number}", str(base / line.split()[0])


def _stems(files: Iterable[str], folder: str) -> dict[str, str]:
    """The path below `folder`, without suffix, of each file."""
    cut = 0 if folder == "." else len(folder) + 1
    return {file: str(PurePosixPath(file[cut:]).with_suffix("")) for file in files}


def _matched(
    photos: Mapping[str, str], masks: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], frozenset[str]]:
    """Photos and masks matched by their stems, in three steps.

    First by equal stems, then without endings like "_mask", last by the file name alone. Each step matches a photo
    and a mask only if no other photo or mask has their name; the last step counts all of them, not only those left.

    photos, masks: stems by file.
    Returns the mask of each photo; the masks left over, each with the reason; the photos whose mask is in a folder of
    another name.
    """
    mask_of: dict[str, str] = {}
    left = dict(masks)
    for view in (_same, _bare, _name_alone):
        is_last = view is _name_alone
        free = _by_view({file: stem for file, stem in photos.items() if is_last or file not in mask_of}, view)
        for stem, candidates in _by_view(masks if is_last else left, view).items():
            if len(candidates) == 1 and len(free.get(stem, [])) == 1 and candidates[0] in left:
                mask_of[free[stem][0]] = candidates[0]
                del left[candidates[0]]
    elsewhere = frozenset(photo for photo, mask in mask_of.items() if not _in_equal_folders(photos[photo], masks[mask]))
    return mask_of, {mask: _why_unmatched(mask, photos) for mask in left}, elsewhere


def _in_equal_folders(photo: str, mask: str) -> bool:
    """Whether the folders of two stems are equal, from the right and as far as both have folders."""
    folders = [f"/{folder_of(stem)}" if "/" in stem else "" for stem in (photo, mask)]
    shorter, longer = sorted(folders, key=len)
    return longer.endswith(shorter)


def _by_view(stems: Mapping[str, str], view: Callable[[str], str]) -> dict[str, list[str]]:
    files_of: dict[str, list[str]] = defaultdict(list)
    for file, stem in stems.items():
        files_of[view(stem)].append(file)
    return files_of


def _same(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)


def _bare(stem: str) -> str:
    return _EXTRA.sub("", _same(stem))


def _name_alone(stem: str) -> str:
    return PurePosixPath(_bare(stem)).name


def _why_unmatched(mask: str, photos: Mapping[str, str]) -> str:
    name = _name_alone(str(PurePosixPath(mask).with_suffix("")))
    same_name = [file for file, stem in photos.items() if _name_alone(stem) == name]
    if same_name:
        return f"several masks or several photos have this name ({same_name[0]}); keep one of each"
    return "no photo has its name; add the photo or remove the mask"
