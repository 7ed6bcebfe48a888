"""The README: the files, commands, settings, reasons and options that it names exist."""

import re
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from segpipe.__main__ import COMMANDS
from segpipe.ledger import reasons
from segpipe.params import Params
from tests.conftest import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINE = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SETTINGS = Params().model_dump(by_alias=True)
SECTIONS = "|".join(name for name, value in SETTINGS.items() if isinstance(value, dict))
OUTSIDE_BLOCKS = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
CODE = [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", OUTSIDE_BLOCKS)]
KEYS = sorted({text for text in CODE if re.match(rf"({SECTIONS})\.\w+", text)})
CHANGED_KEYS = re.findall(r"-S (\+?)([\w.]+)=", " ".join(CODE))


def paths(folders: str) -> list[str]:
    return sorted({text for text in CODE if re.fullmatch(rf"({folders})/[\w/.]+", text)})


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(" ".join(re.findall(r"(?:^\$ |`)make ([a-z -]+)", TEXT, re.MULTILINE)).split())
    assert {"repro", "test", "ui", "use", "pin", "forecast"} <= named
    assert named <= targets


def test_every_command_of_segpipe_exists():
    named = {text.split()[1] for text in CODE if text.startswith("segpipe ")}
    assert {"explain", "convert", "pin", "use-preset"} <= named
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("text", KEYS)
def test_every_setting_exists_and_may_have_the_value_shown(text):
    key, colon, value = text.partition(": ")
    section, name = key.split(".")
    assert name in SETTINGS[section]
    if colon:
        Params.model_validate({section: {name: yaml.safe_load(value)}})


@pytest.mark.parametrize(("plus", "key"), CHANGED_KEYS)
def test_a_key_of_an_experiment_has_a_plus_if_params_yaml_lacks_it(plus, key):
    section, name = key.split(".")
    assert name in SETTINGS[section]
    assert bool(plus) == (name not in PARAMS[section])


def test_the_table_of_cases_names_reasons_of_the_ledger():
    table = TEXT.split("## Edge cases")[1].split("## Scores")[0]
    cells = {row[1].strip(): row[5] for row in map(columns, re.findall(r"^\| \d+ \|.*", table, re.MULTILINE))}
    codes = {number: set(re.findall(r"`([a-z_]+)`", cell)) for number, cell in cells.items()}
    codes_in_code = {reason.code for reason in reasons.REASONS} | {"empty_mask"}  # empty_mask is a reason in splits.csv
    assert codes.pop("7") == {"px_store"}  # a column of the ledger
    assert all(codes.values())
    assert set().union(*codes.values()) - codes_in_code == set()


def columns(row: str) -> list[str]:
    return row.split("|")


def test_the_table_has_the_ten_cases_and_a_test_for_each():
    numbers = [int(n) for n in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    tests = (ROOT / "tests/test_edge_cases.py").read_text(encoding="utf-8")
    assert numbers == list(range(1, 11)) == [int(n) for n in re.findall(r"^def test_(\d+)_", tests, re.MULTILINE)]


@pytest.mark.parametrize("path", [*paths("src|stages|tests|docs|bench|presets"), *re.findall(r"\]\(([^)]+)\)", TEXT)])
def test_every_file_of_the_project_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", paths("data|models|metrics|results"))
def test_every_output_is_an_output_of_the_pipeline_or_a_file_of_the_project(path):
    parents = [path, *map(str, PurePosixPath(path).parents)][:-1]
    assert any(f"- {parent}" in PIPELINE for parent in parents) or (ROOT / path).is_file()


def test_every_option_of_inference_exists():
    script = (ROOT / "src/segpipe/inference/command.py").read_text(encoding="utf-8")
    command = TEXT.split("python inference.py ")[1].split("```")[0]
    options = re.findall(r"--[a-z-]+", command)
    assert "--weights" in options
    for option in options:
        assert f'"{option}"' in script


def test_the_session_shows_stages_in_the_order_of_the_pipeline():
    shown = re.findall(r"^Running stage '(\w+)':", TEXT, re.MULTILINE)
    stages: dict[str, Any] = yaml.safe_load(PIPELINE)["stages"]
    assert shown == [stage for stage in stages if stage in shown]
    assert {"train", "evaluate"} <= set(shown)
