"""Who trains, who validates, who tests: by content, so that it stays as it is when images are added."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from segpipe.dataset.duplicates import close_pairs, equal_pairs, groups
from segpipe.errors import UserError

TRAIN, VAL, TEST, LEFT_OUT = "train", "val", "test", ""
SIDES = (TRAIN, VAL, TEST)
_LARGE_GROUP = 0.2  # of all images


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One image to place.

    scene: what its file name says it belongs to (a drive, a patient), "" if nothing; source_split: what the source
    says; empty: its label map shows no object.
    """

    key: str
    sha256: str
    phash: str
    scene: str
    source_split: str | None
    empty: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Where one image goes. split: a side, or "" if left out; group: the key that names its group of duplicates."""

    key: str
    split: str
    group: str
    reason: str = ""


def by_content(
    candidates: Sequence[Candidate], seed: int, val: float, test: float, near_bits: int, keep_empty: bool
) -> list[Placed]:
    """Split by a hash of each image's bytes; val, test: shares of the whole, 0..1.

    An image's side depends on its own group alone: images of one scene, equal files and photographs whose perceptual
    hashes differ in at most near_bits of 64 bits, directly or through others. So images that resemble none of the
    others move no old one; one that resembles old ones joins their group, whose side its smallest hash decides.
    """

    def side(group: Sequence[Candidate]) -> str:
        share = _share(min(_hash(seed, member.sha256) for member in group))
        return TEST if share < test else VAL if share < test + val else TRAIN

    return _placed(candidates, near_bits, keep_empty, lambda group: [side(group)] * len(group))


def by_source(
    candidates: Sequence[Candidate],
    roles: Mapping[str, str],
    seed: int,
    val: float,
    near_bits: int,
    keep_empty: bool,
) -> list[Placed]:
    """The source's own split; roles: what each of its names is used as, such as {"train": "train", "val": "test"}.

    If nothing has the role val, the share `val` of the train images is taken for it, by content as in by_content.
    Raises UserError for an image whose split has no role.
    """
    for candidate in candidates:
        if candidate.source_split not in roles:
            raise UserError(
                f"{candidate.key}: its split in the source is {candidate.source_split or 'not given'}, which "
                "split.source_roles does not name; add it, or set split.method: content in params.yaml"
            )
    own = {c.key: roles[c.source_split or ""] for c in candidates}
    carve = VAL not in own.values()

    def sides(group: Sequence[Candidate]) -> list[str]:
        chosen = carve and _share(min(_hash(seed, member.sha256) for member in group)) < val
        return [VAL if chosen and own[c.key] == TRAIN else own[c.key] for c in group]

    return _placed(candidates, near_bits, keep_empty, sides)


def scenes(files: Sequence[str], pattern: str) -> list[str]:
    """For each file what `pattern`, a regular expression, finds in it: its first group, or all of the match; else "".

    Raises UserError for a pattern that is none, or that finds nothing in any file.
    """
    if not pattern:
        return [""] * len(files)
    try:
        found = [re.search(pattern, file) for file in files]
    except re.error as error:
        raise UserError(f"split.scene in params.yaml: {pattern!r} is no regular expression ({error})") from None
    if not any(found):
        raise UserError(f"split.scene in params.yaml: {pattern!r} finds nothing in any file name, such as {files[0]!r}")
    return [(match[1] if match.re.groups else match[0]) or "" if match else "" for match in found]


def leaks(candidates: Sequence[Candidate], placed: Sequence[Placed], near_bits: int) -> dict[str, int]:
    """How many val and test images have an equal or nearly equal image, or one of their scene, on another side."""
    split = [row.split for row in placed]
    pairs = {
        "equal_images": [equal_pairs([c.sha256 for c in candidates])],
        "same_scene_images": [equal_pairs(_scene_names(candidates))],
        "near_duplicate_images": close_pairs([c.phash for c in candidates], near_bits),
    }
    return {name: len(set().union(*(_leaking(split, part) for part in found))) for name, found in pairs.items()}


def summary(placed: Sequence[Placed], class_pixels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Images by split and reason, groups, and for each class where its images and pixels are.

    class_pixels: int64 (N, C) in the order of `placed`. share_off: the largest distance, over classes and splits,
    of the class's share of the pixels in a split from its share in all of them.
    """
    split = np.array([row.split for row in placed])
    totals = {side: class_pixels[split == side].sum(axis=0) for side in SIDES}
    overall = _shares(class_pixels[split != LEFT_OUT].sum(axis=0))
    sizes = Counter(row.group for row in placed)
    return {
        "images": {side: int((split == side).sum()) for side in SIDES},
        "left_out": dict(Counter(row.reason for row in placed if row.split == LEFT_OUT)),
        "groups": {"count": len(sizes), "largest": max(sizes.values(), default=0)},
        "class_images": {
            side: dict(zip(names, map(int, (class_pixels[split == side] > 0).sum(axis=0)), strict=True))
            for side in SIDES
        },
        "class_pixels": {side: dict(zip(names, map(int, totals[side]), strict=True)) for side in SIDES},
        "share_off": round(max(float(abs(_shares(t) - overall).max()) for t in totals.values() if t.sum()), 6),
    }


def warnings(placed: Sequence[Placed], class_pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """What a split lacks: a side without images, a class without pixels on one; or a group that outweighs the rest."""
    split = np.array([row.split for row in placed])
    lines = [f"no image is left for {side}" for side in SIDES if not (split == side).any()]
    for index, name in enumerate(names):
        bare = [side for side in SIDES if (split == side).any() and not class_pixels[split == side, index].any()]
        if bare and class_pixels[:, index].any():
            lines.append(f"class {name} has no pixel in {', '.join(bare)}")
    largest, size = Counter(row.group for row in placed).most_common(1)[0]
    if size > _LARGE_GROUP * len(placed):
        lines.append(
            f"{size} of {len(placed)} images are one group of near-duplicates (with {largest}) and share a side; "
            "lower split.near_duplicate_bits in params.yaml, or take split.method: source"
        )
    return lines


def _placed(
    candidates: Sequence[Candidate],
    near_bits: int,
    keep_empty: bool,
    sides: Callable[[Sequence[Candidate]], list[str]],
) -> list[Placed]:
    members: dict[int, list[int]] = {}
    for position, root in enumerate(_groups(candidates, near_bits)):
        members.setdefault(root, []).append(position)
    placed: dict[int, Placed] = {}
    for positions in members.values():
        group = [candidates[i] for i in positions]
        name = min(candidate.key for candidate in group)
        for position, candidate, side in zip(positions, group, sides(group), strict=True):
            row = Placed(key=candidate.key, split=side, group=name)
            left_out = candidate.empty and not keep_empty
            placed[position] = replace(row, split=LEFT_OUT, reason="empty_mask") if left_out else row
    return [placed[i] for i in range(len(candidates))]


def _groups(candidates: Sequence[Candidate], near_bits: int) -> list[int]:
    same = [equal_pairs([c.sha256 for c in candidates]), equal_pairs(_scene_names(candidates))]
    near = close_pairs([c.phash for c in candidates], near_bits)
    return groups(len(candidates), chain(same, near)).tolist()


def _scene_names(candidates: Sequence[Candidate]) -> list[str]:
    """A name for each image's scene; an image of none is a scene of its own."""
    return [f"scene {c.scene}" if c.scene else f"image {c.key}" for c in candidates]


def _hash(seed: int, sha256: str) -> bytes:
    return hashlib.sha256(f"{seed}:{sha256}".encode()).digest()


def _share(digest: bytes) -> float:
    """A number in [0, 1) from a digest, hashed once more: the smallest of a group's digests is not uniform."""
    return int.from_bytes(hashlib.sha256(digest).digest()[:8]) / 2**64


def _shares(pixels: np.ndarray) -> np.ndarray:
    shares: np.ndarray = pixels / max(1, pixels.sum())
    return shares


def _leaking(split: Sequence[str], pairs: np.ndarray) -> set[int]:
    crossing = [(i, j) for i, j in pairs.tolist() if split[i] != split[j] and LEFT_OUT not in (split[i], split[j])]
    return {i for pair in crossing for i in pair if split[i] != TRAIN}
