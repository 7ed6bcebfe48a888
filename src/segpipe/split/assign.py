"""The assignment of images to train, val and test: images that belong together get the same split.

A side is a position in SIDES: 0 is train, 1 is val, 2 is test.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from segpipe.core.errors import UserError
from segpipe.data.duplicates import equal_pairs, first_equal, groups, joining_pairs
from segpipe.data.split_table import LEFT_OUT, SIDES, TEST, TRAIN, VAL, Assignment
from segpipe.split import stratify
from segpipe.split.pins import Pin
from segpipe.split.settings import Split

_NONE = -1  # in arrays of sides or folds: not decided


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One image to assign."""

    key: str
    sha256: str  # of the photo's file, in hex
    scene: str  # the scene it belongs to, such as a drive or a patient; "" if unknown
    source_split: str | None  # its split in the source
    empty: bool  # whether its label map has no object: such images are not trained on
    pin: Pin | None = None  # its earlier split
    copy_of: str = ""  # the name of the image that it is a copy of; "" if it is not a copy


@dataclass(frozen=True, slots=True)
class Pool:
    """All images to assign, and their groups.

    Images are in one group if they are equal, nearly equal, copies by their names, or of one scene, directly or through
    other images.
    """

    candidates: tuple[Candidate, ...]
    fingerprints: np.ndarray  # uint8 (N, FINGERPRINT_BYTES), see `duplicates.fingerprint`
    class_pixels: np.ndarray  # int (N, C)
    group: np.ndarray  # int (N,), ordered by the smallest hash in each group, see _stable_name
    draw: np.ndarray  # float (G,), a number in [0, 1) from that hash

    @classmethod
    def gather(
        cls,
        candidates: Sequence[Candidate],
        fingerprints: np.ndarray,
        class_pixels: np.ndarray,
        near_bits: int,
        seed: int,
    ) -> "Pool":
        """Group the candidates.

        fingerprints: uint8 (N, FINGERPRINT_BYTES); class_pixels: int (N, C); near_bits: the largest distance of
        near-duplicates, see `near_hashes.distances`.
        """
        names = (scene_names(candidates), copy_names(candidates))
        equal = [equal_pairs([c.sha256 for c in candidates]), *map(equal_pairs, names)]
        near = joining_pairs(fingerprints, near_bits, first_equal(fingerprints))
        lowest = groups(len(candidates), chain(equal, near)).tolist()
        smallest: dict[int, bytes] = {}
        for root, candidate in zip(lowest, candidates, strict=True):
            digest = hashlib.sha256(f"{seed}:{_stable_name(candidate)}".encode()).digest()
            smallest[root] = min(digest, smallest.get(root, digest))
        order = sorted(smallest, key=smallest.__getitem__)
        number = {root: position for position, root in enumerate(order)}
        draw = np.array([_uniform(smallest[root]) for root in order])
        group = np.array([number[root] for root in lowest])
        return cls(tuple(candidates), fingerprints, class_pixels, group, draw)

    def deal(self, among: np.ndarray, shares: Sequence[float], fixed: np.ndarray) -> np.ndarray:
        """Sides of the groups, int (G,), balanced over the images `among`, bool (N,); see stratify.deal."""
        counts = np.column_stack([among, (self.class_pixels > 0) & among[:, None]]).astype(np.int64)
        return stratify.deal(self._sums(counts), self._sums(self.class_pixels * among[:, None]), shares, fixed)

    def majority(self, values: np.ndarray, kinds: int) -> np.ndarray:
        """The most frequent value in each group, int (G,); -1 for a group without values.

        values: int (N,), below `kinds`, -1 for none.
        """
        votes = self._sums(values[:, None] == np.arange(kinds))
        return np.where(votes.any(axis=1), votes.argmax(axis=1), _NONE)

    def _sums(self, of_images: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(self.draw), of_images.shape[1]), np.int64)
        np.add.at(sums, self.group, of_images)
        return sums


def assign(pool: Pool, settings: Split) -> list[Assignment]:
    """A row for each image of the pool, in order. Raises UserError like by_source."""
    if settings.method == "source":
        sides = by_source(pool, settings.source_roles, settings.val)
    else:
        method = by_balance if settings.method == "balanced" else by_content
        sides = method(pool, settings.val, settings.test)
    return to_rows(pool, sides, settings.folds, settings.fold)


def by_content(pool: Pool, val: float, test: float) -> np.ndarray:
    """Sides by a hash of scenes and files, int (N,).

    val, test: shares of all images, 0..1. The side of a group depends on this group only: a new image of a known scene,
    or without similar images, moves no other image; a new image that resembles others joins their group, whose
    smallest hash decides. Pinned images keep their side, and so do the other images of their group.
    """
    pinned = _pinned(pool)
    drawn = np.select([pool.draw < test, pool.draw < test + val], [SIDES.index(TEST), SIDES.index(VAL)], 0)
    return _image_or_group(pool, pinned, drawn)


def by_balance(pool: Pool, val: float, test: float) -> np.ndarray:
    """Sides that give each split its share of every class, by images and by pixels, int (N,).

    val, test: shares of all images, 0..1. New images may move others that are not pinned.
    """
    pinned = _pinned(pool)
    everywhere = np.ones(len(pinned), bool)
    dealt = pool.deal(everywhere, (1 - val - test, val, test), pool.majority(pinned, len(SIDES)))
    return _image_or_group(pool, pinned, dealt)


def by_source(pool: Pool, roles: Mapping[str, str], val: float) -> np.ndarray:
    """Sides as in the source, int (N,).

    roles: the use of each split of the source, such as {"train": "train", "val": "test"}; val: if no image has the role
    val, this share of the train images gets it, by content. Pins take precedence.
    Raises UserError for an image whose split has no role.
    """
    for candidate in pool.candidates:
        if candidate.source_split not in roles:
            name = candidate.source_split
            remedy = "set split.method: content in params.yaml"
            if name is None:
                raise UserError(f"{candidate.key}: has no split in the source; {remedy}")
            raise UserError(
                f"{candidate.key}: split.source_roles has no role for its split {name}; add one, or {remedy}"
            )
    pinned = _pinned(pool)
    used = [roles[c.source_split or ""] for c in pool.candidates]
    sides = np.array([SIDES.index(role) for role in used])
    if VAL not in used:
        drawn = np.where(pool.draw < val, SIDES.index(VAL), SIDES.index(TRAIN))
        majority = pool.majority(np.where(pinned == SIDES.index(TEST), _NONE, pinned), len(SIDES))
        sides = np.where(sides == 0, np.where(majority == _NONE, drawn, majority)[pool.group], sides)
    return np.where(pinned == _NONE, sides, pinned)


def fold_numbers(pool: Pool, sides: np.ndarray, folds: int) -> np.ndarray:
    """The fold of each image, int (N,) below `folds`, balanced; -1 for images of test. Pins take precedence."""
    rest = sides != SIDES.index(TEST)
    pinned = np.array([_pinned_fold(c.pin, folds) if c.pin else _NONE for c in pool.candidates])
    dealt = pool.deal(rest, [1 / folds] * folds, pool.majority(pinned, folds))
    return np.where(rest, np.where(pinned == _NONE, dealt[pool.group], pinned), _NONE)


def to_rows(pool: Pool, sides: np.ndarray, folds: int = 0, fold: int = 0) -> list[Assignment]:
    """A row for each image, in order.

    sides: int (N,); folds: the number of folds that the images outside test are divided into, 0 for none; fold: the one
    that is val, the others are train.
    """
    numbers = fold_numbers(pool, sides, folds) if folds else np.full(len(sides), _NONE)
    name: dict[int, str] = {}
    for number, candidate in zip(pool.group.tolist(), pool.candidates, strict=True):
        name[number] = min(candidate.key, name.get(number, candidate.key))

    def split_of(candidate: Candidate, side: int, number: int) -> str:
        split = SIDES[side] if number == _NONE else VAL if number == fold else TRAIN
        return LEFT_OUT if candidate.empty and split == TRAIN else split

    columns = zip(pool.candidates, pool.group.tolist(), sides.tolist(), numbers.tolist(), strict=True)
    return [
        Assignment(
            key=c.key,
            split=split_of(c, side, number),
            group=name[group],
            reason="empty_mask" if c.empty else "",
            fold="" if number == _NONE else f"{number}/{folds}",
            sha256=c.sha256,
        )
        for c, group, side, number in columns
    ]


def scene_names(candidates: Sequence[Candidate]) -> list[str]:
    """A name for the scene of each image; an image without a scene has a unique name."""
    return [f"scene {c.scene}" if c.scene else f"image {c.key}" for c in candidates]


def copy_names(candidates: Sequence[Candidate]) -> list[str]:
    """A name for the image that each image is a copy of; an image that is not a copy has a unique name."""
    return [f"copy {c.copy_of}" if c.copy_of else f"image {c.key}" for c in candidates]


def _stable_name(candidate: Candidate) -> str:
    """A name that stays when the group grows: a scene may get more images, and an image more copies."""
    if candidate.scene:
        return f"scene {candidate.scene}"
    return f"copy {candidate.copy_of}" if candidate.copy_of else candidate.sha256


def _pinned(pool: Pool) -> np.ndarray:
    return np.array([SIDES.index(c.pin.split) if c.pin else _NONE for c in pool.candidates])


def _pinned_fold(pin: Pin, folds: int) -> int:
    number, _, count = pin.fold.partition("/")
    return int(number) if count == str(folds) else _NONE


def _image_or_group(pool: Pool, pinned: np.ndarray, group_sides: np.ndarray) -> np.ndarray:
    """The pinned side of each image, otherwise the majority of its group's pins, otherwise its group's side."""
    majority = pool.majority(pinned, len(SIDES))
    of_group = np.where(majority == _NONE, group_sides, majority)
    return np.where(pinned == _NONE, of_group[pool.group], pinned)


def _uniform(digest: bytes) -> float:
    """A uniform number in [0, 1). The digest is hashed again: the smallest digest of a group is not uniform."""
    return int.from_bytes(hashlib.sha256(digest).digest()[:8]) / 2**64
