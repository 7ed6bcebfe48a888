"""results/data_report.html: what is in the data set and what became of each record, for readers who know no code."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from segpipe.core.errors import closes
from segpipe.data.classes import ClassTable
from segpipe.data.records import Dataset, Instance, Photo
from segpipe.data.split_table import Assignment
from segpipe.ledger import limits, policies
from segpipe.ledger.findings import Finding
from segpipe.ledger.reasons import LIMITED_CODES, SETTINGS
from segpipe.ledger.rows import CLIPPED, DISCARDED, DROPPED, HIDDEN, IGNORED, KEPT, REPAIRED, SKIPPED, RecordKind, Row
from segpipe.rasterize import overlaps
from segpipe.report import examples, pages, statistics
from segpipe.report.statistics import Bar, ClassFacts

_TEMPLATE = "data_report.html.j2"
_COMMONEST_SIZES = 6
_MOST_CLASSES = 30  # in a table of classes against classes
_TERMS: dict[RecordKind, dict[str, str]] = {
    "image": {
        KEPT: "used",
        SKIPPED: "without a usable annotation",
        DROPPED: "cannot be used",
    },
    "annotation": {
        KEPT: "drawn as they are",
        REPAIRED: "drawn with a flaw, see below",
        CLIPPED: "cut at the border",
        HIDDEN: "wholly beneath others",
        IGNORED: "neither taught nor scored",
        DROPPED: "cannot be used",
        DISCARDED: "left out by choice",
    },
}
_SIDES = {
    "train": "learned from",
    "val": "picks the best epoch",
    "test": "scores the model",
    "": "left out of training",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """What the page shows, as far as it is known.

    root: the source folder; dataset: what it says; photos, instances: those that go on, as they are drawn; rows,
    findings: the ledger and what else is worth knowing; classes, indices: the class table and the class_index of each
    class; limits: the share of records that may have a code; overlaps: pixels by class beneath and class on top, None
    before they are drawn; placed: the side of each photograph, none before the split.
    """

    root: Path
    dataset: Dataset
    photos: Sequence[Photo]
    instances: Sequence[Instance]
    rows: Sequence[Row]
    findings: Sequence[Finding]
    classes: ClassTable
    indices: Mapping[str, int]
    limits: Mapping[str, float]
    overlaps: Mapping[tuple[str, str], int] | None = None
    placed: Sequence[Assignment] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a sum: its name, how many, and what it means. verdict: that of the ledger, "" for none."""

    verdict: str
    name: str
    count: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Sum:
    """All records of one kind in parts; the counts of the terms add up to total. what: what is summed, in words."""

    kind: RecordKind
    what: str
    total: int
    terms: tuple[Term, ...]


def html(report: DataReport) -> str:
    """The page: UTF-8 text with pictures inside, which names no time and no place outside the source."""
    rows, photos = report.rows, report.photos
    where = examples.source(report.root, report.dataset, report.instances, photos)
    used = list(report.indices)
    counted = {row.category: row.class_name for row in rows if row.class_name}
    unused = [name for name in report.dataset.categories if name not in counted]
    as_they_are = [replace(row, class_name=row.category) for row in rows if not row.class_name]
    sizes = [(photo.width, photo.height) for photo in photos]
    template = pages.environment(Path(__file__).parent).get_template(_TEMPLATE)
    return template.render(
        source=_shown_path(report.root),
        format=report.dataset.format,
        sums=[*(_sum(rows, kind) for kind in _TERMS), *([_split_sum(report.placed)] if report.placed else [])],
        shares=limits.shares(report.limits, rows, report.findings, LIMITED_CODES),
        limits=report.limits,
        classes=[_class_row(facts, report, counted) for facts in statistics.class_facts(rows, used)],
        unused=statistics.class_facts(as_they_are, unused),
        nameless=sum(row.kind == "annotation" and not row.category and row.verdict != IGNORED for row in rows),
        all_px=sum(width * height for width, height in sizes),
        together=_together(rows, used),
        overlaps=_overlaps(report.overlaps, report) if report.overlaps is not None else None,
        commonest=_commonest(sizes),
        longer_sides=statistics.histogram([max(size) for size in sizes]),
        aspects=statistics.aspects(sizes),
        crowdedness=statistics.histogram(statistics.objects_per_image(rows, [photo.key for photo in photos])),
        object_sizes=statistics.object_sizes(rows),
        object_aspects=statistics.object_aspects(rows),
        policies={policies.setting(name): outcomes for name, outcomes in policies.counts(rows).items()},
        settings=SETTINGS,
        findings=examples.account(rows, where),
        notes=examples.notes(report.findings, rows, where),
    )


def _shown_path(root: Path) -> str:
    return PurePath(root).name if root.is_absolute() else root.as_posix()


def _sum(rows: Sequence[Row], kind: RecordKind) -> Sum:
    counts = Counter(row.verdict for row in rows if row.kind == kind)
    total = sum(counts.values())
    terms = tuple(Term(verdict, verdict, counts[verdict], meaning) for verdict, meaning in _TERMS[kind].items())
    closes(sum(term.count for term in terms) == total, f"verdicts of {kind}s that the page does not know: {counts}")
    return Sum(kind, "in", total, terms)


def _split_sum(placed: Sequence[Assignment]) -> Sum:
    counts = Counter(side.split for side in placed)
    terms = tuple(Term("", side or "left out", counts[side], meaning) for side, meaning in _SIDES.items())
    closes(sum(term.count for term in terms) == len(placed), f"sides that the page does not know: {counts}")
    return Sum("image", "used", len(placed), terms)


def _class_row(facts: ClassFacts, report: DataReport, counted: Mapping[str, str]) -> dict[str, Any]:
    index = report.indices[facts.name]
    parts = [name for name in report.dataset.categories if counted.get(name) == facts.name]
    colour = "rgb({}, {}, {})".format(*report.classes.colours[index])
    return {"facts": facts, "made_of": parts if parts != [facts.name] else [], "index": index, "colour": colour}


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts of classes against classes. rows: a name and its cells each; left_out: classes that are not shown.

    strongest: the share that is shown darkest.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple["Cell", ...]], ...]
    left_out: int
    strongest: float = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One count, as a share of the row's whole. whole: it is that whole itself."""

    column: str
    count: int
    share: float
    whole: bool = False


def _together(rows: Sequence[Row], names: Sequence[str]) -> Matrix:
    """The most frequent classes: photographs that show both, and that as a share of the photographs with the first."""
    counts = statistics.together(rows, names)
    frequent = sorted(range(len(names)), key=lambda i: -counts[i, i])[:_MOST_CLASSES]
    shown = [i for i in sorted(frequent) if counts[i, i]]

    def cell(i: int, j: int) -> Cell:
        return Cell(names[j], int(counts[i, j]), float(counts[i, j] / counts[i, i]), whole=i == j)

    return Matrix(
        columns=tuple(names[i] for i in shown),
        rows=tuple((names[i], tuple(cell(i, j) for j in shown)) for i in shown),
        left_out=sum(counts[i, i] > 0 for i in range(len(names))) - len(shown),
    )


def _overlaps(pixels: Mapping[tuple[str, str], int], report: DataReport) -> Matrix:
    """The classes that lose most pixels to others, and to whom; shares of the pixels of all objects of the class."""
    names = report.classes.names
    own = Counter[str]()
    for row in report.rows:
        if row.kind == "annotation" and row.verdict in (*statistics.OBJECTS, HIDDEN):
            own[names[report.indices[row.class_name]]] += row.px_before or 0
    lost, hides = Counter[str](), Counter[str]()
    for (beneath, on_top), count in pixels.items():
        lost[beneath] += count
        hides[on_top] += count
    order = [*names, overlaps.IGNORED]
    shown, columns = (
        sorted((name for name, _ in most.most_common(_MOST_CLASSES)), key=order.index) for most in (lost, hides)
    )

    def cells(beneath: str) -> tuple[Cell, ...]:
        counts = [pixels.get((beneath, on_top), 0) for on_top in columns]
        return tuple(Cell(name, n, n / max(1, own[beneath])) for name, n in zip(columns, counts, strict=True))

    table = tuple((name, cells(name)) for name in shown)
    strongest = max((cell.share for _, own_cells in table for cell in own_cells), default=1.0)
    return Matrix(tuple(columns), table, len(lost) - len(shown), strongest)


def _commonest(sizes: Sequence[tuple[int, int]]) -> list[Bar]:
    bars, rest = statistics.commonest((f"{width} x {height}" for width, height in sizes), _COMMONEST_SIZES)
    return [*bars, *([rest] if rest else [])]
