from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Instance, Photo
from segpipe.rasterize import image
from segpipe.rasterize.image import DrawnImage, DrawTask
from tests.grids import grid

CLASSES = ClassTable(("background", "cat", "dog"))
INDICES = {"cat": 1, "dog": 2}


def box(x: int, y: int, width: int, height: int) -> tuple[float, ...]:
    return tuple(map(float, (x, y, x + width, y, x + width, y + height, x, y + height)))


def photo(key="a", size=(6, 4)) -> Photo:
    return Photo(
        key=key, file=f"{key}.png", split=None, width=size[0], height=size[1], frame="viewed", orientation=1,
        undecidable=False, sha256="0", background=False,
    )  # fmt: skip


def drawn(
    *instances: Instance, priority="smaller_on_top", size_hw=(4, 6), tiles=(0, 0), size=(6, 4)
) -> tuple[np.ndarray, DrawnImage]:
    """The label map and the counts of one image. There is no source folder: no photo is read."""
    task = DrawTask(Path("nowhere"), photo(size=size), instances, INDICES, priority)
    counts, label_map = image.draw(task, CLASSES, Fit("letterbox", size_hw, *tiles))
    return label_map, counts


CAT = Instance(id="1", image_key="a", category="cat", rings=(box(0, 0, 4, 3),))
DOG = Instance(id="2", image_key="a", category="dog", rings=(box(2, 1, 3, 2),))
CROWD = Instance(id="3", image_key="a", category="dog", rings=(box(0, 2, 6, 2),), role="crowd")


def test_the_smaller_is_on_top():
    label_map, counts = drawn(DOG, CAT)
    np.testing.assert_array_equal(label_map, grid("####.. ##222. ##222. ......"))
    assert counts.visible_px == (6, 8)
    assert counts.class_px == (10, 8, 6)


def test_in_record_order_the_later_object_is_on_top():
    label_map, _ = drawn(DOG, CAT, priority="record_order")
    np.testing.assert_array_equal(label_map, grid("####.. ####2. ####2. ......"))


def test_a_crowd_is_ignored_under_objects():
    label_map, counts = drawn(CROWD, CAT)
    np.testing.assert_array_equal(label_map, grid("####.. ####.. ####xx xxxxxx"))
    assert counts.ignore_px == 8


def test_a_layered_crowd_covers_earlier_objects():
    label_map, _ = drawn(CAT, replace(CROWD, layered=True), priority="record_order")
    np.testing.assert_array_equal(label_map, grid("####.. ####.. xxxxxx xxxxxx"))


def test_a_large_image_has_one_label_map_and_counts_for_each_tile():
    # 4 x 6 tiles (height x width) with 2 shared on 4 x 10 pixels: columns 0 to 5 and 4 to 9
    label_map, counts = drawn(CAT, DOG, CROWD, tiles=(6, 2), size=(10, 4))
    np.testing.assert_array_equal(label_map, grid("####...... ##222..... ##222x.... xxxxxx...."))
    assert counts.class_px == (19, 8, 6)  # each pixel once
    assert counts.row_px == ((3, 8, 6), (19, 0, 2))  # and in each tile


def test_an_object_has_pixels_at_training_size_if_any_tile_shows_it():
    # at half the size the middle of each 2 x 2 square decides: its lower right pixel
    thin = Instance(id="5", image_key="a", category="cat", rings=(box(5, 1, 1, 1),))
    gone = Instance(id="6", image_key="a", category="cat", rings=(box(4, 0, 1, 4),))
    assert drawn(thin, gone, size_hw=(2, 3), size=(10, 4))[1].store_px == (0, 0)
    # column 5 decides in both tiles, 0 to 5 and 4 to 9
    assert drawn(thin, gone, size_hw=(2, 3), tiles=(6, 2), size=(10, 4))[1].store_px == (2, 0)


def test_a_mask_file_that_is_gone_since_validate_is_an_error():
    masked = Instance(id="1", image_key="a", category="cat", mask_file="masks/b.png", mask_value=1)
    with pytest.raises(UserError, match=r"^nowhere/a\.png: b\.png: .*run `dvc repro` again$"):
        drawn(masked)
