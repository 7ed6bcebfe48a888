from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segpipe.classes import ClassTable
from segpipe.dataset import drawing, ledger, rasterizing, store
from segpipe.dataset.checks import Photo
from segpipe.dataset.ledger import Row
from segpipe.dataset.transforms import Fit
from segpipe.errors import UserError
from segpipe.masks import label_png
from segpipe.records import Instance
from tests.grids import grid

CLASSES = ClassTable(("background", "cat", "dog"))


def box(x: int, y: int, width: int, height: int) -> tuple[float, ...]:
    return tuple(map(float, (x, y, x + width, y, x + width, y + height, x, y + height)))


def photo(folder: Path) -> Photo:
    Picture.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(folder / "a.png")
    return Photo(
        key="a", file="a.png", split=None, width=6, height=4, frame="viewed", orientation=1, undecidable=False,
        sha256="0", phash="0", background=False,
    )  # fmt: skip


def task(folder: Path, *instances: Instance, priority="smaller_on_top", size_hw=(4, 6)):
    fit = Fit("letterbox", size_hw)
    indices = {"cat": 1, "dog": 2}
    tasks = rasterizing.tasks(
        [photo(folder)], instances, folder, indices, CLASSES, priority, fit, folder / "masks", folder / "store"
    )
    store.begin(folder / "store", 1, fit)
    return tasks[0]


def drawn(folder: Path, *instances: Instance, **options):
    result = drawing.draw(task(folder, *instances, **options))
    return label_png.read(folder / "masks" / "a.png"), result


CAT = Instance(id="1", image_key="a", category="cat", rings=(box(0, 0, 4, 3),))
DOG = Instance(id="2", image_key="a", category="dog", rings=(box(2, 1, 3, 2),))
CROWD = Instance(id="3", image_key="a", category="dog", rings=(box(0, 2, 6, 2),), role="crowd")


def test_the_smaller_is_on_top(tmp_path):
    label_map, result = drawn(tmp_path, DOG, CAT)
    np.testing.assert_array_equal(label_map, grid("####.. ##222. ##222. ......"))
    assert result.visible_px == (6, 8)
    assert result.class_px == (10, 8, 6)


def test_record_order_lets_the_later_cover(tmp_path):
    label_map, _ = drawn(tmp_path, DOG, CAT, priority="record_order")
    np.testing.assert_array_equal(label_map, grid("####.. ####2. ####2. ......"))


def test_a_crowd_is_ignored_beneath_objects(tmp_path):
    label_map, result = drawn(tmp_path, CROWD, CAT)
    np.testing.assert_array_equal(label_map, grid("####.. ####.. ####xx xxxxxx"))
    assert result.ignore_px == 8


def test_a_layered_crowd_covers_what_comes_before_it(tmp_path):
    label_map, _ = drawn(tmp_path, CAT, replace(CROWD, layered=True), priority="record_order")
    np.testing.assert_array_equal(label_map, grid("####.. ####.. xxxxxx xxxxxx"))


def test_the_store_holds_the_fitted_pair(tmp_path):
    drawn(tmp_path, CAT, size_hw=(8, 6))
    store.finish(tmp_path / "store", ["a"], CLASSES, Fit("letterbox", (8, 6)), np.array([[12, 12, 0]]))
    opened = store.Store.open(tmp_path / "store")
    np.testing.assert_array_equal(opened.labels[0], grid("xxxxxx xxxxxx ####.. ####.. ####.. ...... xxxxxx xxxxxx"))
    assert (opened.keys, opened.classes, opened.fit) == (("a",), CLASSES, Fit("letterbox", (8, 6)))
    assert (opened.images[0, 2:6] == 90).all()


def test_the_account_tells_hidden_and_vanished_objects(tmp_path):
    under = Instance(id="4", image_key="a", category="dog", rings=(box(2, 1, 3, 2),))
    thin = Instance(id="5", image_key="a", category="cat", rings=(box(0, 3, 1, 1),))
    one = task(tmp_path, under, DOG, thin, size_hw=(2, 3))
    before = [
        Row(kind="annotation", id=i, image_key="a", place=i, class_name=c)
        for i, c in (("4", "dog"), ("2", "dog"), ("5", "cat"))
    ]
    rows = rasterizing.account(before, [one], [drawing.draw(one)])
    assert [(row.verdict, row.reason, row.px_after) for row in rows] == [
        ("hidden", "covered", 0),
        ("kept", "", 6),
        ("kept", "", 1),
    ]
    assert rasterizing.vanished(rows) == {"cat": 1}
    assert {row.verdict for row in rows} <= set(ledger.VERDICTS)


def test_a_photograph_that_changed_since_validate_ends_the_stage(tmp_path):
    one = task(tmp_path, CAT)
    with pytest.raises(UserError, match="run `dvc repro` again"):
        drawing.draw(replace(one, photo=replace(one.photo, file="gone.png")))
