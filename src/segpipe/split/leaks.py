"""Leaks of a split: images of val and test that belong with images of another split, by the reason they belong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segpipe.core.errors import UserError
from segpipe.data.duplicates import close_pairs, first_equal, firsts
from segpipe.data.split_table import LEFT_OUT, TRAIN, Assignment
from segpipe.split.assign import Pool, copy_names, scene_names

_KINDS = {
    "equal_images": "that equal an image of another split",
    "near_duplicate_images": "that nearly equal an image of another split",
    "copied_images": "that are, by their file names, copies of an image with a copy in another split",
    "same_scene_images": "of a scene with images in another split",
    "pinned_apart_images": "of a group that pins divide between splits",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """The leaking images of one kind."""

    kind: str
    images: frozenset[int]  # positions of the images of val and test that have a partner in another split
    first: tuple[int, int] | None  # one such image and its partner


def find_leaks(pool: Pool, placed: Sequence[Assignment], near_bits: int) -> list[Leak]:
    """The leaks of each kind. Images that are left out leak nothing.

    near_bits: the largest distance of near-duplicates, split.near_duplicate_bits.
    """
    splits = [row.split for row in placed]
    group = pool.group.tolist()
    pinned = [f"group {g}" if c.pin else f"image {c.key}" for c, g in zip(pool.candidates, group, strict=True)]
    # only groups in two splits can leak: comparing their images alone spares all other pairs
    crossing = {group[position] for position in partners(group, splits)}
    can_leak = np.array([g in crossing for g in group])
    return [
        _by_name("equal_images", [c.sha256 for c in pool.candidates], splits),
        _near_duplicates(pool.fingerprints, can_leak, np.array(splits), near_bits),
        _by_name("copied_images", copy_names(pool.candidates), splits),
        _by_name("same_scene_images", scene_names(pool.candidates), splits),
        _by_name("pinned_apart_images", pinned, splits),
    ]


def partners(names: Sequence[str | int], splits: Sequence[str]) -> dict[int, int]:
    """For each leaking image of val and test, an image of the same name in another split; in train if there is one.

    names, splits: one for each image; images with one name belong together. Keys and values are positions.

    >>> partners(["a", "a", "b", "b", "c"], ["train", "val", "test", "", "val"])
    {1: 0}
    """
    first: dict[str | int, dict[str, int]] = {}
    for position, (name, split) in enumerate(zip(names, splits, strict=True)):
        if split != LEFT_OUT:
            first.setdefault(name, {}).setdefault(split, position)
    partner_of = {}
    for position, (name, split) in enumerate(zip(names, splits, strict=True)):
        others = [other for side, other in first.get(name, {}).items() if side != split]
        if others and split not in (TRAIN, LEFT_OUT):
            partner_of[position] = first[name].get(TRAIN, others[0])
    return partner_of


def counts(leaks: Sequence[Leak], placed: Sequence[Assignment]) -> dict[str, float]:
    """The number of leaking images by kind and in all (`images`), and their share of val and test (`share`)."""
    leaking = frozenset[int]().union(*(leak.images for leak in leaks))
    held_out = sum(row.split not in (TRAIN, LEFT_OUT) for row in placed)
    by_kind = {leak.kind: len(leak.images) for leak in leaks}
    return by_kind | {"images": len(leaking), "share": round(len(leaking) / max(1, held_out), 6)}


def lines(leaks: Sequence[Leak], placed: Sequence[Assignment]) -> list[str]:
    """A line for each kind that occurs, with its number of images and its first pair."""
    return [
        f"images of val and test {_KINDS[leak.kind]}: {len(leak.images)} "
        f"(first: {' and '.join(f'{placed[i].key} in {placed[i].split}' for i in leak.first)})"
        for leak in leaks
        if leak.first
    ]


def check_limit(leaks: Sequence[Leak], placed: Sequence[Assignment], limit: float) -> None:
    """Raise UserError if more than the share `limit` of val and test leaks."""
    counted = counts(leaks, placed)
    if counted["share"] > limit:
        raise UserError(
            f"{counted['share']:.1%} of the images of val and test belong with images of another split: "
            f"{'; '.join(lines(leaks, placed))}; set split.method: balanced, correct the pins, or raise "
            "split.max_leaks in params.yaml"
        )


def _by_name(kind: str, names: Sequence[str], splits: Sequence[str]) -> Leak:
    partner_of = partners(names, splits)
    return Leak(kind, frozenset(partner_of), min(partner_of.items(), key=min, default=None))


def _near_duplicates(fingerprints: np.ndarray, can_leak: np.ndarray, splits: np.ndarray, near_bits: int) -> Leak:
    images: set[int] = set()
    first: tuple[int, int] | None = None
    for pairs in _close_pairs(fingerprints, can_leak, splits, near_bits):
        crossing = _crossing(pairs, splits)
        if len(crossing):
            one, other = (int(i) for i in crossing[0])
            first = first or ((one, other) if splits[one] != TRAIN else (other, one))
            images.update(np.unique(crossing[splits[crossing] != TRAIN]).tolist())
    return Leak("near_duplicate_images", frozenset(images), first)


def _close_pairs(
    fingerprints: np.ndarray, can_leak: np.ndarray, splits: np.ndarray, near_bits: int
) -> Iterator[np.ndarray]:
    """Pairs (K, 2) that show every leaking image: of equal fingerprints in one split only the first is compared."""
    equal = first_equal(fingerprints, can_leak)
    first = np.array(firsts(list(zip(equal.tolist(), splits.tolist(), strict=True))))
    positions, partner = np.arange(len(first)), np.full(len(first), -1)
    for part in close_pairs(fingerprints, near_bits, (equal >= 0) & (first == positions)):
        yield part
        one, other = _crossing(part, splits).T
        partner[one], partner[other] = other, one
    pairs = np.stack([partner[first], positions], axis=1)
    yield pairs[(pairs[:, 0] >= 0) & (equal >= 0)]


def _crossing(pairs: np.ndarray, splits: np.ndarray) -> np.ndarray:
    ends = splits[pairs]
    crossing: np.ndarray = pairs[(ends[:, 0] != ends[:, 1]) & (ends != LEFT_OUT).all(axis=1)]
    return crossing
