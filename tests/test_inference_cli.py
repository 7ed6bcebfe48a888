import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inference
from segpipe.data.classes import ClassTable
from segpipe.inference.results import LIST
from segpipe.models import model_file
from segpipe.models.segmenter import build_segmenter
from tests.conftest import ROOT

CLASSES = ("background", "cat", "dog")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model with random weights: its predictions mean nothing, but they are always the same."""
    path = tmp_path_factory.mktemp("models") / "model.pt"
    encoder = "mobilenetv3_small_050"
    segmenter = build_segmenter("unet", encoder, len(CLASSES), (True,) * 3)
    card = model_file.ModelCard(
        architecture="unet",
        encoder=encoder,
        classes=CLASSES,
        seen=(True,) * 3,
        fit_mode="letterbox",
        size_hw=(32, 32),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    model_file.save(path, segmenter, card)
    return path


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


def draw(path, size=(40, 30), **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **how)


def run(weights, source, output, *more):
    return inference.main(["--weights", str(weights), "--input", str(source), "--output", str(output), *more])


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_each_image_gets_a_palette_mask_of_its_size(weights, photos, tmp_path, capsys):
    draw(photos / "wide.jpg", (61, 20))
    draw(photos / "küche" / "tall.png", (17, 45))
    assert run(weights, photos, tmp_path / "out") == 0
    assert files(tmp_path / "out") == [LIST, "classes.json", "küche/tall.png", "wide.png"]
    with Image.open(tmp_path / "out" / "küche" / "tall.png") as mask:
        assert (mask.mode, mask.size) == ("P", (17, 45))
        assert mask.getpalette() == ClassTable(CLASSES).png_palette
        assert np.asarray(mask).max() < 3
    assert ClassTable.read(tmp_path / "out" / "classes.json").names == CLASSES
    assert f"{photos / 'wide.jpg'} -> {tmp_path / 'out' / 'wide.png'}: " in capsys.readouterr().out


def test_the_mask_of_a_rotated_photo_is_rotated_too(weights, photos, tmp_path):
    rotated = Image.Exif()
    rotated[0x0112] = 6  # by 90 degrees
    draw(photos / "phone.jpg", (40, 30), exif=rotated)
    assert run(weights, photos, tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "phone.png") as mask:
        assert mask.size == (30, 40)


def test_an_unreadable_file_is_reported_and_the_others_are_predicted(weights, photos, tmp_path, capsys):
    draw(photos / "a.jpg")
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes()[:300])
    draw(photos / "c.jpg")
    draw(photos / "d.gif")
    assert run(weights, photos, tmp_path / "out", "--batch-size", "2") == 1
    assert files(tmp_path / "out") == [LIST, "a.png", "c.png", "classes.json"]
    errors = capsys.readouterr().err
    assert f"FAILED {photos / 'b.jpg'}: cannot be decoded" in errors
    assert f"FAILED {photos / 'd.gif'}: GIF images are not supported" in errors
    assert "2 of 4 images predicted" in errors


def test_changes_by_reading_are_one_line_per_kind(weights, photos, tmp_path, capsys):
    photos.mkdir()
    first = Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40))
    first.save(photos / "a.tif", save_all=True, append_images=[first])
    first.save(photos / "b.png")
    assert run(weights, photos, tmp_path / "out") == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("NOTE")]
    scaled = "its 16-bit values from 0 to 1199 are scaled to 0 to 255"
    assert notes == [
        f"NOTE {photos / 'a.tif'}: only page 1 of 2 is used",
        f"NOTE 2 images, such as {photos / 'a.tif'}: {scaled}",
    ]


def test_two_images_of_one_name_get_two_masks(weights, photos, tmp_path):
    draw(photos / "car.jpg")
    draw(photos / "car.png")
    draw(photos / "other.jpg")
    assert run(weights, photos, tmp_path / "out") == 0
    assert files(tmp_path / "out") == [LIST, "car.jpg.png", "car.png.png", "classes.json", "other.png"]


def test_an_overlay_is_beside_each_mask(weights, photos, tmp_path):
    draw(photos / "a.v2.jpg", (50, 33))
    assert run(weights, photos, tmp_path / "out", "--overlay") == 0
    assert files(tmp_path / "out") == [LIST, "a.v2.overlay.jpg", "a.v2.png", "classes.json"]
    with Image.open(tmp_path / "out" / "a.v2.overlay.jpg") as blended:
        assert blended.size == (50, 33)


def test_equal_images_give_equal_bytes(weights, photos, tmp_path):
    for name in "abcde":
        draw(photos / f"{name}.jpg", (33, 47))
    for out in ("one", "two"):
        assert run(weights, photos, tmp_path / out, "--overlay") == 0
    for name in files(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_folder_without_images_is_an_error(weights, photos, tmp_path, capsys):
    photos.mkdir()
    (photos / "notes.txt").write_text("not an image")
    assert run(weights, photos, tmp_path / "out") == 1
    assert "no image found, 1 other file skipped" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04"])
def test_a_foreign_weights_file_is_one_line(content, photos, tmp_path, capsys):
    draw(photos / "a.jpg")
    foreign = tmp_path / "foreign.pt"
    foreign.write_bytes(content)
    assert run(foreign, photos, tmp_path / "out") == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"inference.py: {foreign}: damaged, or not a segpipe model file (")
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_weights_are_one_line_and_exit_code_1(tmp_path):
    script = Path(inference.__file__)
    options = ["--weights", "no/model.pt", "--input", str(script), "--output", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": str(script.parent / "src")}
    result = subprocess.run(
        [sys.executable, script, *options], capture_output=True, text=True, cwd=script.parent, env=environment
    )
    assert result.returncode == 1
    assert result.stdout == ""
    expected = "inference.py: no/model.pt: no such model file; train one with `dvc repro` or name another\n"
    assert result.stderr == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch-size", "0"], "--batch-size is 0; it must be 1 or more"),
        (["--device", "gpu"], "device 'gpu'"),
    ],
)
def test_an_option_out_of_range_is_one_line(options, message, weights, photos, tmp_path, capsys):
    draw(photos / "a.jpg")
    assert run(weights, photos, tmp_path / "out", *options) == 1
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


@pytest.mark.parametrize("name", ["a.png", "a.overlay.jpg", "classes.json"])
def test_a_file_of_the_user_is_never_replaced(name, weights, photos, capsys):
    draw(photos / "a.jpg")
    (photos / name).write_bytes(b"a photo of the user")
    before = contents(photos)
    assert run(weights, photos / "a.jpg", photos, "--overlay") == 1
    assert contents(photos) == before
    assert " is not replaced: it is not a result of an earlier run (" in capsys.readouterr().err


def test_results_beside_the_images_replace_nothing_and_are_not_read_later(weights, photos, tmp_path, monkeypatch):
    draw(photos / "sub" / "a.jpg")
    monkeypatch.chdir(photos / "sub")
    for _ in range(2):
        assert run(weights, "a.jpg", ".") == 0
        assert run(weights, photos / "sub" / "a.jpg", photos) == 0
    assert run(weights, photos, tmp_path / "out") == 0
    assert files(tmp_path / "out") == [LIST, "classes.json", "sub/a.png"]


def test_a_second_run_gives_the_same_files(weights, photos, tmp_path):
    for name in "abc":
        draw(photos / f"{name}.jpg")
    assert run(weights, photos, photos / "out", "--overlay") == 0
    first = contents(photos / "out")
    assert run(weights, photos, photos / "out", "--overlay") == 0
    assert contents(photos / "out") == first


def test_files_that_are_not_images_are_reported_and_the_others_are_predicted(weights, photos, tmp_path, capsys):
    draw(photos / "a.png")
    draw(photos / ("n" * 245 + ".png"))
    draw(photos / "z.png", (66_000, 1))
    os.mkfifo(photos / "pipe.png")
    (photos / "loop.png").symlink_to("loop.png")
    assert run(weights, photos, tmp_path / "out", "--overlay") == 1
    errors = capsys.readouterr().err
    assert f"FAILED {photos / 'pipe.png'}: is not a regular file; replace or remove it" in errors
    assert f"FAILED {photos / 'loop.png'}: cannot be decoded (Too many levels of symbolic links)" in errors
    assert "nnn.overlay.jpg: cannot be written (File name too long)" in errors
    assert f"FAILED {photos / 'z.png'}: its overlay cannot be a JPEG (" in errors
    assert "1 of 5 images predicted" in errors


@pytest.mark.parametrize("module", ["argparse", "torch"])  # the first and the slowest import
def test_ctrl_c_is_one_line_also_during_imports(module, photos, tmp_path):
    draw(photos / "a.jpg")
    (tmp_path / "model.pt").touch()
    options = ["--weights", f"{tmp_path}/model.pt", "--input", str(photos), "--output", str(tmp_path / "out")]
    stop = f"class Stop:\n def find_spec(self, name, *_):\n  if name == {module!r}: raise KeyboardInterrupt\n"
    start = f"sys.argv[1:] = {options}\nrunpy.run_path({inference.__file__!r}, run_name='__main__')"
    code = f"import runpy, sys\n{stop}sys.meta_path.insert(0, Stop())\n{start}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "src")
    assert result.stderr == "error: stopped by Ctrl-C; run it again\n"
    assert result.returncode == -signal.SIGINT


MAIN_AND_IMPORTS = """
import sys, inference
try:
    code = inference.main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(*sorted({"torch", "numpy", "PIL"} & sys.modules.keys()))
sys.exit(code)
"""


def test_help_and_refused_options_do_not_import_pytorch(weights, photos, tmp_path):
    draw(photos / "a.jpg")
    (tmp_path / "file").touch()
    options = {"--weights": str(weights), "--input": str(photos), "--output": str(tmp_path / "out")}
    refused = [
        {"--weights": "no/model.pt"},
        {"--weights": str(photos)},
        {"--input": "no/photos"},
        {"--output": str(tmp_path / "file")},
        {"--output": str(photos)},
        {"--batch-size": "0"},
        {"--batch-size": "many"},
    ]
    for changed, code in ({"--help": ""}, 0), *((one, 1) for one in refused):
        arguments = [text for pair in (options | changed).items() for text in pair if text]
        command = [sys.executable, "-c", MAIN_AND_IMPORTS, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert (min(result.returncode, 1), result.stdout.splitlines()[-1]) == (code, ""), changed


def test_a_copy_of_the_project_uses_its_code_not_the_installed_one(tmp_path):
    shutil.copy(ROOT / "inference.py", tmp_path)
    (tmp_path / "src/segpipe/core").mkdir(parents=True)
    (tmp_path / "src/segpipe/__init__.py").touch()
    (tmp_path / "src/segpipe/core/__init__.py").touch()
    (tmp_path / "src/segpipe/core/interrupts.py").write_text("raise SystemExit('the code of the copy')")
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run([sys.executable, tmp_path / "inference.py"], capture_output=True, text=True, env=env)
    assert result.stderr == "the code of the copy\n"


def test_an_output_that_is_a_file_is_one_line(weights, photos, tmp_path, capsys):
    draw(photos / "a.jpg")
    (tmp_path / "out").write_text("in the way")
    assert run(weights, photos, tmp_path / "out") == 1
    assert capsys.readouterr().err == f"inference.py: --output {tmp_path / 'out'}: is a file; name a folder\n"


def test_classes_json_has_names_values_and_colours(weights, photos, tmp_path):
    draw(photos / "a.jpg")
    run(weights, photos, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert document["classes"][1] == {"class_index": 1, "name": "cat", "colour": [128, 0, 0]}
    assert document["ignore_index"] == 255
