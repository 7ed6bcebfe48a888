"""The section validate.limits: the share of records that may have a code before a stage stops."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from segpipe.core.errors import UserError
from segpipe.core.plurals import counted
from segpipe.ledger.findings import Finding, as_rows
from segpipe.ledger.reasons import FIRST_KNOWN, TOTALS, Stage
from segpipe.ledger.rows import DROPPED, RecordKind, Row

_MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class CodeShare:
    """The records of one kind that have a code, compared with the limit of params.yaml."""

    code: str
    kind: RecordKind
    records: tuple[Row, ...]
    of: int  # all records of that kind
    limit: float  # 0..1

    @property
    def exceeded(self) -> bool:
        """Whether more records have the code than the limit allows."""
        return len(self.records) > self.limit * self.of


def check(
    stage: Stage,
    limits: Mapping[str, float],
    rows: Sequence[Row],
    findings: Iterable[Finding],
    write_report: Callable[[], None],
) -> None:
    """Compare the codes that `stage` is the first to know with the section validate.limits.

    write_report: writes the data report of everything known so far; called before the error is raised.
    Raises UserError if a limit is exceeded.
    """
    exceeded = [share for share in shares(limits, rows, findings, FIRST_KNOWN[stage]) if share.exceeded]
    if exceeded:
        write_report()
        raise UserError(message(exceeded))


def shares(
    limits: Mapping[str, float], rows: Sequence[Row], findings: Iterable[Finding], codes: Container[str]
) -> list[CodeShare]:
    """The records with each limited code, in the order of `limits`; without codes that no record has.

    codes: the only ones to look at, by the ledger's reasons and by the findings.
    """
    of_code: dict[str, list[Row]] = {}
    for code, row in (
        *((row.reason, row) for row in rows),
        *((TOTALS[row.kind], row) for row in rows if row.verdict == DROPPED),
        *((row.reason, row) for row in as_rows(findings, rows)),
    ):
        of_code.setdefault(code, []).append(row)
    totals = Counter(row.kind for row in rows)
    return [
        CodeShare(code, kind, tuple(records), totals[kind], limit)
        for code, limit in limits.items()
        if code in codes
        for kind in get_args(RecordKind)
        if (records := [row for row in of_code.get(code, ()) if row.kind == kind])
    ]


def message(exceeded: Sequence[CodeShare]) -> str:
    """One line with the exceeded limits, their figures, and the worst cases of the first one."""
    others = "".join(f"; {_figures(share)}" for share in exceeded[1:])
    remedy = "fix them or raise the limit; results/data_report.html shows them"
    return f"{_figures(exceeded[0])}; worst cases: {_worst(exceeded[0].records)}{others}; {remedy}"


def _figures(share: CodeShare) -> str:
    percent = 100 * len(share.records) / share.of
    reasons = Counter(row.reason for row in share.records).most_common()
    named = "" if share.code == reasons[0][0] else ", ".join(f"{count} {reason}" for reason, count in reasons)
    figures = f"{len(share.records)} of {counted(share.of, share.kind)} ({percent:.3g} %{named and f': {named}'})"
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
