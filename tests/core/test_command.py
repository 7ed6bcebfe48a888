import os
import shutil
import subprocess
import sys
from pathlib import Path

from segpipe.core.command import outputs
from tests.conftest import ROOT
from tests.data_half import prepare
from tests.faults import sources


def test_the_outputs_of_a_stage_are_its_outs_metrics_and_plots(tmp_path):
    path = tmp_path / "dvc.yaml"
    assert outputs("train", path) == []
    path.write_text(
        "stages:\n"
        "  train:\n"
        "    outs: [a/model.pt, '${out}', {b: {persist: true}}]\n"
        "    metrics:\n"
        "      - c.json: {cache: false}\n"
        "    plots: [d.csv]\n"
        "  render: {outs: [e]}\n"
        "plots: [f]\n"
    )
    assert outputs("train", path) == [Path("a/model.pt"), Path("b"), Path("c.json"), Path("d.csv")]
    assert outputs("render", path) == [Path("e")]
    assert outputs("another", path) == []


def test_a_stage_removes_what_a_kill_left_of_its_outputs_and_nothing_of_another_stage(tmp_path):
    sources.put_coco(tmp_path / "source")
    prepare(tmp_path, tmp_path / "source")
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    hexadecimal = "0123456789abcdef"
    of_ingest = [f"data/records/.images.parquet.{hexadecimal}.part", f"metrics/.ingest.json.{hexadecimal}.part"]
    of_validate = [f"data/checked/.images.parquet.{hexadecimal}.part", f"metrics/.validate.json.{hexadecimal}.part"]
    for name in (*of_ingest, *of_validate):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "stages.ingest"], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "metrics/ingest.json").is_file()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.part")) == of_validate
