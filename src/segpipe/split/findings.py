"""Findings of the split: near-duplicates and leaked images; and the reasons that it adds to the ledger."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from segpipe.core.errors import check_total
from segpipe.data.duplicates import equal_pairs, firsts, joining_pairs
from segpipe.data.records import Photo
from segpipe.data.split_table import Assignment
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import Row
from segpipe.split.leaks import partners


def check_totals(sides: Sequence[Assignment], rows: Sequence[Row]) -> None:
    """Compare the split with the ledger: each image that is used has exactly one split, or a reason why it has none.

    Raises LedgerError.
    """
    used = [row.id for row in rows if row.kind == "image" and row.verdict == "kept"]
    placed = [side.key for side in sides]
    check_total(sorted(placed) == sorted(used), f"{len(used)} images are used, {len(placed)} are in the split")
    unexplained = [side.key for side in sides if not side.split and not side.reason]
    check_total(not unexplained, f"left out of the split without a reason: {unexplained[:5]}")


def with_reasons(rows: Sequence[Row], sides: Sequence[Assignment]) -> list[Row]:
    """The ledger, with the split's reason for each image that is not trained on, and where the image is instead."""
    of_key = {side.key: side for side in sides if side.reason}
    return [_with_reason(row, of_key[row.id]) if row.kind == "image" and row.id in of_key else row for row in rows]


def split_findings(sides: Sequence[Assignment], photos: Sequence[Photo], near_bits: int) -> list[Finding]:
    """Images that nearly equal an earlier one, and images of val and test whose group is in another split too.

    near_bits: the largest distance of near-duplicates, split.near_duplicate_bits.
    """
    by_key = {photo.key: photo for photo in photos}
    return [*_near_duplicates(sides, by_key, near_bits), *_leaked(sides, by_key)]


def _with_reason(row: Row, side: Assignment) -> Row:
    where = f"in {side.split}" if side.split else "left out of training"
    return replace(row, reason=side.reason, detail="; ".join(filter(None, [row.detail, where])))


def _near_duplicates(sides: Sequence[Assignment], photos: dict[str, Photo], near_bits: int) -> Iterator[Finding]:
    sizes = Counter(side.group for side in sides)
    grouped = [photos[side.key] for side in sides if sizes[side.group] > 1]  # an image alone in its group has none
    equal = {later for _, later in equal_pairs([photo.sha256 for photo in grouped]).tolist()}
    hashes = [photo.phash for photo in grouped]
    nearest = np.arange(len(grouped))  # the earliest image that each is close to
    for pairs in joining_pairs(hashes, near_bits):
        np.minimum.at(nearest, pairs[:, 1], pairs[:, 0])
    for later, earliest in enumerate(nearest[firsts(hashes)].tolist()):
        if earliest != later and later not in equal:
            other = grouped[earliest]
            yield _finding(grouped[later].key, "near_duplicate_photographs", f"nearly equal to {other.file}", other.key)


def _leaked(sides: Sequence[Assignment], photos: dict[str, Photo]) -> Iterator[Finding]:
    leaking = partners([side.group for side in sides], [side.split for side in sides])
    for position, partner in leaking.items():
        side, other = sides[position], sides[partner].key
        detail = f"in {side.split}; same group as {photos[other].file}"
        yield _finding(side.key, "leaked_photographs", detail, other)


def _finding(key: str, code: str, detail: str, other: str) -> Finding:
    return Finding(code=code, kind="image", id=key, image_key=key, detail=detail, twin=other)
