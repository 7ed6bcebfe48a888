"""The vocabulary of the ledger: every reason and every finding, read from reasons.toml beside this file."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Stage = Literal["validate", "rasterize", "split"]
_FINDING = "finding"  # the table of codes that change no verdict
_LIMITS = "validate.limits"  # may name any code


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """The meaning of one code. A code may occur with several verdicts, with a different text for each."""

    code: str
    verdict: str  # one of rows.VERDICTS; "" for a finding, which changes no verdict
    stage: Stage  # the first stage that knows it; that stage compares it with validate.limits
    title: str
    meaning: str
    done: str  # what the pipeline does
    remedy: str  # what the user can do
    settings: tuple[str, ...] = ()  # the keys of params.yaml that decide
    limited: bool = True  # whether validate.limits may name it
    logged: bool = False  # whether validate logs a finding, too


def _read(path: Path) -> tuple[dict[str, str], list[Reason]]:
    document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    settings = document.pop("settings")
    reasons = [
        Reason(
            code=code,
            verdict="" if verdict == _FINDING else verdict,
            **entry | {"settings": tuple(entry.get("settings", ()))},
        )
        for verdict, table in document.items()
        for code, entry in table.items()
    ]
    return settings, reasons


def _limited(stage: Stage) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.code for r in (*REASONS, *FINDINGS) if r.stage == stage and r.limited))


_settings, _all = _read(Path(__file__).with_name("reasons.toml"))
SETTINGS: Mapping[str, str] = _settings  # the keys of params.yaml that decide, each with its meaning
REASONS = tuple(reason for reason in _all if reason.verdict)  # of the ledger's rows
FINDINGS = tuple(reason for reason in _all if not reason.verdict)  # worth knowing, but they exclude no record
OF_PAIR: Mapping[tuple[str, str], Reason] = {(reason.verdict, reason.code): reason for reason in _all}

# Pseudo-codes of validate.limits: all records that defects have cost, by kind
TOTALS = {"image": "dropped_images", "annotation": "dropped_annotations"}
# The codes that a stage compares with validate.limits, because it is the first to know them
FIRST_KNOWN: Mapping[Stage, tuple[str, ...]] = {
    "validate": (*TOTALS.values(), *_limited("validate")),
    "rasterize": _limited("rasterize"),
    "split": _limited("split"),
}
LIMITED_CODES = tuple(code for codes in FIRST_KNOWN.values() for code in codes)


def reason_of(verdict: str, code: str) -> Reason:
    """The meaning of a code beside a verdict ("" for a finding). Raises KeyError for an unknown pair.

    >>> reason_of("dropped", "missing_file").stage
    'validate'
    """
    return OF_PAIR[verdict, code]


def codes_of(stage: Stage, reasons: Iterable[Reason] = FINDINGS) -> tuple[str, ...]:
    """The codes of `reasons` that `stage` is the first to know, in their order."""
    return tuple(reason.code for reason in reasons if reason.stage == stage)


def markdown() -> str:
    """The reference page of all codes, as Markdown: one heading per code and verdict, reasons first."""
    reasons = [_section(reason) for reason in REASONS]
    findings = [_section(reason) for reason in FINDINGS]
    return "\n".join(["## Reasons", "", *reasons, "## Findings", "", *findings])


def _section(reason: Reason) -> str:
    deciding = [key for key in reason.settings if key != _LIMITS]
    settings = ", ".join(f"`{key}` ({SETTINGS[key]})" for key in deciding)
    lines = [
        f"### `{reason.code}`: {reason.title}",
        "",
        f"**Verdict: {reason.verdict}.** {reason.meaning}" if reason.verdict else reason.meaning,
        "",
        f"- What is done: {reason.done}",
        f"- What you can do: {reason.remedy}",
        *([f"- Settings: {settings}"] if settings else []),
        "",
    ]
    return "\n".join(lines)
