import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.project import put_tables


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder with a small demo source and the outputs of the data stages."""
    folder = tmp_path_factory.mktemp("project")
    run(folder, "segpipe", "demo", "data/demo", "--count", "100", "--size", "64", "--seed", "3")
    put_tables(folder)
    limited(folder)
    for stage in ("ingest", "validate", "rasterize", "split"):
        run(folder, f"stages.{stage}")
    return folder


def limited(folder: Path, **limits: float) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["validate"]["limits"] = limits
    params["compute"]["workers"] = 1
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def run(folder: Path, *module: str, code: int = 0) -> str:
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", *module], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr


def page_of(folder: Path) -> str:
    return (folder / "results/data_report.html").read_text(encoding="utf-8")


def metrics(folder: Path, stage: str) -> dict:
    return json.loads((folder / f"metrics/{stage}.json").read_text(encoding="utf-8"))


def stopped(folder: Path, stage: str, **limits: float) -> str:
    """The last line of a stage that a limit stops. The page is deleted before."""
    limited(folder, **limits)
    (folder / "results/data_report.html").unlink()
    last = run(folder, f"stages.{stage}", code=1).splitlines()[-1]
    return last


def test_the_report_has_the_counts_of_the_metrics_files(project):
    page = page_of(project)
    drawn = metrics(project, "rasterize")
    for kind in ("images", "annotations"):
        for verdict, count in drawn[kind]["verdicts"].items():
            assert f"<b>{count:,}</b><span><i></i>{verdict}</span>" in page
        for reason in drawn[kind]["reasons"]:
            assert f'<code class="faint">{reason}</code>' in page
    for code, count in metrics(project, "validate")["findings"].items():
        assert (f'<code class="faint">{code}</code>' in page) == (count > 0)
    split = metrics(project, "split")
    for side, count in split["images"].items():
        assert f"<b>{count:,}</b><span><i></i>{side}</span>" in page
    assert f"<b>{sum(split['left_out'].values())}</b><span><i></i>left out</span>" in page


def test_a_stage_stopped_by_a_limit_writes_the_report(project):
    last = stopped(project, "validate", dropped_images=0.0, dropped_annotations=0.0)
    assert last.startswith("error: validate.limits.dropped_images = 0 in params.yaml is exceeded by ")
    assert "; validate.limits.dropped_annotations = 0 in params.yaml is exceeded by " in last
    page = page_of(project)
    assert page.count("The pipeline stops here: ") == 2
    assert "<h2>Overlaps" not in page  # nothing from an earlier run of later stages


def test_any_finding_can_have_a_limit(project):
    planted = json.loads((project / "data/demo/defects.json").read_text(encoding="utf-8"))
    copies = len(planted["duplicates"]["equal"])
    last = stopped(project, "validate", equal_files=0.0)
    assert last.startswith(f"error: validate.limits.equal_files = 0 in params.yaml is exceeded by {copies} of ")
    assert "; worst cases: annotations/instances.json: images[" in last


def test_rasterize_checks_the_limits_of_codes_that_it_is_the_first_to_know(project):
    hidden = metrics(project, "rasterize")["annotations"]["verdicts"]["hidden"]
    last = stopped(project, "rasterize", covered=0.0, equal_files=0.0)
    assert last.startswith(f"error: validate.limits.covered = 0 in params.yaml is exceeded by {hidden} of ")
    assert "equal_files" not in last  # validate has checked that
    assert "<h2>Overlaps" in page_of(project)


def test_split_checks_the_limits_of_codes_that_it_is_the_first_to_know(project):
    last = stopped(project, "split", near_duplicate_photographs=0.0)
    assert last.startswith("error: validate.limits.near_duplicate_photographs = 0 in params.yaml is exceeded by ")
    assert "Nearly the same image" in page_of(project)
