import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask

from segpipe.masks import rle


def test_runs_go_down_the_columns_and_on_into_the_next():
    crop = np.array([[1, 1], [1, 0]], bool)
    # frame of 2 rows, 3 columns, the crop in columns 1 and 2: 00 11 10
    assert rle.encode_crop(crop, 1, 0, (2, 3)).counts == (2, 3, 1)


def test_a_set_first_pixel_begins_with_an_empty_run():
    assert rle.encode_mask(np.array([[1, 0]], bool)).counts == (0, 1, 1)


def test_what_lies_outside_the_frame_is_cut():
    assert rle.encode_crop(np.ones((3, 3), bool), -2, 1, (2, 2)).counts == (1, 1, 2)
    assert rle.encode_crop(np.ones((3, 3), bool), 5, 5, (2, 2)).counts == (4,)


def test_everything():
    assert rle.full_frame((2, 3)).counts == (0, 6)


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))),
    st.integers(-4, 7),
    st.integers(-4, 7),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_the_counts_are_those_of_pycocotools(crop, left, top, size_hw):
    frame = np.zeros((24, 24), bool)  # the crop pasted with room on every side, then cut to the frame
    frame[top + 8 : top + 8 + crop.shape[0], left + 8 : left + 8 + crop.shape[1]] = crop
    whole = frame[8 : 8 + size_hw[0], 8 : 8 + size_hw[1]]
    encoded = rle.encode_crop(crop, left, top, size_hw)
    packed = coco_mask.frPyObjects({"size": list(size_hw), "counts": list(encoded.counts)}, *size_hw)
    assert packed == coco_mask.encode(np.asfortranarray(whole, np.uint8))
