"""Findings of the split: near-duplicates and leaked images; and the reasons that it adds to the ledger."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from segpipe.core.errors import check_total
from segpipe.data.duplicates import equal_pairs, first_equal, joining_pairs
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


def split_findings(
    sides: Sequence[Assignment], photos: Sequence[Photo], fingerprints: np.ndarray, near_bits: int
) -> list[Finding]:
    """Images that nearly equal an earlier one, and images of val and test whose group is in another split too.

    sides, photos, fingerprints: of the same images, in the same order; near_bits: the largest distance of
    near-duplicates, split.near_duplicate_bits.
    """
    return [*_near_duplicates(sides, photos, fingerprints, near_bits), *_leaked(sides, photos)]


def _with_reason(row: Row, side: Assignment) -> Row:
    where = f"in {side.split}" if side.split else "left out of training"
    return replace(row, reason=side.reason, detail="; ".join(filter(None, [row.detail, where])))


def _near_duplicates(
    sides: Sequence[Assignment], photos: Sequence[Photo], fingerprints: np.ndarray, near_bits: int
) -> Iterator[Finding]:
    sizes = Counter(side.group for side in sides)
    grouped = np.array([sizes[side.group] > 1 for side in sides])  # an image alone in its group has none
    equal = {later for _, later in equal_pairs([photo.sha256 for photo in photos]).tolist()}
    first = first_equal(fingerprints, grouped)
    nearest = np.arange(len(photos))  # the earliest image that each is close to
    for pairs in joining_pairs(fingerprints, near_bits, first):
        np.minimum.at(nearest, pairs[:, 1], pairs[:, 0])
    for later in np.flatnonzero(first >= 0).tolist():
        other = photos[int(nearest[first[later]])]
        if other is not photos[later] and later not in equal:
            yield _finding(photos[later].key, "near_duplicate_photographs", f"nearly equal to {other.file}", other.key)


def _leaked(sides: Sequence[Assignment], photos: Sequence[Photo]) -> Iterator[Finding]:
    leaking = partners([side.group for side in sides], [side.split for side in sides])
    for position, partner in leaking.items():
        detail = f"in {sides[position].split}; same group as {photos[partner].file}"
        yield _finding(photos[position].key, "leaked_photographs", detail, photos[partner].key)


def _finding(key: str, code: str, detail: str, other: str) -> Finding:
    return Finding(code=code, kind="image", id=key, image_key=key, detail=detail, twin=other)
