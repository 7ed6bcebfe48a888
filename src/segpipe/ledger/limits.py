"""validate.limits: which share of the records may have a code before a stage stops."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from segpipe.core.errors import UserError
from segpipe.ledger.codes import DROPPED_CODES, KNOWN_TO_RASTERIZE, KNOWN_TO_SPLIT, KNOWN_TO_VALIDATE
from segpipe.ledger.findings import Finding, as_rows
from segpipe.ledger.rows import DROPPED, Kind, Row

Stage = Literal["validate", "rasterize", "split"]
_FIRST_KNOWN = {"validate": KNOWN_TO_VALIDATE, "rasterize": KNOWN_TO_RASTERIZE, "split": KNOWN_TO_SPLIT}
_WORST = 5


@dataclass(frozen=True, slots=True)
class Share:
    """The records of one kind that have a code, out of all of that kind, and the share that params.yaml allows."""

    code: str
    kind: Kind
    records: tuple[Row, ...]
    of: int
    limit: float

    @property
    def crossed(self) -> bool:
        """Whether there are more of them than the limit allows."""
        return len(self.records) > self.limit * self.of


def check(
    stage: Stage,
    limits: Mapping[str, float],
    rows: Sequence[Row],
    findings: Iterable[Finding],
    write_report: Callable[[], None],
) -> None:
    """Compare the codes that `stage` is the first to know with the section validate.limits.

    write_report: called before the error is raised; it writes the data report of all that is known so far.
    Raises UserError if a limit is exceeded.
    """
    exceeded = [share for share in shares(limits, rows, findings, _FIRST_KNOWN[stage]) if share.crossed]
    if exceeded:
        write_report()
        raise UserError(message(exceeded))


def shares(
    limits: Mapping[str, float], rows: Sequence[Row], found: Iterable[Finding], codes: Container[str]
) -> list[Share]:
    """For each limit the records it is about, by the ledger's reasons and the findings; in the order of `limits`.

    codes: the only ones to look at. A code that no record has is left out.
    """
    of_code: dict[str, list[Row]] = {}
    for code, row in (
        *((row.reason, row) for row in rows),
        *((DROPPED_CODES[row.kind], row) for row in rows if row.verdict == DROPPED),
        *((row.reason, row) for row in as_rows(found, rows)),
    ):
        of_code.setdefault(code, []).append(row)
    totals = Counter(row.kind for row in rows)
    return [
        Share(code, kind, tuple(own), totals[kind], limit)
        for code, limit in limits.items()
        if code in codes
        for kind in get_args(Kind)
        if (own := [row for row in of_code.get(code, ()) if row.kind == kind])
    ]


def message(crossed: Sequence[Share]) -> str:
    """One line that names the limits, the figures, and the worst cases of the first."""
    also = "".join(f"; {_figures(share)}" for share in crossed[1:])
    remedy = "mend them or raise the limit; results/data_report.html shows them"
    return f"{_figures(crossed[0])}; the worst: {_worst(crossed[0].records)}{also}; {remedy}"


def _figures(share: Share) -> str:
    percent = 100 * len(share.records) / share.of
    reasons = Counter(row.reason for row in share.records).most_common()
    named = "" if share.code == reasons[0][0] else ", ".join(f"{count} {reason}" for reason, count in reasons)
    figures = f"{len(share.records)} of {share.of} {share.kind}s ({percent:.3g} %{named and f': {named}'})"
    return f"validate.limits.{share.code} = {share.limit:g} in params.yaml is crossed by {figures}"


def _worst(records: Sequence[Row]) -> str:
    """The photographs that have most of the records, each with the first of its own."""
    own: dict[str, list[Row]] = {}
    for row in records:
        own.setdefault(row.image_key or row.id, []).append(row)
    most = sorted(own.values(), key=len, reverse=True)[:_WORST]
    return "; ".join(f"{_more(rows)}{rows[0].place or rows[0].id}: {rows[0].detail}" for rows in most)


def _more(rows: Sequence[Row]) -> str:
    return f"{len(rows)} on {rows[0].image_key}, first " if len(rows) > 1 else ""
