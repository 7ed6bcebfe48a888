"""The pipeline in DVC: the declarations of dvc.yaml, the stages that a change reruns, and the commands' output."""

import json
import re
import shutil

import pytest
import torch
import yaml

from segpipe.models import model_file
from segpipe.params import Params
from tests.conftest import ROOT
from tests.imports import SOURCE, reached
from tests.project import Project

STAGES = ["check", "ingest", "validate", "rasterize", "split", "train", "evaluate", "render"]


def pipeline() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def paths(entries: list) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def outs(stage: dict) -> set[str]:
    return {path for kind in ("outs", "metrics", "plots") for path in paths(stage.get(kind, []))}


def test_the_stages_have_the_order_of_the_design():
    assert list(pipeline()) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_the_packages_that_it_imports_and_no_other(stage):
    """Not counted: params.py, which only refuses bad values (DVC follows the values), and the report of a failure."""
    left_out = {SOURCE / "segpipe/params.py"}
    if stage in ("validate", "rasterize"):
        left_out |= {SOURCE / "segpipe/report/known.py"}  # written when a limit is exceeded: no output of the stage
    files = reached(ROOT / f"stages/{stage}.py", but=left_out)
    listed = {ROOT / path for path in pipeline()[stage]["deps"] if path.startswith(("src/", "stages/"))}
    assert [str(file) for file in sorted(files) if not listed & {file, *file.parents}] == []
    assert [str(path) for path in sorted(listed) if not any(path in (file, *file.parents) for file in files)] == []


def test_every_data_dependency_is_the_output_of_an_earlier_stage():
    made: set[str] = set()
    for name, stage in pipeline().items():
        data = {path for path in stage["deps"] if not path.startswith(("src/", "stages/", "$", "params.yaml"))}
        missing = {path for path in data if not any(path == out or path.startswith(f"{out}/") for out in made)}
        assert not missing, f"{name} reads what no earlier stage writes: {missing}"
        made |= outs(stage)


def test_every_setting_that_changes_a_result_is_a_param_of_a_stage():
    settings = Params().model_dump(by_alias=True)
    named = {param for stage in pipeline().values() for param in stage.get("params", [])}
    keys = {f"{section}.{name}" for section, keys in settings.items() if isinstance(keys, dict) for name in keys}
    left_out = {key for key in keys if key not in named and key.partition(".")[0] not in named}
    without_effect = {key for key in keys if key.startswith(("compute.", "tracking."))}
    assert left_out == without_effect


def test_every_literal_path_of_a_stage_is_declared():
    """Paths under data/, models/, metrics/ and results/ in a stage's code are its outs or deps, or inside them."""
    for name, stage in pipeline().items():
        code = (ROOT / "stages" / f"{name}.py").read_text(encoding="utf-8").split('"""', 2)[2]
        declared = outs(stage) | set(stage["deps"])
        for path in re.findall(r'"((?:data|models|metrics|results)/[\w./-]+)"', code):
            is_declared = any(
                path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in declared
            )
            assert is_declared, f"stages/{name}.py names {path}, which dvc.yaml does not declare for it"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("project"))
    made.run("python", "-m", "segpipe", "demo", "data/demo", "--count", "140", "--size", "96", "--seed", "3")
    made.set("validate.limits", {"dropped_images": 0.5, "dropped_annotations": 0.5})
    made.start()
    made.dvc("repro")
    made.commit("first run")
    return made


def test_a_second_run_runs_no_stage_and_leaves_git_clean(project):
    assert "Data and pipelines are up to date" in project.dvc("repro")
    assert project.git("status", "--porcelain") == ""


def test_every_declared_output_is_written(project):
    for stage in pipeline().values():
        for path in outs(stage):
            assert (project.folder / path).exists(), path


def test_dvc_shows_the_graph_metrics_params_and_plots(project):
    assert "train" in project.dvc("dag")
    assert "evaluate.json" in project.dvc("metrics", "show")
    assert "train.epochs" not in project.dvc("params", "diff")
    assert "index.html" in project.dvc("plots", "show")
    html = (project.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert "confusion" in html


def test_dvc_compares_an_experiment_with_its_parent(project):
    project.dvc("exp", "run", "-S", "train.lr=0.0005", "-n", "slow")
    assert "train.lr" in project.dvc("params", "diff")
    assert "mean_iou" in project.dvc("metrics", "diff", "--all")
    assert "slow" in project.dvc("exp", "show", "--csv")
    project.git("checkout", "-q", "--", ".")
    project.dvc("checkout", "-q")


def test_an_experiment_in_a_copy_of_the_project_runs_the_code_of_its_commit(project, tmp_path, monkeypatch):
    """This includes processes that validate starts, for two shards. The installed package points to another folder."""
    monkeypatch.delitem(project.env, "PYTHONPATH")
    ran = tmp_path / "ran.txt"
    changed = [project.folder / "src/segpipe" / name for name in ("ingest/read.py", "validate/image.py")]
    for module in changed:
        line = f"import os; open({str(ran)!r}, 'a').write(f'{{__name__}} {{os.getpid()}}\\n')\n"
        module.write_text(module.read_text(encoding="utf-8") + line, encoding="utf-8")
    project.set("compute.workers", 2)
    project.commit("a change of the code")
    project.dvc("exp", "run", "--temp", "-S", "+validate.line_width_px=3", "validate")
    runs = [line.split()[0] for line in set(ran.read_text(encoding="utf-8").splitlines())]
    assert "segpipe.ingest.read" in runs
    assert runs.count("segpipe.validate.image") > 1
    project.git("reset", "-q", "--hard", "HEAD~1")
    project.dvc("checkout", "-q")


def test_push_and_pull_through_a_remote_rebuild_the_outputs(project, tmp_path):
    project.dvc("remote", "add", "-d", "-f", "local", str(tmp_path / "remote"))
    project.dvc("push")
    model = (project.folder / "models/model.pt").read_bytes()
    for folder in ("models", "data/masks", ".dvc/cache"):
        shutil.rmtree(project.folder / folder)
    project.dvc("pull")
    assert (project.folder / "models/model.pt").read_bytes() == model
    assert "up to date" in project.dvc("repro")


def test_only_stages_that_depend_on_a_changed_setting_run_again(project):
    project.set("render.samples", 2)
    output = project.dvc("repro", "--dry")
    assert "Running stage 'render'" in output
    assert "Running stage 'train'" not in output
    project.git("checkout", "-q", "--", "params.yaml")


def test_a_changed_weights_file_reruns_training(project):
    (project.folder / "data/weights.pt").write_bytes(b"other weights")
    assert "changed deps" in project.dvc("status", "train")
    project.git("checkout", "-q", "--", "data/weights.pt")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("height: 5\n  width: 64\n", "error: params.yaml: photos.height: input should be greater than or equal to 32"),
        (
            "size: [64, 64]\n",
            "error: params.yaml: photos.size: no such key; ",
        ),
    ],
)
def test_an_invalid_image_size_stops_the_stage(project, section, message):
    path = project.folder / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("height: 64\n  width: 64\n", section), encoding="utf-8")
    assert message in project.dvc("repro", "rasterize", fails=True)
    path.write_text(text, encoding="utf-8")
    assert "Running stage 'train'" not in project.dvc("repro")


@pytest.mark.parametrize("section", ["rasterize", "photos", "train"])
def test_an_unknown_key_stops_the_pipeline(project, section):
    """DVC alone ignores such a key: a key of an older version or a misspelt one would silently do nothing."""
    project.set(f"{section}.size", [96, 96])
    assert f"error: params.yaml: {section}.size: " in project.dvc("repro", "rasterize", fails=True)
    project.git("checkout", "-q", "--", "params.yaml")
    assert "Running stage 'train'" not in project.dvc("repro")


def test_a_changed_order_of_merged_classes_changes_the_class_table(project):
    for order in (["disc", "brick"], ["brick", "disc"]):
        project.set("ingest.classes", {name: {"disc": ["coin", "ring"], "brick": ["brick"]}[name] for name in order})
        project.dvc("repro", "validate")
        table = json.loads((project.folder / "data/checked/classes.json").read_text(encoding="utf-8"))
        assert [entry["name"] for entry in table["classes"]][1:] == order
    project.git("checkout", "-q", "--", ".")
    project.dvc("checkout", "-q")


def test_a_changed_image_size_changes_the_packed_images_and_the_old_size_restores_them(project):
    before = project.store().content_hash()
    for side in (96, 64):
        project.set("photos.height", side)
        project.dvc("repro", "rasterize")
        assert project.store().images.shape[1:3] == (side, 64)
    assert project.store().content_hash() == before
    project.git("checkout", "-q", "--", ".")


def test_a_flip_test_needs_no_new_training(project):
    path = project.folder / "models/model.pt"
    trained, before = model_file.load(path)
    project.set("train.flip_test", True)
    output = project.dvc("repro")
    assert "training continues in epoch 2, 0 of " in output  # of 1 epoch: nothing is left to do
    assert "Running stage 'evaluate'" in output
    loaded, after = model_file.load(path)
    assert (before.flip_test, after.flip_test) == (False, True)
    for after_it, before_it in zip(loaded.parameters(), trained.parameters(), strict=True):
        assert torch.equal(after_it, before_it)
    project.git("checkout", "-q", "--", ".")
    project.dvc("checkout", "-q")


def test_pins_keep_the_split_and_rerun_no_later_stage(project):
    before = (project.folder / "data/splits.csv").read_bytes()
    output = project.run("python", "-m", "segpipe", "pin")
    assert "images are fixed from now on" in output
    output = project.dvc("repro")
    assert "Running stage 'split'" in output
    assert "Running stage 'train'" not in output
    assert (project.folder / "data/splits.csv").read_bytes() == before
    facts = project.metrics("split")
    assert facts["pinned"] == before.count(b"\n") - 1  # includes images left out of training
    project.git("checkout", "-q", "--", ".")


def test_a_fold_becomes_val_and_test_stays(project):
    project.dvc("repro", "split")
    test = project.metrics("split")["images"]["test"]
    project.set("split.folds", 3)
    project.set("split.fold", 2)
    project.dvc("repro", "split")
    facts = project.metrics("split")
    assert facts["images"]["test"] == test
    assert facts["images"]["val"] == facts["folds"]["2/3"]
    project.git("checkout", "-q", "--", ".")
    project.dvc("checkout", "-q")


def test_a_missing_source_gives_one_line_and_no_traceback(project):
    project.set("ingest.source", "data/nowhere")
    output = project.run("python", "-m", "stages.ingest", fails=True)
    assert output == (
        "error: data/nowhere: no such folder; set ingest.source in params.yaml to the folder of your images\n"
    )
    project.git("checkout", "-q", "--", "params.yaml")


def test_a_forecast_reports_time_and_memory_and_writes_nothing(project):
    before = project.git("status", "--porcelain")
    checkpoints = sorted((project.folder / ".segpipe/checkpoints").iterdir())
    project.set("train.processes", 2)
    output = project.run("python", "-m", "segpipe", "forecast")
    project.git("checkout", "-q", "--", "params.yaml")
    assert output.count("forecast: 1 epoch of ") == 1  # only the first process logs
    assert sorted((project.folder / ".segpipe/checkpoints").iterdir()) == checkpoints
    assert "% of the time waiting for images" in output
    assert project.git("status", "--porcelain") == before
