import hashlib
import subprocess
from pathlib import Path

import pytest

from segpipe.tracking import provenance

LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: python -m stages.train
    deps:
    - path: data/photos
      hash: md5
      md5: 0000000000000000000000000000old1.dir
    outs:
    - path: models/model.pt
      hash: md5
      md5: 22222222222222222222222222222222
  rasterize:
    cmd: python -m stages.rasterize
    deps:
    - path: data/demo
      hash: md5
      md5: 33333333333333333333333333333333.dir
    outs:
    - path: data/photos
      hash: md5
      md5: 44444444444444444444444444444444.dir
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, as the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    Path("code.py").write_text("1\n")
    Path("dvc.lock").write_text(LOCK)
    Path("metrics").mkdir()
    Path("metrics/train.json").write_text("{}\n")
    _git("init", "-q")
    _git("add", ".")
    _git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    return tmp_path


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_checkout_has_its_commit_and_is_not_dirty(project):
    assert provenance.tags(Path("dvc.lock"), ["data/photos"]) == {
        "git.commit": _git("rev-parse", "HEAD"),
        "git.dirty": "false",
        "dvc.data/photos": "44444444444444444444444444444444.dir",
    }


def test_changed_code_is_dirty(project):
    Path("code.py").write_text("2\n")
    assert provenance.tags(Path("dvc.lock"), [])["git.dirty"] == "true"


def test_files_that_the_pipeline_writes_do_not_count_as_dirty(project):
    Path("dvc.lock").write_text("stages: {}\n")
    Path("metrics/train.json").write_text('{"a": 1}\n')
    Path("untracked.txt").write_text("x\n")
    assert provenance.tags(Path("dvc.lock"), [])["git.dirty"] == "false"


def test_the_name_of_a_dvc_experiment_is_a_tag(project, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "shaky-newt")
    assert provenance.tags(Path("dvc.lock"), [])["dvc.experiment"] == "shaky-newt"


def test_without_git_and_lock_file_there_are_no_tags(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert provenance.tags(Path("dvc.lock"), ["data/photos"]) == {}


def test_the_hash_of_an_output_comes_before_that_of_a_dependency(project):
    assert provenance.dvc_hashes(Path("dvc.lock"), ["data/photos", "data/demo", "data/none"]) == {
        "data/photos": "44444444444444444444444444444444.dir",
        "data/demo": "33333333333333333333333333333333.dir",
    }


@pytest.mark.parametrize("text", ["", "a: [", "[]", "stages:\n"])
def test_an_unreadable_lock_file_has_no_hashes(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    assert provenance.dvc_hashes(tmp_path / "dvc.lock", ["data/photos"]) == {}


def test_the_md5_is_that_of_the_file_content(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")
    assert provenance.md5_of(tmp_path / "model.pt") == hashlib.md5(b"weights").hexdigest()
