"""What a data set is made of: classes, sizes of objects and pictures, what occurs together. Counts only, no pixels."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segpipe.ledger.rows import CLIPPED, HIDDEN, KEPT, REPAIRED, Row

OBJECTS = (
    KEPT,
    REPAIRED,
    CLIPPED,
    HIDDEN,
)  # verdicts of an annotation that is drawn as its class
_MOST_BINS = 12
_NICE_STEPS = (1, 2, 5)
_ASPECTS = {"1:3": 1 / 3, "1:2": 1 / 2, "9:16": 9 / 16, "2:3": 2 / 3, "3:4": 3 / 4, "1:1": 1.0, "4:3": 4 / 3,
            "3:2": 3 / 2, "16:9": 16 / 9, "2:1": 2.0, "3:1": 3.0}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: what it stands for, in words, how many, and what to write beneath it."""

    label: str
    count: int
    axis: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFacts:
    """One class, or one category of the source that is none.

    annotations: all of them; objects: those drawn as the class; images: photographs that show one of the objects, or,
    for a class that is not used, an annotation of it; pixels: sum over the objects, each by itself; shown_px: those of
    them that no other object covers, 0 before they are drawn; median_px: of one object, None without any; sizes:
    objects by pixel count, one bar a doubling, the same bars for all classes.
    """

    name: str
    annotations: int
    objects: int
    images: int
    pixels: int
    shown_px: int
    median_px: int | None
    sizes: tuple[Bar, ...]


def class_facts(rows: Iterable[Row], names: Sequence[str]) -> list[ClassFacts]:
    """The facts of each class of `names`, in their order."""
    own: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        if row.kind == "annotation" and row.class_name in own:
            own[row.class_name].append(row)
    areas = {name: [row.px_before or 0 for row in own[name] if row.verdict in OBJECTS] for name in names}
    edges = _doublings([area for found in areas.values() for area in found])
    return [_facts(name, own[name], areas[name], edges) for name in names]


def together(rows: Iterable[Row], names: Sequence[str]) -> np.ndarray:
    """Photographs in which objects of two classes both occur, int64 (C, C); on the diagonal those that show one."""
    index = {name: i for i, name in enumerate(names)}
    seen: dict[str, set[int]] = {}
    for row in rows:
        if row.kind == "annotation" and row.verdict in OBJECTS and row.class_name in index:
            seen.setdefault(row.image_key, set()).add(index[row.class_name])
    counts = np.zeros((len(names), len(names)), np.int64)
    for present in seen.values():
        here = sorted(present)
        counts[np.ix_(here, here)] += 1
    return counts


def objects_per_image(rows: Iterable[Row], keys: Iterable[str]) -> list[int]:
    """How many objects each photograph of `keys` shows."""
    counts = Counter(row.image_key for row in rows if row.kind == "annotation" and row.verdict in OBJECTS)
    return [counts[key] for key in keys]


def object_sizes(rows: Iterable[Row]) -> list[Bar]:
    """Objects by their pixel count, one bar a doubling."""
    areas = [row.px_before or 0 for row in _objects(rows)]
    counts = Counter(area.bit_length() for area in areas)
    bars = (_between(edge, 2 * edge - 1, counts[edge.bit_length()]) for edge in _doublings(areas))
    return [replace(bar, axis=_short(edge)) for bar, edge in zip(bars, _doublings(areas), strict=True)]


def object_aspects(rows: Iterable[Row]) -> list[Bar]:
    """Objects by the common aspect ratio that the box around their pixels is nearest to."""
    return aspects((row.px_wide, row.px_high) for row in _objects(rows) if row.px_wide and row.px_high)


def _objects(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.kind == "annotation" and row.verdict in OBJECTS]


def histogram(values: Sequence[int]) -> list[Bar]:
    """Bars of equal, round width over whole numbers, at most 12 of them."""
    if not values:
        return []
    step = _nice_step(min(values), max(values))
    counts = Counter(value // step for value in values)
    return [_between(i * step, (i + 1) * step - 1, counts[i]) for i in range(min(counts), max(counts) + 1)]


def aspects(sizes_wh: Iterable[tuple[int, int]]) -> list[Bar]:
    """Boxes by the common aspect ratio, width to height, that theirs is nearest to."""
    names = list(_ASPECTS)
    logs = np.log(list(_ASPECTS.values()))
    counts = Counter(int(np.abs(logs - math.log(width / height)).argmin()) for width, height in sizes_wh)
    return [Bar(names[i], counts[i], names[i]) for i in range(min(counts), max(counts) + 1)] if counts else []


def commonest(labels: Iterable[str], most: int) -> tuple[list[Bar], Bar | None]:
    """The `most` commonest labels, and how many are left over, if any."""
    counts = sorted(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    rest = counts[most:]
    left = Bar(f"{len(rest)} others", sum(count for _, count in rest), "others") if rest else None
    return [Bar(label, count, label) for label, count in counts[:most]], left


def _facts(name: str, rows: Sequence[Row], areas: Sequence[int], edges: Sequence[int]) -> ClassFacts:
    objects = [row for row in rows if row.verdict in OBJECTS]
    counts = Counter(area.bit_length() for area in areas)
    return ClassFacts(
        name=name,
        annotations=len(rows),
        objects=len(objects),
        images=len({row.image_key for row in objects or rows if row.image_key}),
        pixels=sum(areas),
        shown_px=sum(row.px_after or 0 for row in objects),
        median_px=int(np.median(areas)) if areas else None,
        sizes=tuple(_between(edge, 2 * edge - 1, counts[edge.bit_length()]) for edge in edges),
    )


def _doublings(areas: Sequence[int]) -> list[int]:
    """Powers of two from the one at or below the smallest area to the one at or below the largest."""
    if not areas:
        return []
    return [1 << bit for bit in range(max(1, min(areas)).bit_length() - 1, max(areas).bit_length())]


def _short(number: int) -> str:
    """A number that fits beneath a narrow bar: 512, 1k, 262k, 4M."""
    return f"{number}" if number < 1000 else f"{number // 1000}k" if number < 1_000_000 else f"{number // 1_000_000}M"


def _nice_step(low: int, high: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 ... of which at most _MOST_BINS steps cover low..high."""
    steps = (factor * 10**power for power in range(12) for factor in _NICE_STEPS)
    return next(step for step in steps if high // step - low // step < _MOST_BINS)


def _between(low: int, high: int, count: int) -> Bar:
    return Bar(f"{low:,}" if low == high else f"{low:,} to {high:,}", count, f"{low:,}")
