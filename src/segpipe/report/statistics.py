"""Statistics of a data set: classes, sizes of objects and images, classes that occur together. No pixels are read."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segpipe.ledger.rows import CLIPPED, HIDDEN, KEPT, REPAIRED, Row

# verdicts of an annotation that is drawn as its class
OBJECTS = (KEPT, REPAIRED, CLIPPED, HIDDEN)
_MAX_BINS = 12
_ROUND_STEPS = (1, 2, 5)
_ASPECTS = {"1:3": 1 / 3, "1:2": 1 / 2, "9:16": 9 / 16, "2:3": 2 / 3, "3:4": 3 / 4, "1:1": 1.0, "4:3": 4 / 3,
            "3:2": 3 / 2, "16:9": 16 / 9, "2:1": 2.0, "3:1": 3.0}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram."""

    label: str  # the values that it counts, in words
    count: int
    axis: str  # the text below it


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFacts:
    """Counts of one class, or of one category of the source that is not used."""

    name: str
    annotations: int
    objects: int  # annotations drawn as the class
    images: int  # that show one of the objects; of a class that is not used, images with an annotation of it
    pixels: int  # sum over the objects, whether covered or not
    shown_px: int  # of these the pixels that no other object covers; 0 before they are drawn
    median_px: int | None  # of one object; None without objects
    sizes: tuple[Bar, ...]  # objects by pixel count, each bar a doubling; the same bars for all classes


def class_facts(rows: Iterable[Row], names: Sequence[str]) -> list[ClassFacts]:
    """The facts of each class of `names`, in their order. rows: the ledger."""
    of_class: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        if row.kind == "annotation" and row.class_name in of_class:
            of_class[row.class_name].append(row)
    areas = {name: [row.px_before or 0 for row in of_class[name] if row.verdict in OBJECTS] for name in names}
    edges = _doublings([area for class_areas in areas.values() for area in class_areas])
    return [_facts(name, of_class[name], areas[name], edges) for name in names]


def together(rows: Iterable[Row], names: Sequence[str]) -> np.ndarray:
    """The number of images that show objects of two classes, int64 (C, C); on the diagonal, of one class."""
    index = {name: i for i, name in enumerate(names)}
    classes: dict[str, set[int]] = {}
    for row in rows:
        if row.kind == "annotation" and row.verdict in OBJECTS and row.class_name in index:
            classes.setdefault(row.image_key, set()).add(index[row.class_name])
    counts = np.zeros((len(names), len(names)), np.int64)
    for present in classes.values():
        counts[np.ix_(sorted(present), sorted(present))] += 1
    return counts


def objects_per_image(rows: Iterable[Row], keys: Iterable[str]) -> list[int]:
    """The number of objects on each image of `keys`."""
    counts = Counter(row.image_key for row in _objects(rows))
    return [counts[key] for key in keys]


def object_sizes(rows: Iterable[Row]) -> list[Bar]:
    """Objects by their pixel count, each bar a doubling."""
    areas = [row.px_before or 0 for row in _objects(rows)]
    return [replace(bar, axis=_short(edge)) for edge, bar in _size_bars(areas, _doublings(areas))]


def object_aspects(rows: Iterable[Row]) -> list[Bar]:
    """Objects by the common aspect ratio that is nearest to that of the box around their pixels."""
    return aspects((row.px_wide, row.px_high) for row in _objects(rows) if row.px_wide and row.px_high)


def histogram(values: Sequence[int]) -> list[Bar]:
    """At most 12 bars of equal, round width.

    >>> [(bar.label, bar.count) for bar in histogram([500, 640, 641])][:3]
    [('500 to 519', 1), ('520 to 539', 0), ('540 to 559', 0)]
    """
    if not values:
        return []
    step = _round_step(min(values), max(values))
    counts = Counter(value // step for value in values)
    return [_between(i * step, (i + 1) * step - 1, counts[i]) for i in range(min(counts), max(counts) + 1)]


def aspects(sizes_wh: Iterable[tuple[int, int]]) -> list[Bar]:
    """Boxes by the common aspect ratio, width to height, that is nearest to theirs."""
    names = list(_ASPECTS)
    logs = np.log(list(_ASPECTS.values()))
    counts = Counter(int(np.abs(logs - math.log(width / height)).argmin()) for width, height in sizes_wh)
    return [Bar(names[i], counts[i], names[i]) for i in range(min(counts), max(counts) + 1)] if counts else []


def most_common(labels: Iterable[str], count: int) -> tuple[list[Bar], Bar | None]:
    """The `count` most common labels, and one bar for all others, if there are any."""
    ordered = sorted(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    rest = ordered[count:]
    label = f"{len(rest)} other{'s' * (len(rest) != 1)}"
    others = Bar(label, sum(number for _, number in rest), "others") if rest else None
    return [Bar(name, number, name) for name, number in ordered[:count]], others


def _objects(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.kind == "annotation" and row.verdict in OBJECTS]


def _facts(name: str, rows: Sequence[Row], areas: Sequence[int], edges: Sequence[int]) -> ClassFacts:
    objects = _objects(rows)
    return ClassFacts(
        name=name,
        annotations=len(rows),
        objects=len(objects),
        images=len({row.image_key for row in objects or rows if row.image_key}),
        pixels=sum(areas),
        shown_px=sum(row.px_after or 0 for row in objects),
        median_px=int(np.median(areas)) if areas else None,
        sizes=tuple(bar for _, bar in _size_bars(areas, edges)),
    )


def _doublings(areas: Sequence[int]) -> list[int]:
    """Powers of two, from the largest that is not above the smallest area to the largest not above the largest area."""
    if not areas:
        return []
    return [1 << bit for bit in range(max(1, min(areas)).bit_length() - 1, max(areas).bit_length())]


def _size_bars(areas: Sequence[int], edges: Sequence[int]) -> list[tuple[int, Bar]]:
    """Each edge with the number of areas from it to below its double."""
    counts = Counter(area.bit_length() for area in areas)
    return [(edge, _between(edge, 2 * edge - 1, counts[edge.bit_length()])) for edge in edges]


def _short(number: int) -> str:
    """A number that fits below a narrow bar: 512, 1k, 262k, 4M."""
    return f"{number}" if number < 1000 else f"{number // 1000}k" if number < 1_000_000 else f"{number // 1_000_000}M"


def _round_step(low: int, high: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 ... that covers low..high with at most _MAX_BINS steps."""
    steps = (factor * 10**power for power in range(12) for factor in _ROUND_STEPS)
    return next(step for step in steps if high // step - low // step < _MAX_BINS)


def _between(low: int, high: int, count: int) -> Bar:
    return Bar(f"{low:,}" if low == high else f"{low:,} to {high:,}", count, f"{low:,}")
