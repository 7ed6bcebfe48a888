from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segpipe.core.errors import AnnotationError, UserError
from segpipe.data.preprocessing import Fit, fit_image, stored_windows
from segpipe.data.records import Image
from segpipe.validate import packing
from segpipe.validate.packing import content_of, packer, rows_file
from tests.faults.sources import put_photo

FIT = Fit("letterbox", (8, 8))
TILES = Fit("letterbox", (8, 8), tile_side=8, tile_overlap=2)
SIZE_WH = (12, 8)
USED = {"a": True, "b": True, "c": False}
IMAGES = {key: Image(key=key, file=f"{key}.png") for key in USED}


@pytest.fixture
def root(tmp_path) -> Path:
    for seed, key in enumerate(USED):
        put_photo(tmp_path / f"root/{key}.png", seed, SIZE_WH)
    return tmp_path / "root"


def pack(root: Path, name: str, fit: Fit = FIT, version: str = "1", earlier: tuple[Path, ...] = (), images=IMAGES):
    """Pack the photos. Returns the folder of the result and the facts about the photos."""
    folder = root.parent / name
    folder.mkdir()
    with packer(folder, root, fit, version, earlier) as add:
        seen = [add(image, content_of(root / image.file), USED[key]) for key, image in images.items()]
    return folder, seen


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(*values, **named):
        raise AssertionError("a photo is decoded")

    return lambda: monkeypatch.setattr(packing, "decode", refuse)


@pytest.mark.parametrize("fit", [FIT, TILES, Fit("crop", (8, 8)), Fit("stretch", (4, 16))], ids=str)
def test_the_rows_of_used_images_are_those_that_training_sees(root, fit):
    folder, seen = pack(root, "one", fit)
    pixels = [np.asarray(Picture.open(root / f"{key}.png")) for key in "ab"]
    expected = [fit_image(each, fit, window) for each in pixels for window in stored_windows((8, 12), fit)]
    np.testing.assert_array_equal(np.load(rows_file(folder)), np.stack(expected))
    assert [(each.photo.width, each.photo.height) for each in seen] == [SIZE_WH] * 3


@pytest.mark.parametrize("fit", [FIT, TILES], ids=["whole", "tiles"])
def test_packed_photos_are_taken_from_earlier_results_in_any_order(root, fit, no_decoding):
    first = dict(list(IMAGES.items())[:1])
    rest = dict(list(IMAGES.items())[1:])
    parts = [pack(root, "one", fit, images=first), pack(root, "two", fit, images=rest)]
    whole, seen = pack(root, "whole", fit)
    no_decoding()
    again, seen_again = pack(root, "again", fit, earlier=tuple(folder for folder, _ in parts))
    assert seen_again == seen
    assert [(again / file.name).read_bytes() for file in sorted(whole.iterdir())] == [
        file.read_bytes() for file in sorted(whole.iterdir())
    ]
    backwards = dict(reversed(IMAGES.items()))
    assert pack(root, "backwards", fit, earlier=(whole,), images=backwards)[1] == seen[::-1]


CHANGES = {
    "the file": lambda root: put_photo(root / "a.png", 9, SIZE_WH),
    "the declared size": {"images": IMAGES | {"a": replace(IMAGES["a"], width=12, height=8)}},
    "the preprocessing": {"fit": Fit("stretch", (8, 8))},
    "the code": {"version": "2"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_photo_is_decoded_again_after_a_change_of(root, name, no_decoding):
    earlier, _ = pack(root, "earlier")
    change = CHANGES[name]
    if callable(change):
        change(root)
    no_decoding()
    with pytest.raises(AssertionError, match="a photo is decoded"):
        pack(root, "again", earlier=(earlier,), **({} if callable(change) else change))


def test_an_image_that_becomes_used_gets_its_rows(root, monkeypatch):
    earlier, _ = pack(root, "earlier")
    monkeypatch.setitem(USED, "c", True)
    clean, _ = pack(root, "clean")
    again, _ = pack(root, "again", earlier=(earlier,))
    assert len(np.load(rows_file(again))) == 3
    assert rows_file(again).read_bytes() == rows_file(clean).read_bytes()


def test_an_image_that_is_no_longer_used_is_not_decoded(root, monkeypatch, no_decoding):
    earlier, _ = pack(root, "earlier")
    monkeypatch.setitem(USED, "a", False)
    clean, seen = pack(root, "clean")
    no_decoding()
    again, seen_again = pack(root, "again", earlier=(earlier,))
    assert seen_again == seen
    assert rows_file(again).read_bytes() == rows_file(clean).read_bytes()


def test_a_result_without_photos_has_no_rows_and_can_be_used_again(root):
    empty, _ = pack(root, "empty", images={})
    assert np.load(rows_file(empty)).shape == (0, 8, 8, 3)
    assert len(pack(root, "again", earlier=(empty,))[1]) == 3


@pytest.mark.parametrize("meanwhile", ["another photo", "half a photo", "no photo"])
def test_a_photo_that_changes_while_it_is_read_stops_the_stage(root, tmp_path, meanwhile):
    before = content_of(root / "a.png")
    data = (root / "b.png").read_bytes()
    (root / "a.png").write_bytes({"another photo": data, "half a photo": data[:99], "no photo": b""}[meanwhile])
    with packer(tmp_path, root, FIT, "1", ()) as add, pytest.raises(UserError) as caught:
        add(IMAGES["a"], before, True)
    assert str(caught.value) == f"{root / 'a.png'}: has changed while validate reads it; run `dvc repro` again"
    assert not isinstance(caught.value, AnnotationError)


def test_a_broken_photo_has_no_rows_and_is_a_verdict_on_the_file(root, tmp_path):
    (root / "a.png").write_bytes(b"no image")
    with packer(tmp_path, root, FIT, "1", ()) as add:
        with pytest.raises(AnnotationError, match="is not an image file") as caught:
            add(IMAGES["a"], content_of(root / "a.png"), True)
        add(IMAGES["b"], content_of(root / "b.png"), True)
    assert caught.value.reason == "unreadable"
    assert len(np.load(rows_file(tmp_path))) == 1


def test_the_content_of_a_file_that_cannot_be_read_is_its_problem(root):
    assert len(content_of(root / "a.png")) == 64
    assert content_of(root / "lost.png") == "no such file; restore it or remove its record"
