"""params.yaml: defaults, values and keys that are refused, and files that it names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc_data.hashfile.meta import Meta

from segpipe import params
from segpipe.core.errors import UserError
from tests.conftest import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
FILES = {
    "split.pins": "data/pins.csv",
    "split.scene_table": "data/scenes.csv",
    "train.weights_file": "data/weights.pt",
}


def load(folder: Path, text: str) -> params.Params:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return params.load(path)


def changed(**values: Any) -> str:
    """The text of params.yaml with other values; keys: section__name=value."""
    document = yaml.safe_load(TEXT)
    for key, value in values.items():
        *path, name = key.split("__")
        section = document
        for part in path:
            section = section.setdefault(part, {})
        section[name] = value
    return yaml.safe_dump(document, sort_keys=False)


def test_the_file_has_the_defaults_of_the_code_except_the_demo_classes(tmp_path):
    classes = ["coin", "brick", "star", "ring", "leaf"]
    assert load(tmp_path, TEXT) == params.Params(ingest={"classes": classes})
    assert load(tmp_path, "ingest: {source: elsewhere}\n") == params.Params(ingest={"source": "elsewhere"})


def test_the_file_is_short():
    assert TEXT.count("\n") < 70


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train__lr": -1}, "train.lr: input should be greater than 0, not -1"),
        ({"train__processes": 3}, "train: batch_size 4 cannot be divided among 3 processes"),
        ({"train__epochs": "soon"}, "train.epochs: input should be 'auto', not 'soon'"),
        ({"train__epochs": 0}, "train.epochs: input should be greater than or equal to 1, not 0"),
        ({"train__loss": {"cross_entropy": 0, "dice": 0}}, "train.loss: at least one part"),
        ({"train__epochs": 1}, "train: in 1 epoch with warmup_epochs 1 the learning rate only rises; set"),
        ({"train__learn_rate": 1}, "train.learn_rate: no such key"),
        ({"train__batchsize": 8}, "train.batchsize: no such key; did you mean batch_size?"),
        ({"photos__fit": "squash"}, "photos.fit: input should be 'letterbox', 'crop' or 'stretch', not 'squash'"),
        (
            {"photos__tiles__side": 180},
            "photos: an overlap of 64 pixels is too large for tiles of 180 x 180; set tiles.overlap to a third of the",
        ),
        ({"photos__tiles__side": 20}, "photos.tiles.side: input should be greater than or equal to 32, not 20"),
        ({"split__val": 0.9}, "split: val + test = 1.05 leaves no image for training"),
        ({"ingest__classes": ["leaf", "coin", "leaf"]}, "ingest: classes names a class twice"),
        ({"ingest__classes": {}}, "ingest.classes: names no class; write auto, a list of names"),
        ({"ingest__classes": {"a": ["x"], "b": []}}, "ingest.classes: 'b' "),
        ({"ingest__classes": {"a": ["x", "y"], "b": "y"}}, "'y' "),
        ({"ingest__classes": {"a": ["x", "x"]}}, "'x' "),
        ({"ingest__classes": {"background": ["x"]}}, "ingest: classes names background, the class of all pixels"),
        ({"ingest__classes": ["x", "background"]}, "ingest: classes names background, the class of all pixels"),
        ({"ingest__mask_values": {"7": "a", "07": "b"}}, "ingest: mask_values: '7' and '07' are the same value; keep"),
        (
            {"ingest__mask_values": {"1,2,3": "a", "1, 2, 3": "b"}},
            "ingest: mask_values: '1,2,3' and '1, 2, 3' are the same",
        ),
        ({"ingest__image_pattern": "*.jpg"}, "ingest: image_pattern and mask_pattern are used together"),
        (
            {"train__weights": "nets/enc.pt"},
            "train.weights: is imagenet, file or random; name a file in train.weights_file and set weights: file",
        ),
    ],
)
def test_a_wrong_value_is_reported_with_its_key(tmp_path, values, message):
    with pytest.raises(UserError) as caught:
        load(tmp_path, changed(**values))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_yaml_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^[^\n]*is not YAML[^\n]*$"):
        load(tmp_path, TEXT.replace("seed: 7", "seed: ["))


@pytest.mark.parametrize(
    ("key", "value", "new"),
    [
        ("rasterize.size", [160, 160], "photos.height and photos.width"),
        ("rasterize.fit", "crop", "photos.fit"),
        ("train.device", "cpu", "compute.device"),
        ("train.checkpoint_minutes", 5, "compute.checkpoint_minutes"),
    ],
)
def test_a_key_of_an_older_version_is_refused_with_its_new_name(tmp_path, key, value, new):
    with pytest.raises(UserError) as caught:
        load(tmp_path, changed(**{key.replace(".", "__"): value}))
    assert str(caught.value).endswith(f"params.yaml: {key}: this key has a new name: {new}")


@pytest.mark.parametrize("name", [Meta.PARAM_SIZE, Meta.PARAM_NFILES])
def test_a_key_name_that_dvc_leaves_out_of_its_hash_is_refused(tmp_path, name):
    """DVC would restore the outputs of an older value: dvc/stage/cache.py, _get_cache_hash."""
    with pytest.raises(UserError, match=rf"ingest\.classes\.{name}: DVC does not see changes of a key with the name"):
        load(tmp_path, changed(ingest__classes={name: ["small", "large"], "coin": "coin"}))
    with pytest.raises(UserError, match=rf"split\.source_roles\.{name}: DVC does not see changes"):
        load(tmp_path, changed(split__source_roles={name: "train"}))


def test_a_random_encoder_that_is_always_frozen_is_refused(tmp_path):
    assert load(tmp_path, changed(train__freeze_epochs=16)).train.freeze_epochs == 16
    with pytest.raises(UserError, match=r"train: freeze_epochs 16 keeps a random encoder to the end; set it to 0$"):
        load(tmp_path, changed(train__freeze_epochs=16, train__weights="random"))


def command(folder: Path, module: str, **env: str) -> subprocess.CompletedProcess:
    env |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": ""}
    return subprocess.run([sys.executable, "-m", module], cwd=folder, env=env, capture_output=True, text=True)


def test_a_missing_source_is_reported_before_the_pipeline_starts(tmp_path):
    tmp_path.joinpath("params.yaml").write_text(TEXT.replace("source: data/demo", "source: nowhere", 1))
    done = command(tmp_path, "stages.check", RANK="1", WORLD_SIZE="1")  # as some batch systems set them
    message = "error: params.yaml: ingest.source: nowhere is not a folder; name the folder of your images\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_the_order_of_merged_classes_is_written_to_a_file_that_dvc_watches(tmp_path):
    tmp_path.joinpath("photos").mkdir()
    tmp_path.joinpath("data").mkdir()
    for name in FILES.values():
        tmp_path.joinpath(name).touch()
    for classes, order in (
        ({"human": ["person"], "vehicle": ["car"]}, ["human", "vehicle"]),
        ({"vehicle": ["car"], "human": ["person"]}, ["vehicle", "human"]),
        ("auto", "auto"),
    ):
        tmp_path.joinpath("params.yaml").write_text(changed(ingest__source="photos", ingest__classes=classes))
        assert command(tmp_path, "stages.check").returncode == 0
        assert json.loads(tmp_path.joinpath("data/class_order.json").read_text()) == order


@pytest.mark.parametrize(("key", "file"), FILES.items())
def test_a_missing_file_is_reported_before_the_pipeline_starts(tmp_path, key, file):
    tmp_path.joinpath("data/demo").mkdir(parents=True)
    for name in FILES.values():
        tmp_path.joinpath(name).touch()
    tmp_path.joinpath(file).unlink()
    tmp_path.joinpath("params.yaml").write_text(TEXT)
    done = command(tmp_path, "stages.check")
    message = f"error: params.yaml: {key}: {file} is not a file; name a file, or restore {file} from git\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (3, 3), (0, 1)])
def test_one_fold_and_a_fold_out_of_range_are_refused(tmp_path, folds, fold):
    with pytest.raises(UserError, match=r"split: folds is \d and fold is \d; set folds to 0 \(off\) or 2 or more"):
        load(tmp_path, changed(split__folds=folds, split__fold=fold))


def test_a_stage_without_its_input_reports_the_file_and_the_remedy(tmp_path):
    tmp_path.joinpath("params.yaml").write_text(TEXT)
    done = command(tmp_path, "stages.validate")
    message = "error: data/records/categories.parquet: no such file; `dvc repro` runs the stages that write it\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_all_errors_are_reported_at_once(tmp_path):
    with pytest.raises(UserError, match=r"photos\.fit.*train\.lr"):
        load(tmp_path, changed(train__lr=-1, photos__fit="squash"))


@pytest.mark.parametrize("stage", ["ingest", "validate", "rasterize", "split", "train", "evaluate", "render"])
def test_every_stage_refuses_invalid_params_before_any_work(tmp_path, stage):
    tmp_path.joinpath("params.yaml").write_text(TEXT.replace("epochs: 16", "epochs: none"))
    done = command(tmp_path, f"stages.{stage}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: train.epochs: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "a text"])
def test_a_file_without_sections_is_refused(tmp_path, text):
    with pytest.raises(UserError, match="holds no sections with settings; restore it, `git checkout "):
        load(tmp_path, text)


@pytest.mark.parametrize("key", ["rasterize", "seed", "validate.limits", "split.pins", "ingest.source"])
def test_a_key_that_dvc_reads_from_the_file_must_be_in_it(tmp_path, key):
    document = yaml.safe_load(TEXT)
    *section, name = key.split(".")
    del (document[section[0]] if section else document)[name]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    params.load(path)
    with pytest.raises(UserError, match=rf"params\.yaml: DVC needs {key} in the file; add it"):
        params.require_dvc_keys(path, ROOT / "dvc.yaml")
    path.write_text(TEXT, encoding="utf-8")
    params.require_dvc_keys(path, ROOT / "dvc.yaml")


def test_a_section_without_keys_has_its_defaults(tmp_path):
    assert load(tmp_path, "rasterize:\nphotos:\n  tiles:\ntrain:\n  loss:\n  augment: {}\n") == params.Params()
