"""The vocabulary of reasons and findings, and the code that uses it."""

import re

import pytest

from segpipe.ledger.findings import Finding
from segpipe.ledger.reasons import FINDINGS, FIRST_KNOWN, LIMITED_CODES, REASONS, SETTINGS, TOTALS, markdown, reason_of
from segpipe.ledger.rows import VERDICTS, Row
from segpipe.params import Params
from tests.conftest import ROOT

SOURCE = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "src/segpipe").rglob("*.py"))}
RECORD = {"kind": "annotation", "id": "a", "image_key": "a", "place": ""}


def test_a_row_or_finding_of_an_unknown_code_cannot_be_made():
    Row(**RECORD, verdict="dropped", reason="bad_ring")
    with pytest.raises(AssertionError, match="unknown reason kept bad_ring"):
        Row(**RECORD, verdict="kept", reason="bad_ring")
    with pytest.raises(AssertionError, match="unknown finding bad_ring"):
        Finding(code="bad_ring", kind="annotation", id="a", image_key="a")


def test_every_reason_of_an_annotation_error_is_in_the_vocabulary():
    only_converted = {"not_one_ring"}  # a target format cannot hold the shape: no reason of the ledger
    codes = {code for text in SOURCE.values() for code in re.findall(r'AnnotationError\(.*?, "([a-z_]+)"\)', text)}
    assert len(codes) > 5
    assert codes - only_converted <= {reason.code for reason in REASONS}


def test_every_code_is_used():
    text = "\n".join(SOURCE.values())
    unused = [reason.code for reason in (*REASONS, *FINDINGS) if f'"{reason.code}"' not in text]
    assert unused == []


def test_reasons_have_a_verdict_of_the_ledger():
    assert {reason.verdict for reason in REASONS} <= set(VERDICTS)


def test_settings_exist_and_are_explained():
    params = Params().model_dump(by_alias=True)
    named = {key for reason in (*REASONS, *FINDINGS) for key in reason.settings}
    assert named == set(SETTINGS)
    for key in named:
        section, name = key.split(".")
        assert name in params[section], key


def test_every_code_but_leaks_may_have_a_limit_in_exactly_one_stage():
    codes = {reason.code for reason in (*REASONS, *FINDINGS)} | set(TOTALS.values())
    assert codes - {"leaked_photographs"} == set(LIMITED_CODES)
    assert len(set(LIMITED_CODES)) == len(LIMITED_CODES)
    assert FIRST_KNOWN["rasterize"] == ("covered", "vanished_at_training_size")


def test_the_meaning_of_a_crowd_depends_on_its_verdict():
    assert "left out" in reason_of("discarded", "crowd").title
    assert "ignore" in reason_of("ignored", "crowd").title
    with pytest.raises(KeyError):
        reason_of("dropped", "crowd")


def test_the_reference_page_has_every_code_with_its_verdict():
    page = markdown()
    for reason in (*REASONS, *FINDINGS):
        assert f"`{reason.code}`: {reason.title}" in page
        assert reason.remedy in page
    assert page.count("**Verdict: ignored.**") == sum(reason.verdict == "ignored" for reason in REASONS)
