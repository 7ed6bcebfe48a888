"""results/data_report.html: the contents of the data set and the fate of each record, without terms of the code."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from segpipe.core.errors import check_total
from segpipe.data.classes import ClassTable
from segpipe.data.records import Dataset, Instance, Photo
from segpipe.data.split_table import Assignment
from segpipe.ledger import findings, limits, policies
from segpipe.ledger.findings import Finding
from segpipe.ledger.reasons import LIMITED_CODES, SETTINGS
from segpipe.ledger.rows import (
    CLIPPED,
    DISCARDED,
    DROPPED,
    HIDDEN,
    IGNORED,
    KEPT,
    REPAIRED,
    SKIPPED,
    RecordKind,
    Row,
    one_shard,
)
from segpipe.ledger.totals import Totals
from segpipe.rasterize import overlaps
from segpipe.report import examples, pages, statistics
from segpipe.report.statistics import Bar, ClassFacts

_COMMON_SIZES = 6
_MAX_CLASSES = 30  # in a table of classes against classes
_MEANINGS: dict[RecordKind, dict[str, str]] = {
    "image": {
        KEPT: "used",
        SKIPPED: "without a usable annotation",
        DROPPED: "cannot be used",
    },
    "annotation": {
        KEPT: "drawn unchanged",
        REPAIRED: "drawn despite a defect, see below",
        CLIPPED: "cut at the border",
        HIDDEN: "completely covered by others",
        IGNORED: "neither trained on nor scored",
        DROPPED: "cannot be used",
        DISCARDED: "left out by your settings",
    },
}
_SPLIT_MEANINGS = {
    "train": "to train the model",
    "val": "to choose the best epoch",
    "test": "to score the model",
    "": "left out of training",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """The known contents of the page."""

    root: Path  # the source folder
    dataset: Dataset  # as the source describes it
    photos: Sequence[Photo]  # that are used
    instances: Sequence[Instance]  # that are used, in the form in which they are drawn
    rows: Sequence[Row]  # the ledger
    findings: Sequence[Finding]
    classes: ClassTable
    indices: Mapping[str, int]  # class_index by class
    limits: Mapping[str, float]  # the largest share of records that may have a code
    overlaps: Mapping[tuple[str, str], int] | None = None  # pixels by class below and class on top; None: not drawn yet
    placed: Sequence[Assignment] = ()  # the split of each photo; empty before the split


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a sum. verdict: that of the ledger, or ""."""

    verdict: str
    name: str
    count: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Sum:
    """All records of one kind, divided into terms; their counts add up to total. what: a word for the whole."""

    kind: RecordKind
    what: str
    total: int
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One count of a matrix, and its share of the row's whole."""

    column: str
    count: int
    share: float
    whole: bool = False  # whether the count is the row's whole itself


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts of classes against classes."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]  # a name and its cells each
    left_out: int  # classes that are not shown
    strongest: float = 1.0  # the share that is shown darkest


def html(report: DataReport) -> str:
    """The page: UTF-8 text with its images inside. It contains no date and no path outside the source."""
    rows, photos = report.rows, report.photos
    lookup = examples.lookup_of(report.root, report.dataset, report.instances, photos)
    used = list(report.indices)
    class_of = {row.category: row.class_name for row in rows if row.class_name}
    unused = [name for name in report.dataset.categories if name not in class_of]
    by_category = [replace(row, class_name=row.category) for row in rows if not row.class_name]
    sizes = [(photo.width, photo.height) for photo in photos]
    totals = Totals.of([one_shard(rows)])
    found = findings.finding_counts([findings.to_table(report.findings)])
    return pages.render(
        "data_report.html.j2",
        source=_shown_path(report.root),
        format=report.dataset.format,
        sums=[*(_sum(rows, kind) for kind in _MEANINGS), *([_split_sum(report.placed)] if report.placed else [])],
        shares=limits.shares(report.limits, totals, found, LIMITED_CODES),
        limits=report.limits,
        classes=[_class_row(facts, report, class_of) for facts in statistics.class_facts(rows, used)],
        unused=statistics.class_facts(by_category, unused),
        unnamed=sum(row.kind == "annotation" and not row.category and row.verdict != IGNORED for row in rows),
        all_px=sum(width * height for width, height in sizes),
        together=_together(rows, used),
        overlaps=_overlaps(report.overlaps, report) if report.overlaps is not None else None,
        common_sizes=_common_sizes(sizes),
        longer_sides=statistics.histogram([max(size) for size in sizes]),
        aspects=statistics.aspects(sizes),
        object_counts=statistics.histogram(statistics.objects_per_image(rows, [photo.key for photo in photos])),
        object_sizes=statistics.object_sizes(rows),
        object_aspects=statistics.object_aspects(rows),
        policies={policies.setting(name): outcomes for name, outcomes in totals.policies().items()},
        settings=SETTINGS,
        reasons=examples.of_ledger(rows, lookup),
        findings=examples.of_findings(report.findings, rows, lookup),
    )


def _shown_path(root: Path) -> str:
    return PurePath(root).name if root.is_absolute() else root.as_posix()


def _sum(rows: Sequence[Row], kind: RecordKind) -> Sum:
    counts = Counter(row.verdict for row in rows if row.kind == kind)
    total = sum(counts.values())
    terms = tuple(Term(verdict, verdict, counts[verdict], meaning) for verdict, meaning in _MEANINGS[kind].items())
    check_total(sum(term.count for term in terms) == total, f"the page does not know a verdict of {kind}s: {counts}")
    return Sum(kind, "in the source", total, terms)


def _split_sum(placed: Sequence[Assignment]) -> Sum:
    counts = Counter(side.split for side in placed)
    terms = tuple(Term("", side or "left out", counts[side], meaning) for side, meaning in _SPLIT_MEANINGS.items())
    check_total(sum(term.count for term in terms) == len(placed), f"the page does not know a split: {counts}")
    return Sum("image", "used", len(placed), terms)


def _class_row(facts: ClassFacts, report: DataReport, class_of: Mapping[str, str]) -> dict[str, Any]:
    """class_of: the class of each category of the source that is used."""
    index = report.indices[facts.name]
    categories = [name for name in report.dataset.categories if class_of.get(name) == facts.name]
    colour = "rgb({}, {}, {})".format(*report.classes.colours[index])
    merged = categories if categories != [facts.name] else []
    return {"facts": facts, "made_of": merged, "index": index, "colour": colour}


def _together(rows: Sequence[Row], names: Sequence[str]) -> Matrix:
    """The most frequent classes: images that show both, and their share of the images that show the row's class."""
    counts = statistics.together(rows, names)
    frequent = sorted(range(len(names)), key=lambda i: -counts[i, i])[:_MAX_CLASSES]
    shown = [i for i in sorted(frequent) if counts[i, i]]

    def cell(i: int, j: int) -> Cell:
        return Cell(names[j], int(counts[i, j]), float(counts[i, j] / counts[i, i]), whole=i == j)

    return Matrix(
        columns=tuple(names[i] for i in shown),
        rows=tuple((names[i], tuple(cell(i, j) for j in shown)) for i in shown),
        left_out=sum(counts[i, i] > 0 for i in range(len(names))) - len(shown),
    )


def _overlaps(pixels: Mapping[tuple[str, str], int], report: DataReport) -> Matrix:
    """The classes that lose most pixels to others, as shares of the pixels of all objects of the row's class."""
    names = report.classes.names
    drawn = Counter[str]()
    for row in report.rows:
        if row.kind == "annotation" and row.verdict in (*statistics.OBJECTS, HIDDEN):
            drawn[names[report.indices[row.class_name]]] += row.px_before or 0
    lost, hides = Counter[str](), Counter[str]()
    for (below, on_top), count in pixels.items():
        lost[below] += count
        hides[on_top] += count
    order = [*names, overlaps.IGNORED]
    shown, columns = (
        sorted((name for name, _ in counts.most_common(_MAX_CLASSES)), key=order.index) for counts in (lost, hides)
    )

    def cells(below: str) -> tuple[Cell, ...]:
        counts = [pixels.get((below, on_top), 0) for on_top in columns]
        return tuple(Cell(name, n, n / max(1, drawn[below])) for name, n in zip(columns, counts, strict=True))

    table = tuple((name, cells(name)) for name in shown)
    strongest = max((cell.share for _, row_cells in table for cell in row_cells), default=1.0)
    return Matrix(tuple(columns), table, len(lost) - len(shown), strongest)


def _common_sizes(sizes: Sequence[tuple[int, int]]) -> list[Bar]:
    bars, rest = statistics.most_common((f"{width} x {height}" for width, height in sizes), _COMMON_SIZES)
    return [*bars, *([rest] if rest else [])]
