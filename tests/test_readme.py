"""What the README says is there, is there."""

import re
from pathlib import PurePosixPath

import pytest
import yaml

from segpipe.ledger import reasons
from tests.conftest import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
CODE = re.findall(r"`([^`\n]+)`", TEXT)


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        target for words in re.findall(r"(?:^\$ |`)make ([a-z ]+)", TEXT, re.MULTILINE) for target in words.split()
    }
    assert {"repro", "test", "ui", "deps"} <= named
    assert named <= targets


def test_every_params_key_exists():
    key = r"(ingest|validate|photos|rasterize|split|train|tracking)\.\w+"
    keys = {text.split(":")[0] for text in CODE if re.match(key, text)}
    assert len(keys) > 10
    for key in keys:
        section, name = key.split(".")
        assert name in PARAMS[section], f"README names {key}"


def test_every_reason_of_the_table_is_in_the_ledgers_vocabulary():
    table = TEXT.split("## Edge cases")[1].split("## Scores")[0]
    named = {
        cell
        for line in table.splitlines()
        if line.startswith("| ")
        for cell in re.findall(r"`([a-z_]+)`", line.split("|")[5])
    }
    assert len(named) > 12
    assert named - {"px_store"} <= {reason.code for reason in reasons.REASONS} | {"empty_mask"}


def test_the_table_has_the_ten_cases_and_a_test_each():
    numbers = [int(n) for n in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    tests = (ROOT / "tests/test_edge_cases.py").read_text(encoding="utf-8")
    assert numbers == list(range(1, 11)) == [int(n) for n in re.findall(r"^def test_(\d+)_", tests, re.MULTILINE)]


@pytest.mark.parametrize("path", sorted({p for p in CODE if re.fullmatch(r"(src|stages|tests|docs)/[\w/.]+", p)}))
def test_every_project_path_exists(path):
    assert (ROOT / path).exists()


def test_every_output_named_is_one_of_the_pipelines():
    pipeline = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    for path in {p for p in CODE if re.fullmatch(r"(data|models|metrics|results)/[\w/.]+", p)}:
        parents = [path, *(str(parent) for parent in PurePosixPath(path).parents)][:-1]
        assert any(f"- {parent}" in pipeline for parent in parents), f"README names {path}"


def test_every_option_of_inference_exists():
    script = (ROOT / "src/segpipe/inference/command.py").read_text(encoding="utf-8")
    for option in re.findall(
        r"(?<= )--[a-z-]+", TEXT.split("inference.py --weights")[1].split("```")[0] + " --weights"
    ):
        assert f'"{option}"' in script


def test_no_placeholder_is_left():
    assert "@SESSION@" not in TEXT
