import numpy as np
import pytest
from PIL import Image as Picture

from segpipe.core.errors import UserError
from segpipe.data import fitted, store
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Dataset, Image, Instance
from segpipe.ledger.policies import Policies
from segpipe.rasterize.dataset import class_pixels, draw_tasks, row_pixels, store_rows
from segpipe.rasterize.image import draw
from segpipe.validate.dataset import check_tasks
from segpipe.validate.image import check
from segpipe.validate.judge import Rules

CLASSES = ClassTable(("background", "cat"))
RING = (2.0, 2.0, 30.0, 4.0, 20.0, 20.0)


@pytest.fixture(params=[Fit("letterbox", (24, 20)), Fit("crop", (16, 16)), Fit("stretch", (32, 32), 32, 4)])
def left(request, tmp_path, monkeypatch):
    """A project with one photograph, validated: the checked photo, its drawable instances, and where it was left."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)
    Picture.fromarray(pixels).save("a.jpg")
    instance = Instance(id="1", image_key="a", category="cat", rings=(RING,))
    image = Image(key="a", file="a.jpg")
    dataset = Dataset(format="coco", categories=("cat",), images=(image,), instances=(instance,))
    there = fitted.begin(request.param)
    rules = Rules({"cat": "cat"}, Policies())
    [task] = check_tasks(dataset, tmp_path, rules, keep_empty=False, leave=there)
    return check(task), there


def drawn(left, folder, there):
    """The store's images as drawing with `there` makes them."""
    checked, fit = left[0], left[1].fit
    [task] = draw_tasks(
        [checked.photo], checked.instances, folder, {"cat": 1}, CLASSES, "smaller_on_top", fit, folder / "masks",
        folder / "store", there and there.found(),
    )  # fmt: skip
    rows = store_rows([task])
    store.begin(folder / "store", len(rows), fit)
    result = draw(task)
    pixels = class_pixels([result]), row_pixels([result])
    store.finish(folder / "store", rows, CLASSES, fit, *pixels)
    return np.array(store.Store.open(folder / "store").images)


def test_what_validate_leaves_is_what_decoding_again_gives(left, tmp_path, monkeypatch):
    anew = drawn(left, tmp_path, None)
    monkeypatch.delattr("segpipe.data.photos.read")  # so that it cannot be decoded again
    np.testing.assert_array_equal(drawn(left, tmp_path, left[1]), anew)


def test_a_photograph_that_was_touched_since_is_decoded_again(left, tmp_path):
    black = Picture.fromarray(np.zeros((40, 60, 3), np.uint8))
    black.save("a.jpg")
    np.testing.assert_array_equal(drawn(left, tmp_path, left[1]), fitted.fit_all(black, left[1].fit))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"\0" * len(data), lambda data: b"", lambda data: data[:-1] + b"\0"]
)
def test_what_is_damaged_is_decoded_again(left, tmp_path, damage):
    anew = drawn(left, tmp_path, None)
    [file] = left[1].folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    np.testing.assert_array_equal(drawn(left, tmp_path, left[1]), anew)


def test_all_that_one_process_left_is_found_up_to_where_its_disk_was_full(left, tmp_path):
    with Picture.open("a.jpg") as picture:
        left[1].put(picture, "1" * 64, "stored", (1, 2))
    [file] = left[1].folder.iterdir()
    whole = left[1].found()
    assert sorted(whole) == sorted([("1" * 64, "stored"), (left[0].photo.sha256, "viewed")])
    file.write_bytes(file.read_bytes()[: whole["1" * 64, "stored"].offset - 1])
    assert list(left[1].found()) == [(left[0].photo.sha256, "viewed")]


def test_a_place_that_is_not_there_is_no_harm(left, tmp_path):
    fitted.forget()
    with Picture.open("a.jpg") as picture:
        left[1].put(picture, "0" * 64, "viewed", (0, 0))
    assert len(drawn(left, tmp_path, left[1]))


def test_a_photograph_that_is_gone_is_told_though_it_was_left(left, tmp_path):
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(UserError, match="no such file; restore it or remove its record; it was readable when validate"):
        drawn(left, tmp_path, left[1])
