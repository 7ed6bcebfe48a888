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
def validated(request, tmp_path, monkeypatch):
    """A validated project with one photo: the checked photo with its instances, and the cache."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)
    Picture.fromarray(pixels).save("a.jpg")
    instance = Instance(id="1", image_key="a", category="cat", rings=(RING,))
    image = Image(key="a", file="a.jpg")
    dataset = Dataset(format="coco", categories=("cat",), images=(image,), instances=(instance,))
    cache = fitted.begin(request.param)
    rules = Rules({"cat": "cat"}, Policies())
    [task] = check_tasks(dataset, tmp_path, rules, keep_empty=False, cache=cache)
    return check(task), cache


def drawn(validated, folder, cache):
    """The images in the store after drawing with this cache."""
    checked, fit = validated[0], validated[1].fit
    [task] = draw_tasks(
        [checked.photo], checked.instances, folder, {"cat": 1}, CLASSES, "smaller_on_top", fit, folder / "masks",
        folder / "store", cache and cache.cached(),
    )  # fmt: skip
    rows = store_rows([task])
    store.begin(folder / "store", len(rows), fit)
    result = draw(task)
    pixels = class_pixels([result]), row_pixels([result])
    store.finish(folder / "store", rows, CLASSES, fit, *pixels)
    return np.array(store.Store.open(folder / "store").images)


def test_cached_rows_equal_those_of_the_decoded_photo(validated, tmp_path, monkeypatch):
    decoded = drawn(validated, tmp_path, None)
    monkeypatch.delattr("segpipe.data.photos.read_image")  # the photo cannot be decoded again
    np.testing.assert_array_equal(drawn(validated, tmp_path, validated[1]), decoded)


def test_a_changed_photo_is_decoded_again(validated, tmp_path):
    black = Picture.fromarray(np.zeros((40, 60, 3), np.uint8))
    black.save("a.jpg")
    np.testing.assert_array_equal(drawn(validated, tmp_path, validated[1]), fitted.fit_all(black, validated[1].fit))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"\0" * len(data), lambda data: b"", lambda data: data[:-1] + b"\0"]
)
def test_a_photo_with_damaged_rows_is_decoded_again(validated, tmp_path, damage):
    decoded = drawn(validated, tmp_path, None)
    [file] = validated[1].folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    np.testing.assert_array_equal(drawn(validated, tmp_path, validated[1]), decoded)


def test_rows_of_one_process_are_found_up_to_a_truncated_end(validated, tmp_path):
    with Picture.open("a.jpg") as image:
        validated[1].put(image, "1" * 64, "stored", (1, 2))
    [file] = validated[1].folder.iterdir()
    whole = validated[1].cached()
    assert sorted(whole) == sorted([("1" * 64, "stored"), (validated[0].photo.sha256, "viewed")])
    file.write_bytes(file.read_bytes()[: whole["1" * 64, "stored"].offset - 1])
    assert list(validated[1].cached()) == [(validated[0].photo.sha256, "viewed")]


def test_a_missing_cache_is_harmless(validated, tmp_path):
    fitted.clear()
    with Picture.open("a.jpg") as image:
        validated[1].put(image, "0" * 64, "viewed", (0, 0))
    assert len(drawn(validated, tmp_path, validated[1]))


def test_a_missing_photo_is_an_error_although_it_is_cached(validated, tmp_path):
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(UserError, match="no such file; restore it or remove its record; it was readable when validate"):
        drawn(validated, tmp_path, validated[1])
