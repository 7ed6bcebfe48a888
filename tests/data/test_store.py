import resource
import sys

import numpy as np
import pytest

from segpipe.core.errors import UserError
from segpipe.data.preprocessing import Fit
from segpipe.data.store import Store, row_writer
from tests import stores

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (10, 4, 5, 3), np.uint8)
LABELS = RANDOM.integers(0, 2, (10, 4, 5), np.uint8)


@pytest.mark.parametrize("count", [0, 1, 12_345])
def test_a_file_of_rows_is_an_array_whatever_their_number(tmp_path, count):
    rows = np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3)
    with row_writer(tmp_path / "a.npy", (2, 3)) as add:
        for row in rows:
            add(row)
    read = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert (read.shape, read.dtype) == ((count, 2, 3), np.uint8)
    assert np.array_equal(read, rows)


def test_a_transposed_row_is_written_as_it_is_indexed(tmp_path):
    row = np.arange(6, dtype=np.uint8).reshape(3, 2).T
    with row_writer(tmp_path / "a.npy", (2, 3)) as add:
        add(row)
    assert np.load(tmp_path / "a.npy").tolist() == [[[0, 2, 4], [1, 3, 5]]]


@pytest.mark.parametrize("shards", [1, 3, 20])  # of 20, some have no row
def test_a_store_has_the_order_of_the_source(tmp_path, shards):
    keys = ["b", "a", "field", "field", "field", "c", "é", "z", "y", "x"]
    boxes = [(0, row, 8, 8) for row in range(10)]
    opened = stores.put(tmp_path, IMAGES, LABELS, keys=keys, boxes=boxes, shards=shards)
    assert opened.keys == tuple(keys)
    assert (opened.boxes.tolist(), opened.boxes.dtype) == ([[*box] for box in boxes], np.int32)
    assert (opened.fit, opened.classes) == (Fit("stretch", (4, 5)), stores.CLASSES)
    assert opened.names[1:4] == ("a", "field (x 2-8, y 0-8)", "field (x 3-8, y 0-8)")
    for rows, array in ((opened.images, IMAGES), (opened.labels, LABELS)):
        assert (rows.shape, rows.dtype, len(rows)) == (array.shape, array.dtype, len(array))
        assert np.array_equal(rows[:], array)


@pytest.mark.parametrize(
    "index",
    [3, -1, np.int64(4), slice(None), slice(7, 2, -2), slice(5, 5), np.array([9, 0, 0, -2]), np.array([], int)],
    ids=str,
)
def test_rows_are_indexed_as_an_array(tmp_path, index):
    opened = stores.put(tmp_path, IMAGES, LABELS)
    for rows, array in ((opened.images, IMAGES), (opened.labels, LABELS)):
        assert rows[index].shape == array[index].shape
        assert np.array_equal(rows[index], array[index])


@pytest.mark.parametrize("index", [10, -11, np.array([0, 10])], ids=str)
def test_a_row_that_does_not_exist_is_an_index_error(tmp_path, index):
    with pytest.raises(IndexError):
        stores.put(tmp_path, IMAGES, LABELS).images[index]


def test_a_store_without_rows_opens(tmp_path):
    opened = stores.put(tmp_path, IMAGES[:0], LABELS[:0])
    assert (opened.keys, opened.images[:].shape, opened.boxes.shape) == ((), (0, 4, 5, 3), (0, 4))


@pytest.mark.parametrize("folder", ["photos", "labels"])
@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_shard_that_is_not_whole_is_named(tmp_path, folder, size):
    stores.put(tmp_path, IMAGES, LABELS)
    path = tmp_path / folder / "00001.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError) as error:
        Store.open(tmp_path / "photos", tmp_path / "labels")
    assert str(error.value).startswith(f"{path}: is damaged (")
    assert str(error.value).endswith("; run `dvc repro`, which writes it again")


def test_labels_of_another_number_of_photos_are_refused(tmp_path):
    stores.put(tmp_path / "a", IMAGES, LABELS, shards=1)
    stores.put(tmp_path / "b", IMAGES[:9], LABELS[:9], shards=1)
    path = tmp_path / "b/labels/00000.npy"
    with pytest.raises(UserError) as error:
        Store.open(tmp_path / "a/photos", tmp_path / "b/labels")
    problem = "has the shape (9, 4, 5) instead of (10, 4, 5)"
    assert str(error.value) == f"{path}: {problem}; run `dvc repro`, which writes it again"


@pytest.mark.skipif(sys.platform != "linux", reason="counts the files in /proc")
def test_a_store_may_have_more_shards_than_a_process_may_open_files(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        images, labels = np.tile(IMAGES, (20, 1, 1, 1)), np.tile(LABELS, (20, 1, 1))
        assert np.array_equal(stores.put(tmp_path, images, labels, shards=200).images[:], images)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("file", ["photos/index.json", "photos/00002.npy", "labels/00002.npy", "labels/classes.json"])
def test_a_missing_file_is_named(tmp_path, file):
    stores.put(tmp_path, IMAGES, LABELS)
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError) as error:
        Store.open(tmp_path / "photos", tmp_path / "labels")
    assert error.value.filename == str(tmp_path / file)


def test_the_content_is_the_same_for_any_number_of_shards(tmp_path):
    one = stores.put(tmp_path / "a", IMAGES, LABELS, shards=1).content_hash()
    assert stores.put(tmp_path / "b", IMAGES, LABELS, shards=4).content_hash() == one


CHANGES = {
    "an image": {"images": np.concatenate([IMAGES[:9], 255 - IMAGES[9:]])},
    "a label map": {"labels": np.concatenate([LABELS[:9], 1 - LABELS[9:]])},
    "the order": {"images": IMAGES[::-1], "labels": LABELS[::-1]},
    "a key": {"keys": [f"image{number}" for number in (*range(9), 10)]},
    "a box": {"boxes": [(0, 0, 4, 5)] * 9 + [(0, 0, 5, 4)]},
    "the pixels": {"row_pixels": [(64, 0)] * 9 + [(0, 64)]},
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_content_changes_with(tmp_path, name):
    one = stores.put(tmp_path / "a", IMAGES, LABELS).content_hash()
    changed = {"images": IMAGES, "labels": LABELS} | CHANGES[name]
    assert stores.put(tmp_path / "b", **changed).content_hash() != one
