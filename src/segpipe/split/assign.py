"""Who trains, who validates, who tests: images that belong together share a side, and keep it when others are added."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from segpipe.core.errors import UserError
from segpipe.data.duplicates import equal_pairs, groups, joining_pairs
from segpipe.data.split_table import LEFT_OUT, SIDES, TEST, TRAIN, VAL, Assignment
from segpipe.split import stratify
from segpipe.split.pins import Pin

_NONE = -1  # where an index of SIDES or of a fold is not decided


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One image to place.

    scene: what it belongs to (a drive, a patient), "" if nothing; copy_of: the name of the image that it is a copy of,
    "" if none; source_split: what the source says; empty: its label map shows no object, and such images are not
    trained on; pin: the side it has had.
    """

    key: str
    sha256: str
    phash: str
    scene: str
    source_split: str | None
    empty: bool
    pin: Pin | None = None
    copy_of: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How images get their sides, by the keys of `split` in params.yaml. val, test: shares of the whole, 0..1."""

    method: Literal["content", "balanced", "source"]
    val: float
    test: float
    source_roles: Mapping[str, str]
    folds: int = 0
    fold: int = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """Images to place, and the groups they form: equal, nearly equal, copies by their names, or of one scene, directly
    or through others.

    class_pixels: int (N, C); group: int (N,), each image's group, numbered by the groups' smallest hash: of a scene's
    name or of what is copied, or of the file of an image without one; draw: float (G,), a number in [0, 1) from that
    hash.
    """

    candidates: tuple[Candidate, ...]
    class_pixels: np.ndarray
    group: np.ndarray
    draw: np.ndarray

    @classmethod
    def gather(cls, candidates: Sequence[Candidate], class_pixels: np.ndarray, near_bits: int, seed: int) -> "Pool":
        """Group the candidates; near_bits: how many bits `duplicates.distances` may be for near-duplicates."""
        names = (scene_names(candidates), copy_names(candidates))
        same = [equal_pairs([c.sha256 for c in candidates]), *map(equal_pairs, names)]
        near = joining_pairs([c.phash for c in candidates], near_bits)
        lowest = groups(len(candidates), chain(same, near)).tolist()
        smallest: dict[int, bytes] = {}
        for root, candidate in zip(lowest, candidates, strict=True):
            digest = hashlib.sha256(f"{seed}:{_lasting(candidate)}".encode()).digest()
            smallest[root] = min(digest, smallest.get(root, digest))
        order = sorted(smallest, key=smallest.__getitem__)
        number = {root: position for position, root in enumerate(order)}
        draw = np.array([_share(smallest[root]) for root in order])
        return cls(tuple(candidates), class_pixels, np.array([number[root] for root in lowest]), draw)

    def deal(self, among: np.ndarray, shares: Sequence[float], fixed: np.ndarray) -> np.ndarray:
        """Sides of the groups, int (G,), balanced over the images `among`, bool (N,); see balance.deal."""
        counts = np.column_stack([among, (self.class_pixels > 0) & among[:, None]]).astype(np.int64)
        return stratify.deal(self._sums(counts), self._sums(self.class_pixels * among[:, None]), shares, fixed)

    def settled(self, own: np.ndarray, kinds: int) -> np.ndarray:
        """What most members of each group have, int (G,), of own, int (N,) below `kinds`; -1 where none has any."""
        votes = self._sums(own[:, None] == np.arange(kinds))
        return np.where(votes.any(axis=1), votes.argmax(axis=1), _NONE)

    def _sums(self, of_images: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(self.draw), of_images.shape[1]), np.int64)
        np.add.at(sums, self.group, of_images)
        return sums


def place(pool: Pool, plan: Plan) -> list[Assignment]:
    """A row for each image of the pool, in order. Raises UserError as by_source does."""
    if plan.method == "source":
        sides = by_source(pool, plan.source_roles, plan.val)
    else:
        sides = (by_balance if plan.method == "balanced" else by_content)(pool, plan.val, plan.test)
    return placed(pool, sides, plan.folds, plan.fold)


def by_content(pool: Pool, val: float, test: float) -> np.ndarray:
    """Sides, int (N,) positions in SIDES, by hashes of scenes and files; val, test: shares of the whole, 0..1.

    A group's side depends on the group alone: images of old scenes, and images that resemble none of the others, move
    no old one; one that resembles old ones joins their group, whose side its smallest hash decides. Pinned images stay
    where they are, and the others of their group with them.
    """
    pinned = _pinned(pool)
    drawn = np.select([pool.draw < test, pool.draw < test + val], [SIDES.index(TEST), SIDES.index(VAL)], 0)
    return _own_or_groups(pool, pinned, drawn)


def by_balance(pool: Pool, val: float, test: float) -> np.ndarray:
    """Sides as for by_content, so that each gets its share of every class, by images and by pixels.

    What is not pinned may move when images are added: pins keep it.
    """
    pinned = _pinned(pool)
    everywhere = np.ones(len(pinned), bool)
    return _own_or_groups(
        pool, pinned, pool.deal(everywhere, (1 - val - test, val, test), pool.settled(pinned, len(SIDES)))
    )


def by_source(pool: Pool, roles: Mapping[str, str], val: float) -> np.ndarray:
    """Sides as the source has them; roles: what each of its names is used as, e.g. {"train": "train", "val": "test"}.

    If nothing has the role val, the share `val` of the train images is taken for it, by content. Pins win.
    Raises UserError for an image whose split has no role.
    """
    for candidate in pool.candidates:
        if candidate.source_split not in roles:
            raise UserError(
                f"{candidate.key}: its split in the source is {candidate.source_split or 'not given'}, which "
                "split.source_roles does not name; add it, or set split.method: content in params.yaml"
            )
    pinned = _pinned(pool)
    sides = np.array([SIDES.index(roles[c.source_split or ""]) for c in pool.candidates])
    if VAL not in (roles[c.source_split or ""] for c in pool.candidates):
        carved = np.where(pool.draw < val, SIDES.index(VAL), SIDES.index(TRAIN))
        settled = pool.settled(np.where(pinned == SIDES.index(TEST), _NONE, pinned), len(SIDES))
        sides = np.where(sides == 0, np.where(settled == _NONE, carved, settled)[pool.group], sides)
    return np.where(pinned == _NONE, sides, pinned)


def folded(pool: Pool, sides: np.ndarray, folds: int) -> np.ndarray:
    """The fold of each image that is not of the test side, int (N,) below `folds`, -1 for those; balanced, pins win."""
    rest = sides != SIDES.index(TEST)
    pinned = np.array([_pinned_fold(c.pin, folds) if c.pin else _NONE for c in pool.candidates])
    dealt = pool.deal(rest, [1 / folds] * folds, pool.settled(pinned, folds))
    return np.where(rest, np.where(pinned == _NONE, dealt[pool.group], pinned), _NONE)


def placed(pool: Pool, sides: np.ndarray, folds: int, fold: int) -> list[Assignment]:
    """A row for each image, in order; folds: 0, or into how many what is not test is cut, of which `fold` is val."""
    cut = folded(pool, sides, folds) if folds else np.full(len(sides), _NONE)
    name: dict[int, str] = {}
    for number, candidate in zip(pool.group.tolist(), pool.candidates, strict=True):
        name[number] = min(candidate.key, name.get(number, candidate.key))

    def placed_in(candidate: Candidate, side: int, part: int) -> str:
        split = SIDES[side] if part == _NONE else VAL if part == fold else TRAIN
        return LEFT_OUT if candidate.empty and split == TRAIN else split

    return [
        Assignment(
            key=c.key,
            split=placed_in(c, side, part),
            group=name[number],
            reason="empty_mask" if c.empty else "",
            fold="" if part == _NONE else f"{part}/{folds}",
            sha256=c.sha256,
        )
        for c, number, side, part in zip(
            pool.candidates, pool.group.tolist(), sides.tolist(), cut.tolist(), strict=True
        )
    ]


def scene_names(candidates: Sequence[Candidate]) -> list[str]:
    """A name for each image's scene; an image of none is a scene by itself."""
    return [f"scene {c.scene}" if c.scene else f"image {c.key}" for c in candidates]


def copy_names(candidates: Sequence[Candidate]) -> list[str]:
    """A name for what each image is a copy of; an image that is no copy is one by itself."""
    return [f"copy {c.copy_of}" if c.copy_of else f"image {c.key}" for c in candidates]


def _lasting(candidate: Candidate) -> str:
    """What stays of an image's group when more images come in: a scene may grow, and an image have more copies."""
    if candidate.scene:
        return f"scene {candidate.scene}"
    return f"copy {candidate.copy_of}" if candidate.copy_of else candidate.sha256


def _pinned(pool: Pool) -> np.ndarray:
    return np.array([SIDES.index(c.pin.split) if c.pin else _NONE for c in pool.candidates])


def _pinned_fold(pin: Pin, folds: int) -> int:
    part, _, count = pin.fold.partition("/")
    return int(part) if count == str(folds) else _NONE


def _own_or_groups(pool: Pool, own: np.ndarray, groups_sides: np.ndarray) -> np.ndarray:
    """Each image's own side if it has one, else what most of its group have, else what its group is given."""
    settled = pool.settled(own, len(SIDES))
    of_group = np.where(settled == _NONE, groups_sides, settled)
    return np.where(own == _NONE, of_group[pool.group], own)


def _share(digest: bytes) -> float:
    """A number in [0, 1) from a digest, hashed once more: the smallest of a group's digests is not uniform."""
    return int.from_bytes(hashlib.sha256(digest).digest()[:8]) / 2**64
