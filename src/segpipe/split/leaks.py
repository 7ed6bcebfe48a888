"""What is on two sides of a split although it belongs together, by what joins it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segpipe.core.errors import UserError
from segpipe.data.duplicates import close_pairs, firsts, only_firsts
from segpipe.data.split_table import LEFT_OUT, SIDES, TRAIN, Assignment
from segpipe.split.assign import Pool, copy_names, scene_names

_KINDS = {
    "equal_images": "{} images of val and test equal one on another side",
    "near_duplicate_images": "{} images of val and test nearly equal one on another side",
    "copied_images": "{} images of val and test are, by their names, copies of one that another side has too",
    "same_scene_images": "{} images of val and test are of a scene that another side has too",
    "pinned_apart_images": "{} images of val and test are pinned to another side than others of their group",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """One kind: the images of val and test, by position, that have a partner on another side; and one such pair."""

    kind: str
    images: frozenset[int]
    first: tuple[int, int] | None


def found(pool: Pool, placed: Sequence[Assignment], near_bits: int) -> list[Leak]:
    """The leaks of each kind; images that are left out leak nothing."""
    sides = np.array([row.split for row in placed])
    pinned = [f"group {g}" if c.pin else f"image {c.key}" for c, g in zip(pool.candidates, pool.group, strict=True)]
    torn = _torn(pool.group, sides)  # nothing but these can leak, which spares comparing all pairs once more
    hashes = [c.phash if apart else "" for c, apart in zip(pool.candidates, torn.tolist(), strict=True)]
    return [
        _leak("equal_images", sides, [_neighbours([c.sha256 for c in pool.candidates], sides)]),
        _leak("near_duplicate_images", sides, _near(hashes, sides, near_bits)),
        _leak("copied_images", sides, [_neighbours(copy_names(pool.candidates), sides)]),
        _leak("same_scene_images", sides, [_neighbours(scene_names(pool.candidates), sides)]),
        _leak("pinned_apart_images", sides, [_neighbours(pinned, sides)]),
    ]


def counts(leaks: Sequence[Leak], placed: Sequence[Assignment]) -> dict[str, float]:
    """How many images leak by kind, and in all (`images`), and what share of val and test that is."""
    leaking = frozenset[int]().union(*(leak.images for leak in leaks))
    held_out = sum(row.split not in (TRAIN, LEFT_OUT) for row in placed)
    by_kind = {leak.kind: len(leak.images) for leak in leaks}
    return by_kind | {"images": len(leaking), "share": round(len(leaking) / max(1, held_out), 6)}


def lines(leaks: Sequence[Leak], placed: Sequence[Assignment]) -> list[str]:
    """What leaks in words, with the first pair of each kind."""
    return [
        f"{_KINDS[leak.kind].format(len(leak.images))} (first: {' and '.join(_said(placed[i]) for i in leak.first)})"
        for leak in leaks
        if leak.first
    ]


def enforce_limit(leaks: Sequence[Leak], placed: Sequence[Assignment], limit: float) -> None:
    """Raise UserError if more than the share `limit` of val and test leaks."""
    counted = counts(leaks, placed)
    if counted["share"] > limit:
        said = f"{counted['images']} images of val and test ({counted['share']:.1%}) belong with images on another side"
        raise UserError(
            f"{said}: {'; '.join(lines(leaks, placed))}; take split.method: balanced, correct the pins, or raise "
            "split.max_leaks in params.yaml"
        )


def _leak(kind: str, sides: np.ndarray, pairs: Iterable[np.ndarray]) -> Leak:
    images: set[int] = set()
    first: tuple[int, int] | None = None
    for part in pairs:
        crossing = _crossing(part, sides)
        if len(crossing):
            one, other = (int(i) for i in crossing[0])
            first = first or ((one, other) if sides[one] != TRAIN else (other, one))
            images.update(np.unique(crossing[sides[crossing] != TRAIN]).tolist())
    return Leak(kind, frozenset(images), first)


def _crossing(pairs: np.ndarray, sides: np.ndarray) -> np.ndarray:
    ends = sides[pairs]
    crossing: np.ndarray = pairs[(ends[:, 0] != ends[:, 1]) & (ends != LEFT_OUT).all(axis=1)]
    return crossing


def _near(hashes: Sequence[str], sides: np.ndarray, near_bits: int) -> Iterator[np.ndarray]:
    """Pairs that show every crossing of close hashes: of those with one hash on one side only the first is compared."""
    first = firsts([f"{text} {side}" if text else "" for text, side in zip(hashes, sides.tolist(), strict=True)])
    partner = np.full(len(hashes), -1)
    for part in close_pairs(only_firsts(hashes, first), near_bits):
        yield part
        one, other = _crossing(part, sides).T
        partner[one], partner[other] = other, one
    pairs = np.stack([partner[first], np.arange(len(hashes))], axis=1)
    yield pairs[pairs[:, 0] >= 0]


def _torn(group: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Whether each image's group is on more than one side, bool (N,)."""
    on = np.zeros((group.max() + 1, len(SIDES)), bool)
    for column, side in enumerate(SIDES):
        on[group[sides == side], column] = True
    torn: np.ndarray = (on.sum(axis=1) > 1)[group]
    return torn


def _neighbours(names: Sequence[str], sides: np.ndarray) -> np.ndarray:
    """Pairs that show every crossing of equal names: each image with the first of that name on each side."""
    firsts: dict[str, dict[str, int]] = {}
    for position, (name, side) in enumerate(zip(names, sides.tolist(), strict=True)):
        firsts.setdefault(name, {}).setdefault(side, position)
    pairs = [(other, i) for i, name in enumerate(names) for other in firsts[name].values() if other != i]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _said(row: Assignment) -> str:
    return f"{row.key} in {row.split}"
