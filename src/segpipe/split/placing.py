"""What data/splits.csv adds to the account: photographs that are left out, near-duplicates, and those on two sides."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from segpipe.core.errors import closes
from segpipe.data.duplicates import equal_pairs, firsts, joining_pairs
from segpipe.data.records import Photo
from segpipe.data.split_table import TRAIN, Assignment
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import Row


def close(sides: Sequence[Assignment], rows: Sequence[Row]) -> None:
    """Hold the split against the ledger: each photograph that is used is on one side, or left out for a reason.

    Raises AccountError.
    """
    used = [row.id for row in rows if row.kind == "image" and row.verdict == "kept"]
    placed = [side.key for side in sides]
    closes(sorted(placed) == sorted(used), f"{len(used)} photographs are used, {len(placed)} are in the split")
    lost = [side.key for side in sides if not side.split and not side.reason]
    closes(not lost, f"left out of the split without a reason: {lost[:5]}")


def with_reasons(rows: Sequence[Row], sides: Sequence[Assignment]) -> list[Row]:
    """The ledger with the reason why a photograph that is used is not trained on, and where it is instead."""
    of_key = {side.key: side for side in sides if side.reason}
    return [_with_reason(row, of_key[row.id]) if row.kind == "image" and row.id in of_key else row for row in rows]


def _with_reason(row: Row, side: Assignment) -> Row:
    where = f"in {side.split}" if side.split else "left out of training"
    return replace(row, reason=side.reason, detail="; ".join(filter(None, [row.detail, where])))


def findings(sides: Sequence[Assignment], photos: Sequence[Photo], near_bits: int) -> list[Finding]:
    """Photographs that nearly equal an earlier one, and those of val and test whose group is on another side too."""
    file = {photo.key: photo.file for photo in photos}
    return [*_near(sides, {photo.key: photo for photo in photos}, near_bits), *_leaked(sides, file)]


def _near(sides: Sequence[Assignment], photos: dict[str, Photo], near_bits: int) -> Iterator[Finding]:
    sizes = Counter(side.group for side in sides)
    grouped = [photos[side.key] for side in sides if sizes[side.group] > 1]  # others are near to none
    equal = {later for _, later in equal_pairs([photo.sha256 for photo in grouped]).tolist()}
    hashes = [photo.phash for photo in grouped]
    nearest = np.arange(len(grouped))  # the earliest that each is close to
    for pairs in joining_pairs(hashes, near_bits):
        np.minimum.at(nearest, pairs[:, 1], pairs[:, 0])
    for later, earliest in enumerate(nearest[firsts(hashes)].tolist()):
        if earliest == later or later in equal:
            continue
        twin = grouped[earliest]
        yield _finding(grouped[later].key, "near_duplicate_photographs", f"nearly equal to {twin.file}", twin.key)


def _leaked(sides: Sequence[Assignment], file: dict[str, str]) -> Iterator[Finding]:
    others: dict[str, dict[str, str]] = {}
    for side in sides:
        if side.split:
            others.setdefault(side.group, {}).setdefault(side.split, side.key)
    for side in sides:
        elsewhere = [key for split, key in others.get(side.group, {}).items() if split != side.split]
        if side.split not in ("", TRAIN) and elsewhere:
            twin = others[side.group].get(TRAIN, elsewhere[0])
            yield _finding(side.key, "leaked_photographs", f"in {side.split}; goes with {file[twin]}", twin)


def _finding(key: str, code: str, detail: str, twin: str) -> Finding:
    return Finding(code=code, kind="image", id=key, image_key=key, detail=detail, twin=twin)
