import json
import subprocess
import sys
from pathlib import Path

import pytest
from dvc_data.hashfile.meta import Meta

from segpipe import params
from segpipe.core.errors import UserError
from tests.conftest import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
CLASSES = next(f"{line}\n" for line in TEXT.splitlines() if line.startswith("  classes:"))

FILES = {
    "split.pins": "data/pins.csv",
    "split.scene_table": "data/scenes.csv",
    "train.weights_file": "data/weights.pt",
}


def load(folder: Path, text: str) -> params.Params:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return params.load(path)


def test_the_projects_own_params_are_sound(tmp_path):
    assert load(tmp_path, TEXT).photos.fit == "letterbox"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  lr: 0.002", "  lr: -1", "train.lr: input should be greater than 0, not -1"),
        ("  processes: 1", "  processes: 3", "train: batch_size 4 cannot be shared by 3 processes"),
        ("  epochs: 16", "  epochs: soon", "train.epochs: input should be 'auto', not 'soon'"),
        ("  epochs: 16", "  epochs: 0", "train.epochs: input should be greater than or equal to 1, not 0"),
        ("    cross_entropy: 1.0\n    dice: 1.0", "    cross_entropy: 0\n    dice: 0", "train.loss: at least one part"),
        ("  epochs: 16", "  epochs: 1", "train: in 1 epochs with warmup_epochs 1 the learning rate only rises; give"),
        ("  lr: 0.002", "  learn_rate: 1", "train.learn_rate: no such key"),
        (
            "  batch_size: 4\n  accum",
            "  batchsize: 8\n  accum",
            "train.batchsize: no such key; did you mean batch_size?",
        ),
        (
            "fit: letterbox",
            "fit: squash",
            "photos.fit: input should be 'letterbox', 'crop' or 'stretch', not 'squash'",
        ),
        (
            "side: 0 # 0: no tiles\n    overlap: 64",
            "side: 180\n    overlap: 64",
            "photos: of tiles of 180 x 180 pixels, 64 are too much overlap; give tiles.overlap a third of the",
        ),
        ("side: 0", "side: 20", "photos.tiles.side: input should be greater than or equal to 32, not 20"),
        ("  val: 0.15", "  val: 0.9", "split: val + test = 1.05 leaves nothing to train on"),
        ("classes: [", "classes: [leaf, ", "ingest: classes names a class twice"),
        (CLASSES, "  classes: {}\n", "ingest.classes: names no class; give auto, a list of names"),
        (CLASSES, "  classes: {a: [x], b: []}\n", "ingest.classes: 'b' is made of no category"),
        (CLASSES, "  classes: {a: [x, y], b: y}\n", "'y' stands in 'a' and in 'b'; a category counts as one class"),
        (CLASSES, "  classes: {a: [x, x]}\n", "'x' stands twice in 'a'"),
        (CLASSES, "  classes: {background: [x]}\n", "ingest: classes names background, which is what no class"),
        (CLASSES, "  classes: [x, background]\n", "ingest: classes names background, which is what no class"),
        ("values: {}", 'values: {"7": a, "07": b}', "ingest: mask_values: '7' and '07' are the same value; keep one"),
        ("values: {}", 'values: {"1,2,3": a, "1, 2, 3": b}', "ingest: mask_values: '1,2,3' and '1, 2, 3' are the same"),
        ('image_pattern: ""', "image_pattern: '*.jpg'", "ingest: image_pattern and mask_pattern go together"),
        (
            "weights: imagenet",
            "weights: nets/enc.pt",
            "train.weights: is imagenet, file or random; name a file in train.weights_file and set weights: file",
        ),
        ("seed: 7", "seed: [", "is not YAML"),
        ("seed: 7\n", "", "seed: is missing"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tmp_path, old, new, said):
    assert old in TEXT
    with pytest.raises(UserError) as caught:
        load(tmp_path, TEXT.replace(old, new, 1))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_of_older_versions_are_refused_with_their_new_names(tmp_path):
    for old, new in {"size: [160, 160]": "photos.height and photos.width", "fit: crop": "photos.fit"}.items():
        with pytest.raises(UserError) as caught:
            load(tmp_path, TEXT.replace("rasterize:\n", f"rasterize:\n  {old}\n"))
        key = old.partition(":")[0]
        assert str(caught.value).endswith(f"params.yaml: rasterize.{key}: this key has a new name: {new}")


@pytest.mark.parametrize("name", [Meta.PARAM_SIZE, Meta.PARAM_NFILES])
def test_no_key_may_have_a_name_that_dvc_leaves_out_of_its_hash(tmp_path, name):
    """DVC would restore the outputs of an older value: dvc/stage/cache.py, _get_cache_hash."""
    text = TEXT.replace(CLASSES, f"  classes: {{{name}: [small, large], coin: coin}}\n")
    with pytest.raises(UserError, match=rf"ingest\.classes\.{name}: DVC does not see changes of a key with the name"):
        load(tmp_path, text)
    text = TEXT.replace("source_roles: {train: train,", f"source_roles: {{{name}: train,")
    with pytest.raises(UserError, match=rf"split\.source_roles\.{name}: DVC does not see changes"):
        load(tmp_path, text)


def test_a_random_encoder_that_never_learns_is_refused(tmp_path):
    frozen = TEXT.replace("freeze_epochs: 0", "freeze_epochs: 16")
    assert load(tmp_path, frozen).train.freeze_epochs == 16
    with pytest.raises(UserError, match=r"train: freeze_epochs 16 keeps a random encoder to the end; give 0$"):
        load(tmp_path, frozen.replace("weights: imagenet", "weights: random"))


def command(folder: Path, module: str, **env: str) -> subprocess.CompletedProcess:
    root = ROOT
    env |= {"PYTHONPATH": f"{root}:{root / 'src'}", "PATH": ""}
    return subprocess.run([sys.executable, "-m", module], cwd=folder, env=env, capture_output=True, text=True)


def test_a_missing_source_is_told_before_the_pipeline_starts(tmp_path):
    tmp_path.joinpath("params.yaml").write_text(TEXT.replace("source: data/demo", "source: nowhere", 1))
    done = command(tmp_path, "stages.check", RANK="1", WORLD_SIZE="1")  # as some batch systems set them
    said = "error: params.yaml: ingest.source: nowhere is no folder; name the folder of your photographs\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_the_order_of_merged_classes_is_in_a_file_since_dvc_does_not_see_it_in_params(tmp_path):
    tmp_path.joinpath("photos").mkdir()
    tmp_path.joinpath("data").mkdir()
    for name in FILES.values():
        tmp_path.joinpath(name).touch()
    text = TEXT.replace("source: data/demo", "source: photos", 1)
    for classes, order in (
        ("{human: [person], vehicle: [car]}", ["human", "vehicle"]),
        ("{vehicle: [car], human: [person]}", ["vehicle", "human"]),
        ("auto", "auto"),
    ):
        tmp_path.joinpath("params.yaml").write_text(text.replace(CLASSES, f"  classes: {classes}\n"))
        assert command(tmp_path, "stages.check").returncode == 0
        assert json.loads(tmp_path.joinpath("data/class_order.json").read_text()) == order


@pytest.mark.parametrize(("key", "file"), FILES.items())
def test_a_missing_file_is_told_before_the_pipeline_starts(tmp_path, key, file):
    tmp_path.joinpath("data/demo").mkdir(parents=True)
    for name in FILES.values():
        tmp_path.joinpath(name).touch()
    tmp_path.joinpath(file).unlink()
    tmp_path.joinpath("params.yaml").write_text(TEXT)
    done = command(tmp_path, "stages.check")
    said = f"error: params.yaml: {key}: {file} is no file; name one, or restore {file} from git\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (3, 3), (0, 1)])
def test_folds_are_two_or_more_and_counted_from_0(tmp_path, folds, fold):
    text = TEXT.replace("folds: 0", f"folds: {folds}", 1).replace("  fold: 0", f"  fold: {fold}", 1)
    with pytest.raises(
        UserError, match=r"split: folds \d and fold \d: folds is 0 \(off\) or 2 and more, fold below it"
    ):
        load(tmp_path, text)


def test_a_stage_without_what_it_reads_names_the_file_and_the_way(tmp_path):
    tmp_path.joinpath("params.yaml").write_text(TEXT)
    done = command(tmp_path, "stages.validate")
    said = "error: data/records/categories.parquet: no such file; `dvc repro` runs the stages that make it\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_all_faults_are_told_at_once(tmp_path):
    text = TEXT.replace("  lr: 0.002", "  lr: -1").replace("fit: letterbox", "fit: squash")
    with pytest.raises(UserError, match=r"photos\.fit.*train\.lr"):
        load(tmp_path, text)


@pytest.mark.parametrize("stage", ["ingest", "validate", "rasterize", "split", "train", "evaluate", "render"])
def test_every_stage_refuses_bad_params_before_any_work(tmp_path, stage):
    tmp_path.joinpath("params.yaml").write_text(TEXT.replace("epochs: 16", "epochs: none"))
    done = command(tmp_path, f"stages.{stage}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: train.epochs: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "a text"])
def test_a_file_without_sections_says_so(tmp_path, text):
    with pytest.raises(UserError, match="is empty, or no sections with settings; restore it, `git checkout "):
        load(tmp_path, text)
