"""The section validate.limits: the share of records that may have a code before a stage stops."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import pyarrow as pa

from segpipe.core.errors import UserError
from segpipe.core.plurals import counted
from segpipe.data.columns import has
from segpipe.data.tables import records_in, where
from segpipe.ledger.findings import Finding, as_rows, finding_counts
from segpipe.ledger.reasons import FIRST_KNOWN, TOTALS, Stage
from segpipe.ledger.rows import DROPPED, RecordKind, Row
from segpipe.ledger.totals import Totals

_MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class CodeShare:
    """The records of one kind that have a code, compared with the limit of params.yaml."""

    code: str
    kind: RecordKind
    reasons: Mapping[str, int]  # the number of records by the code that the ledger or the finding has
    of: int  # all records of that kind
    limit: float  # 0..1

    @property
    def count(self) -> int:
        """The number of records that have the code."""
        return sum(self.reasons.values())

    @property
    def exceeded(self) -> bool:
        """Whether more records have the code than the limit allows."""
        return self.count > self.limit * self.of


def check(
    stage: Stage,
    limits: Mapping[str, float],
    ledger: Iterable[pa.Table],
    findings: Iterable[pa.Table],
    write_report: Callable[[], None],
) -> None:
    """Compare the codes that `stage` is the first to know with the section validate.limits.

    ledger, findings: the shards of their tables, with positions; they are read again for the examples of an error.
    write_report: writes the data report of everything known so far; called before the error is raised.
    Raises UserError if a limit is exceeded.
    """
    found = shares(limits, Totals.of(ledger), finding_counts(findings), FIRST_KNOWN[stage])
    exceeded = [share for share in found if share.exceeded]
    if exceeded:
        write_report()
        raise UserError(message(exceeded, _records(exceeded[0], ledger, findings)))


def shares(
    limits: Mapping[str, float], totals: Totals, findings: Mapping[tuple[str, ...], int], codes: Container[str]
) -> list[CodeShare]:
    """The share of records with each limited code, in the order of `limits`; without codes that no record has.

    findings: their number by kind and code; codes: the only ones to look at.
    """
    return [
        CodeShare(code, kind, reasons, sum(totals.of_kind(kind).values()), limit)
        for code, limit in limits.items()
        if code in codes
        for kind in get_args(RecordKind)
        if (reasons := _reasons(code, kind, totals) + Counter({code: findings.get((kind, code), 0)}))
    ]


def message(exceeded: Sequence[CodeShare], records: Sequence[Row]) -> str:
    """One line with the exceeded limits, their figures, and the worst cases of the first one.

    records: those that have the code of the first one.
    """
    others = "".join(f"; {_figures(share)}" for share in exceeded[1:])
    remedy = "fix them or raise the limit; results/data_report.html shows them"
    return f"{_figures(exceeded[0])}; worst cases: {_worst(records)}{others}; {remedy}"


def _reasons(code: str, kind: RecordKind, totals: Totals) -> Counter[str]:
    """The number of rows of the ledger that have the code, by reason."""
    reasons = Counter[str]()
    for (_, verdict, reason), count in totals.of_kind(kind).items():
        if reason == code or (verdict == DROPPED and code == TOTALS[kind]):
            reasons[reason] += count
    return reasons


def _records(share: CodeShare, ledger: Iterable[pa.Table], findings: Iterable[pa.Table]) -> list[Row]:
    """The records that have the code of `share`, in the order of the source; those of findings last."""
    kind, code = [share.kind], [share.code]
    case = {"verdict": [DROPPED]} if share.code == TOTALS[share.kind] else {"reason": code}
    rows = records_in((where(shard, has(shard, kind=kind, **case)) for shard in ledger), Row)
    found = records_in((where(shard, has(shard, kind=kind, code=code)) for shard in findings), Finding)
    ids = {finding.id for finding in found}
    return [*rows, *as_rows(found, records_in((where(shard, has(shard, kind=kind, id=ids)) for shard in ledger), Row))]


def _figures(share: CodeShare) -> str:
    percent = 100 * share.count / share.of
    reasons = Counter(share.reasons).most_common()
    named = "" if share.code == reasons[0][0] else ", ".join(f"{count} {reason}" for reason, count in reasons)
    figures = f"{share.count} of {counted(share.of, share.kind)} ({percent:.3g} %{named and f': {named}'})"
    return f"validate.limits.{share.code} = {share.limit:g} in params.yaml is exceeded by {figures}"


def _worst(records: Sequence[Row]) -> str:
    """The images with the most of these records, each with its first one."""
    on_image: dict[str, list[Row]] = {}
    for row in records:
        on_image.setdefault(row.image_key or row.id, []).append(row)
    most = sorted(on_image.values(), key=len, reverse=True)[:_MAX_EXAMPLES]
    return "; ".join(f"{_several(rows)}{rows[0].place or rows[0].id}: {rows[0].detail}" for rows in most)


def _several(rows: Sequence[Row]) -> str:
    return f"{len(rows)} on {rows[0].image_key}, first " if len(rows) > 1 else ""
