"""results/data_report.html: what is in the data set and what became of each record, for readers who know no code."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from segpipe import pages
from segpipe.classes import ClassTable
from segpipe.dataset import cases, ledger, statistics
from segpipe.dataset.codes import DROPPED_CODES
from segpipe.dataset.ledger import Kind, Row
from segpipe.dataset.reasons import SETTINGS
from segpipe.dataset.statistics import Bar, ClassFacts
from segpipe.dataset.validation import Validated
from segpipe.records import Dataset

_TEMPLATE = "data_report.html.j2"
_COMMONEST_SIZES = 6
_TOGETHER = 30  # classes in the table of what occurs together
_TERMS: dict[Kind, dict[str, str]] = {
    "image": {
        ledger.KEPT: "used",
        ledger.SKIPPED: "without a usable annotation",
        ledger.DROPPED: "cannot be used",
    },
    "annotation": {
        ledger.KEPT: "drawn as they are",
        ledger.REPAIRED: "drawn with a flaw, see below",
        ledger.CLIPPED: "cut at the border",
        ledger.IGNORED: "neither taught nor scored",
        ledger.DROPPED: "cannot be used",
        ledger.DISCARDED: "left out by choice",
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """What the page shows.

    root: the source folder; dataset: what it says; validated: what became of it; classes, indices: the class table and
    the class_index of each class; limits: the share of records that may have a code.
    """

    root: Path
    dataset: Dataset
    validated: Validated
    classes: ClassTable
    indices: Mapping[str, int]
    limits: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a sum: how many have the verdict, and what it means."""

    verdict: str
    count: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Sum:
    """All records of one kind by verdict; the counts of the terms add up to total."""

    kind: Kind
    total: int
    terms: tuple[Term, ...]
    dropped_share: float
    limit: float


def html(report: DataReport) -> str:
    """The page: UTF-8 text with pictures inside, which names no time and no place outside the source."""
    rows, photos = report.validated.rows, report.validated.photos
    where = cases.source(report.root, report.dataset, report.validated)
    used = list(report.indices)
    counted = {row.category: row.class_name for row in rows if row.class_name}
    unused = [name for name in report.dataset.categories if name not in counted]
    as_they_are = [replace(row, class_name=row.category) for row in rows if not row.class_name]
    sizes = [(photo.width, photo.height) for photo in photos]
    template = pages.environment(Path(__file__).parent).get_template(_TEMPLATE)
    return template.render(
        source=_shown_path(report.root),
        format=report.dataset.format,
        sums=[_sum(rows, kind, report.limits.get(DROPPED_CODES[kind], 1.0)) for kind in _TERMS],
        classes=[_class_row(facts, report, counted) for facts in statistics.class_facts(rows, used)],
        unused=statistics.class_facts(as_they_are, unused),
        nameless=sum(row.kind == "annotation" and not row.category and row.verdict != ledger.IGNORED for row in rows),
        all_px=sum(width * height for width, height in sizes),
        together=_together(rows, used),
        commonest=_commonest(sizes),
        longer_sides=statistics.histogram([max(size) for size in sizes]),
        aspects=statistics.aspects(sizes),
        crowdedness=statistics.histogram(statistics.objects_per_image(rows, [photo.key for photo in photos])),
        settings=SETTINGS,
        findings=cases.account(rows, where),
        notes=cases.notes(report.validated.findings, rows, where),
    )


def _shown_path(root: Path) -> str:
    return PurePath(root).name if root.is_absolute() else root.as_posix()


def _sum(rows: Sequence[Row], kind: Kind, limit: float) -> Sum:
    counts = Counter(row.verdict for row in rows if row.kind == kind)
    total = sum(counts.values())
    meanings = _TERMS[kind]
    terms = tuple(Term(verdict, counts[verdict], meaning) for verdict, meaning in meanings.items())
    assert sum(term.count for term in terms) == total, f"verdicts of {kind}s that the page does not know: {counts}"
    return Sum(kind, total, terms, counts[ledger.DROPPED] / max(1, total), limit)


def _class_row(facts: ClassFacts, report: DataReport, counted: Mapping[str, str]) -> dict[str, Any]:
    index = report.indices[facts.name]
    parts = [name for name in report.dataset.categories if counted.get(name) == facts.name]
    colour = "rgb({}, {}, {})".format(*report.classes.colours[index])
    return {"facts": facts, "made_of": parts if parts != [facts.name] else [], "index": index, "colour": colour}


def _together(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """The most frequent classes: photographs that show both, and that as a share of the photographs with the first."""
    counts = statistics.together(rows, names)
    frequent = sorted(range(len(names)), key=lambda i: -counts[i, i])[:_TOGETHER]
    shown = [i for i in sorted(frequent) if counts[i, i]]
    return {
        "left_out": sum(counts[i, i] > 0 for i in range(len(names))) - len(shown),
        "rows": [
            {
                "name": names[i],
                "cells": [{"other": names[j], "count": int(counts[i, j]), "share": float(counts[i, j] / counts[i, i]),
                           "same": i == j} for j in shown],
            }
            for i in shown
        ],
    }  # fmt: skip


def _commonest(sizes: Sequence[tuple[int, int]]) -> list[Bar]:
    bars, rest = statistics.commonest((f"{width} x {height}" for width, height in sizes), _COMMONEST_SIZES)
    return [*bars, *([rest] if rest else [])]
