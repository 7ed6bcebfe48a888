import shutil

import pytest
import yaml

from segpipe import params
from segpipe.__main__ import main
from segpipe.commands import use_preset
from segpipe.core.errors import UserError
from tests.conftest import ROOT

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


@pytest.fixture
def target(tmp_path):
    return shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_changes_its_values_and_keeps_comments_and_other_settings(preset, target):
    comments = [line.split("#")[1] for line in target.read_text().splitlines() if "#" in line]
    use_preset.use(preset, target)
    wanted = yaml.safe_load(preset.read_text())
    assert params.load(target).ingest.source == wanted["ingest"]["source"]
    written = yaml.safe_load(target.read_text())
    assert written["split"]["source_roles"] == wanted["split"]["source_roles"]
    assert written["train"]["weights"] == "imagenet"  # the preset does not name it
    assert all(comment.strip() in target.read_text() for comment in comments)


def test_an_invalid_preset_changes_nothing(tmp_path, target):
    preset = tmp_path / "odd.yaml"
    preset.write_text("train: {lr: -1}\n")
    before = target.read_bytes()
    with pytest.raises(UserError, match=r"odd\.yaml in params\.yaml: train\.lr: input should be greater than 0"):
        use_preset.use(preset, target)
    assert target.read_bytes() == before


def test_the_error_for_an_unknown_preset_lists_the_presets(target):
    with pytest.raises(UserError, match=r"cities\.yaml: no such preset; use one of camvid, car_damage"):
        use_preset.use(ROOT / "presets/cities.yaml", target)


def test_a_path_is_not_the_name_of_a_preset(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["use-preset", "../params"]) == 1
    assert capsys.readouterr().err.startswith("segpipe use-preset: '../params' is not the name of a preset; ")
