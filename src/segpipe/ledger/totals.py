"""The counts of a ledger, from the columns of its shards: no Python object per row."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from segpipe.core.plurals import counted
from segpipe.data.columns import Shards, counts, grouped, has, numbers
from segpipe.data.tables import POSITION, rows_at, where
from segpipe.ledger.policies import POLICIES
from segpipe.ledger.rows import CLIPPED, HIDDEN, IGNORED, KEPT, REPAIRED, VERDICTS, is_vanished

Case = tuple[str, ...]  # kind, verdict and reason
_COLUMNS = (
    "kind", "id", "place", "class_name", "verdict", "reason", "detail", "policies",
    "px_before", "px_after", "px_store", "px_nested", POSITION,
)  # fmt: skip
_IGNORED_DEFECTS = ("unknown_category",)  # defects that are painted as ignore
_OUTCOMES = dict.fromkeys((KEPT, REPAIRED, CLIPPED, HIDDEN), "used") | {IGNORED: "ignored"}


@dataclass(frozen=True, order=True, slots=True)
class First:
    """The first record of a case."""

    position: int  # in the source
    place: str  # in its file; its id if it has none
    detail: str


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of all rows of a ledger."""

    records: Mapping[Case, int]
    firsts: Mapping[Case, First]
    outcomes: Mapping[tuple[str, str, str], int]  # by policy; used, ignored or left_out; annotations or pixels
    gone: Mapping[tuple[str, ...], int]  # objects without a pixel at training size, by class

    @staticmethod
    def read(path: Path) -> "Totals":
        """The counts of the ledger in a file."""
        return Totals.of(Shards(path, _COLUMNS))

    @staticmethod
    def of(ledger: Iterable[pa.Table]) -> "Totals":
        """The counts of a ledger. ledger: its shards, with the column `position`."""
        records, gone = Counter[Case](), Counter[tuple[str, ...]]()
        outcomes = Counter[tuple[str, str, str]]()
        firsts: dict[Case, First] = {}
        for shard in ledger:
            cases, number = grouped(*map(shard.column, ("kind", "verdict", "reason")))
            records.update(dict(zip(cases, np.bincount(number).tolist(), strict=True)))
            for case, first in zip(cases, _firsts(shard, number), strict=True):
                firsts[case] = min(first, firsts.get(case, first))
            outcomes.update(_outcomes(shard))
            gone.update(counts(where(shard.select(["class_name"]), is_vanished(shard)).column("class_name")))
        return Totals(records, firsts, outcomes, gone)

    def of_kind(self, kind: str) -> dict[Case, int]:
        """The number of records of each case of a kind; the case with the first record first."""
        cases = sorted((case for case in self.records if case[0] == kind), key=lambda case: self.firsts[case])
        return {case: self.records[case] for case in cases}

    def summary(self) -> dict[str, Any]:
        """The counts for a metrics file: records of the source by verdict and by reason, for images and annotations."""
        return {f"{kind}s": _summary(self.of_kind(kind)) for kind in ("image", "annotation")}

    def warnings(self) -> list[str]:
        """One line for each reason why images or annotations are not used unchanged, with the first record."""
        lines = []
        for (kind, verdict, reason), count in sorted(self.records.items()):
            if reason and (verdict not in (KEPT, IGNORED) or reason in _IGNORED_DEFECTS):
                first = self.firsts[kind, verdict, reason]
                what = f"{counted(count, kind)} {verdict}: {reason}"
                lines.append(f"{what} (first: {first.place}: {first.detail})")
        return lines

    def policies(self) -> dict[str, dict[str, dict[str, int]]]:
        """The number of annotations and pixels by policy and outcome: used, ignored or left_out.

        An annotation counts once for each policy that applies to it, even if another policy decides. Its pixels are all
        that it covers, also under other objects; for `holes`, they are the holes with even_odd, the inside with union.
        """
        of_policy: dict[str, dict[str, dict[str, int]]] = {name: {} for name in POLICIES}
        for (name, outcome, what), count in self.outcomes.items():
            of_policy[name].setdefault(outcome, {})[what] = count
        return {name: of_outcome for name, of_outcome in of_policy.items() if of_outcome}

    def vanished(self) -> dict[str, int]:
        """The number of objects by class that are visible in the label map but have no pixel left at training size."""
        return {class_name: count for (class_name,), count in self.gone.items()}


def _summary(records: Mapping[Case, int]) -> dict[str, Any]:
    verdicts, reasons = Counter[str](), Counter[str]()
    for (_, verdict, reason), count in records.items():
        verdicts[verdict] += count
        reasons[reason] += count
    del reasons[""]
    known = {verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]}
    return {"in": sum(records.values()), "verdicts": known, "reasons": dict(reasons)}


def _firsts(shard: pa.Table, number: np.ndarray) -> list[First]:
    """The first record of each case. number: the number of each row's case, int (N,)."""
    order = numbers(shard.column(POSITION)).argsort(kind="stable")
    rows = order[np.unique(number[order], return_index=True)[1]]
    firsts = rows_at(shard.select([POSITION, "place", "id", "detail"]), rows).to_pydict().values()
    return [First(position, place or id_, detail) for position, place, id_, detail in zip(*firsts, strict=True)]


def _outcomes(shard: pa.Table) -> Counter[tuple[str, str, str]]:
    """The number of annotations and pixels of a shard by policy and outcome."""
    rows = where(shard.select(["policies", "verdict", "px_before", "px_nested"]), ~has(shard, policies=[""]))
    pairs, number = grouped(rows["policies"], rows["verdict"])
    weights = (None, numbers(rows["px_before"]), numbers(rows["px_nested"]))
    sums = (np.bincount(number, weight).astype(np.int64).tolist() for weight in weights)
    outcomes = Counter[tuple[str, str, str]]()
    for (names, verdict), annotations, px_before, px_nested in zip(pairs, *sums, strict=True):
        for name in names.split(","):
            outcome = _OUTCOMES.get(verdict, "left_out")
            outcomes[name, outcome, "annotations"] += annotations
            outcomes[name, outcome, "pixels"] += px_nested if name == "holes" else px_before
    return outcomes
