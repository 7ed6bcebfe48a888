"""The vocabulary of reasons against the code that gives them."""

import ast
import typing
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from segpipe.data import records
from segpipe.ledger import codes, rows
from segpipe.ledger.finding_words import FINDINGS
from segpipe.ledger.policies import POLICIES
from segpipe.ledger.reasons import REASONS, SETTINGS, reason_of
from segpipe.ledger.rows import Row
from tests.conftest import ROOT

CODES = {reason.code for reason in REASONS}


def strings(node: ast.AST, named: dict[str, str]) -> set[str]:
    """The strings that an expression can have, written out or by the name of a constant."""
    found = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return (found | {named[n.id] for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in named}) - {""}


def is_verdict(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ledger"


def codes_in(path: Path) -> set[str]:
    """Codes a file can give: AnnotationError's second argument, reason= and problem=, and what follows a verdict."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        target.id: node.value.value
        for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if getattr(node.func, "id", "") == "AnnotationError" and len(node.args) > 1:
                found |= strings(node.args[1], named)
            for keyword in node.keywords:
                if keyword.arg in ("reason", "problem") and isinstance(
                    keyword.value, ast.Constant | ast.Name | ast.IfExp
                ):
                    found |= strings(keyword.value, named)
        row = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        for verdict, code in pairwise(row):
            if is_verdict(verdict) and isinstance(code, ast.Constant | ast.Name):
                found |= strings(code, named)
    return found


def test_every_code_that_the_source_gives_has_words_and_no_other_has():
    packages = ("annotations", "masks", "dataset")  # those that write the ledger
    sources = sorted(path for package in packages for path in (ROOT / "src/segpipe" / package).rglob("*.py"))
    given = {"bad_record"}  # AnnotationError's own default
    given |= set(typing.get_args(records.Role)) - {"object"}  # an ignored annotation has its role for a reason,
    given |= set(typing.get_args(records.ShapeKind)) - {"region"}  # one that is no region but drawn its kind
    given |= set(POLICIES) & set(records.FLAGS)  # one that a policy on its flag ignores or drops, the flag's
    for path in sources:
        if path.name != "reasons.py":
            given |= codes_in(path)
    assert given == CODES


def test_a_code_that_is_written_in_any_of_the_ways_is_found(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        'AnnotationError("words", "one")\n'
        'replace(image, problem="two" if bad else "three")\n'
        'row = ledger.DROPPED, "four", "words"\n'
        '_row(image, ledger.KEPT, "five", "words")\n'
        'replace(row, verdict=ledger.HIDDEN, reason="six")\n'
        'SEVEN = "seven"\n'
        'AnnotationError("words", SEVEN)\n'
    )
    assert codes_in(path) == {"one", "two", "three", "four", "five", "six", "seven"}


def test_verdicts_are_those_of_the_ledger_and_each_pair_is_there_once():
    pairs = [(reason.verdict, reason.code) for reason in REASONS]
    assert {verdict for verdict, _ in pairs} <= set(rows.VERDICTS)
    assert len(set(pairs)) == len(pairs)


def test_settings_exist_and_are_explained():
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    named = {key for reason in (*REASONS, *FINDINGS) for key in reason.keys}
    assert named == set(SETTINGS)
    for key in named:
        section, name = key.split(".")
        assert name in params[section], key


def test_every_finding_has_words_and_every_code_with_words_may_have_a_limit():
    assert [finding.code for finding in FINDINGS] == list(codes.FINDING_CODES)
    known = CODES | set(codes.FINDING_CODES) | set(codes.DROPPED_CODES.values())
    assert known - {"leaked_photographs"} == set(codes.LIMITED_CODES)
    assert len(set(codes.LIMITED_CODES)) == len(codes.LIMITED_CODES)  # each is held against its limit by one stage


def test_a_crowd_means_what_was_done_with_it():
    row = {"kind": "annotation", "id": "a", "image_key": "a", "place": "", "reason": "crowd"}
    assert "left out" in reason_of(Row(verdict=rows.DISCARDED, **row)).title
    assert "ignore" in reason_of(Row(verdict=rows.IGNORED, **row)).title
    with pytest.raises(KeyError):
        reason_of(Row(verdict=rows.DROPPED, **row))
