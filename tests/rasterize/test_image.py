from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segpipe.core.errors import UserError
from segpipe.data import store
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Instance, Photo
from segpipe.ledger.rows import VERDICTS, Row, one_shard
from segpipe.ledger.totals import Totals
from segpipe.masks import label_png
from segpipe.rasterize import dataset, image
from tests.grids import grid

CLASSES = ClassTable(("background", "cat", "dog"))


def box(x: int, y: int, width: int, height: int) -> tuple[float, ...]:
    return tuple(map(float, (x, y, x + width, y, x + width, y + height, x, y + height)))


def photo(folder: Path, size=(6, 4)) -> Photo:
    Picture.new("RGB", size, (90, 90, 90)).save(folder / "a.png")
    return Photo(
        key="a", file="a.png", split=None, width=size[0], height=size[1], frame="viewed", orientation=1,
        undecidable=False, sha256="0", background=False,
    )  # fmt: skip


def task(folder: Path, *instances: Instance, priority="smaller_on_top", size_hw=(4, 6), tiles=(0, 0), size=(6, 4)):
    fit = Fit("letterbox", size_hw, *tiles)
    indices = {"cat": 1, "dog": 2}
    tasks = dataset.draw_tasks(
        [photo(folder, size)], instances, folder, indices, CLASSES, priority, fit, folder / "masks", folder / "store"
    )
    store.begin(folder / "store", len(dataset.store_rows(tasks)), fit)
    return tasks[0]


def drawn(folder: Path, *instances: Instance, **options):
    result = image.draw(task(folder, *instances, **options))
    return label_png.read(folder / "masks" / "a.png"), result


CAT = Instance(id="1", image_key="a", category="cat", rings=(box(0, 0, 4, 3),))
DOG = Instance(id="2", image_key="a", category="dog", rings=(box(2, 1, 3, 2),))
CROWD = Instance(id="3", image_key="a", category="dog", rings=(box(0, 2, 6, 2),), role="crowd")


def test_the_smaller_is_on_top(tmp_path):
    label_map, result = drawn(tmp_path, DOG, CAT)
    np.testing.assert_array_equal(label_map, grid("####.. ##222. ##222. ......"))
    assert result.visible_px == (6, 8)
    assert result.class_px == (10, 8, 6)


def test_in_record_order_the_later_object_is_on_top(tmp_path):
    label_map, _ = drawn(tmp_path, DOG, CAT, priority="record_order")
    np.testing.assert_array_equal(label_map, grid("####.. ####2. ####2. ......"))


def test_a_crowd_is_ignored_under_objects(tmp_path):
    label_map, result = drawn(tmp_path, CROWD, CAT)
    np.testing.assert_array_equal(label_map, grid("####.. ####.. ####xx xxxxxx"))
    assert result.ignore_px == 8


def test_a_layered_crowd_covers_earlier_objects(tmp_path):
    label_map, _ = drawn(tmp_path, CAT, replace(CROWD, layered=True), priority="record_order")
    np.testing.assert_array_equal(label_map, grid("####.. ####.. xxxxxx xxxxxx"))


def finished(one: image.DrawTask, result: image.DrawnImage) -> store.Store:
    counts = dataset.class_pixels([result]), dataset.row_pixels([result])
    store.finish(one.store, dataset.store_rows([one]), CLASSES, one.fit, *counts)
    return store.Store.open(one.store)


def test_the_store_has_image_and_label_map_at_training_size(tmp_path):
    one = task(tmp_path, CAT, size_hw=(8, 6))
    opened = finished(one, image.draw(one))
    np.testing.assert_array_equal(opened.labels[0], grid("xxxxxx xxxxxx ####.. ####.. ####.. ...... xxxxxx xxxxxx"))
    assert (opened.keys, opened.classes, opened.fit) == (("a",), CLASSES, Fit("letterbox", (8, 6)))
    assert (opened.images[0, 2:6] == 90).all()
    assert opened.names == ("a",)
    assert opened.row_pixels.tolist() == [[12, 12, 0]]


def test_a_large_image_has_one_row_per_tile_and_one_label_map(tmp_path):
    # 4 x 6 tiles (height x width) with 2 shared on 4 x 10 pixels: columns 0 to 5 and 4 to 9
    one = task(tmp_path, CAT, DOG, CROWD, tiles=(6, 2), size=(10, 4))
    result = image.draw(one)
    opened = finished(one, result)
    whole = grid("####...... ##222..... ##222x.... xxxxxx....")
    np.testing.assert_array_equal(label_png.read(tmp_path / "masks/a.png"), whole)
    np.testing.assert_array_equal(opened.labels, [whole[:, :6], whole[:, 4:]])
    assert (opened.images == 90).all()
    assert opened.names == ("a (x 0-6, y 0-4)", "a (x 4-10, y 0-4)")
    assert opened.boxes.tolist() == [[0, 0, 4, 6], [0, 4, 4, 10]]
    assert result.class_px == (19, 8, 6)  # each pixel once
    assert opened.row_pixels.tolist() == [[3, 8, 6], [19, 0, 2]]  # and in each tile
    assert np.load(tmp_path / "store/class_pixels.npy").tolist() == [[19, 8, 6]]
    assert opened.fit == Fit("letterbox", (4, 6), 6, 2)
    assert dataset.row_summary([result]) == {"whole": 0, "tiles": 2, "only_ignored": 0}


def test_an_object_has_pixels_at_training_size_if_any_tile_shows_it(tmp_path):
    # at half the size the middle of each 2 x 2 square decides: its lower right pixel
    thin = Instance(id="5", image_key="a", category="cat", rings=(box(5, 1, 1, 1),))
    gone = Instance(id="6", image_key="a", category="cat", rings=(box(4, 0, 1, 4),))
    whole = image.draw(task(tmp_path, thin, gone, size_hw=(2, 3), size=(10, 4)))
    assert whole.store_px == (0, 0)
    one = task(tmp_path, thin, gone, size_hw=(2, 3), tiles=(6, 2), size=(10, 4))
    assert image.draw(one).store_px == (2, 0)  # column 5 decides in both tiles, 0 to 5 and 4 to 9


def test_rows_with_only_ignored_pixels_are_counted(tmp_path):
    everything = Instance(id="7", image_key="a", category="dog", rings=(box(0, 0, 6, 4),), role="crowd")
    result = image.draw(task(tmp_path, everything, tiles=(6, 2), size=(10, 4)))
    assert dataset.row_summary([result]) == {"whole": 0, "tiles": 2, "only_ignored": 1}


def test_the_ledger_has_hidden_and_vanished_objects(tmp_path):
    under = Instance(id="4", image_key="a", category="dog", rings=(box(2, 1, 3, 2),))
    thin = Instance(id="5", image_key="a", category="cat", rings=(box(0, 3, 1, 1),))
    one = task(tmp_path, under, DOG, thin, size_hw=(2, 3))
    annotations = [
        Row(kind="annotation", id=i, image_key="a", place=i, class_name=c)
        for i, c in (("4", "dog"), ("2", "dog"), ("5", "cat"))
    ]
    before = [Row(kind="image", id="a", image_key="a", place="a"), *annotations]
    rows = dataset.with_pixels(before, [one], [image.draw(one)])
    assert [(row.verdict, row.reason, row.px_after) for row in rows[1:]] == [
        ("hidden", "covered", 0),
        ("kept", "", 6),
        ("kept", "", 1),
    ]
    assert Totals.of([one_shard(rows)]).vanished() == {"cat": 1}
    assert {row.verdict for row in rows} <= set(VERDICTS)


def test_a_photo_that_has_changed_since_validate_is_an_error(tmp_path):
    one = task(tmp_path, CAT)
    with pytest.raises(UserError, match="run `dvc repro` again"):
        image.draw(replace(one, photo=replace(one.photo, file="gone.png")))
