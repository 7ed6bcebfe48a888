import ast
import os
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from segpipe.core import versions
from segpipe.train import inputs
from tests.conftest import ROOT
from tests.imports import reached

PACKAGE = ROOT / "src/segpipe"
# What trains, what plans it, and what puts in the first weights and the pictures.
ENTRIES = ("train/loop.py", "train/planning.py", "models/weights.py", "data/split_table.py")
PICTURES = {f"src/segpipe/{name}.py" for name in ("evaluate/per_image", "pictures/layout", "pictures/sheets")}
# What fetches weights or packs pictures (their values are hashed), checks the card of a finished model, draws a bar.
UNDECISIVE = {"huggingface-hub", "pillow", "pydantic", "safetensors", "segpipe", "tqdm"}


def covered() -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in versions.code_files(inputs.CODE)}


def test_the_hash_covers_every_module_that_decides_the_weights():
    files = {file for entry in ENTRIES for file in reached(PACKAGE / entry)}
    imported = {file.relative_to(ROOT).as_posix() for file in files}
    assert imported - PICTURES <= covered(), "list it in segpipe.train.inputs"


def test_the_hash_covers_every_library_of_these_modules():
    nodes = [node for file in covered() for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    makers = packages_distributions()
    libraries = {maker.lower().replace("_", "-") for name in names for maker in makers.get(name.split(".")[0], [])}
    assert libraries - UNDECISIVE == set(inputs.LIBRARIES)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("data/preprocessing.py", "PADDING = 127", "PADDING = 0"),
        ("evaluate/scores.py", "def mean_iou", "# another\ndef mean_iou"),
    ],
)
def test_another_version_of_what_decides_the_weights_is_another_training(tmp_path, file, old, new):
    shutil.copytree(PACKAGE, tmp_path / "segpipe", ignore=shutil.ignore_patterns("__pycache__"))
    before = _hash(tmp_path)
    text = (tmp_path / "segpipe" / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "segpipe" / file).write_text(text.replace(old, new), encoding="utf-8")
    assert _hash(tmp_path) != before


def _hash(source: Path) -> str:
    command = [sys.executable, "-c", "from segpipe.train.inputs import inputs_hash; print(inputs_hash([], {}))"]
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True
    ).stdout
