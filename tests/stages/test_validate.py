import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder with a small demo source that has been ingested."""
    folder = tmp_path_factory.mktemp("project")
    run(folder, "segpipe.demo", "data/demo", "--count", "100", "--size", "64", "--seed", "3")
    limited(folder, 1.0)
    run(folder, "stages.ingest")
    return folder


def limited(folder: Path, share: float, **further: float) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["validate"]["limits"] = {"dropped_images": share, "dropped_annotations": share} | further
    params["compute"]["workers"] = 1
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def run(folder: Path, *module: str, code: int = 0) -> str:
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", *module], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr


def test_the_report_shows_the_counts_of_the_metrics_file(project):
    limited(project, 1.0)
    run(project, "stages.validate")
    page = (project / "results/data_report.html").read_text(encoding="utf-8")
    counts = json.loads((project / "metrics/validate.json").read_text(encoding="utf-8"))
    for kind in ("images", "annotations"):
        for verdict, count in counts[kind]["verdicts"].items():
            assert f"<b>{count:,}</b><span><i></i>{verdict}</span>" in page
        for reason in counts[kind]["reasons"]:
            assert f'<code class="faint">{reason}</code>' in page


def test_who_runs_into_a_limit_still_gets_the_report(project):
    limited(project, 0.0)
    (project / "results/data_report.html").unlink(missing_ok=True)
    last = run(project, "stages.validate", code=1).splitlines()[-1]
    assert last.startswith("error: validate.limits.dropped_images = 0 in params.yaml is crossed by ")
    assert "; validate.limits.dropped_annotations = 0 in params.yaml is crossed by " in last
    page = (project / "results/data_report.html").read_text(encoding="utf-8")
    assert "so the pipeline stops here" in page


def test_any_finding_can_have_a_limit(project):
    planted = json.loads((project / "data/demo/defects.json").read_text(encoding="utf-8"))
    copies = len(planted["duplicates"]["equal"])
    limited(project, 1.0, equal_files=0.0)
    last = run(project, "stages.validate", code=1).splitlines()[-1]
    assert last.startswith(f"error: validate.limits.equal_files = 0 in params.yaml is crossed by {copies} of ")
    assert "; the worst: annotations/instances.json: images[" in last
