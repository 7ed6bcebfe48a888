import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Rle
from segpipe.masks import raster, rle
from tests.grids import grid

masks = (
    st.integers(1, 25)
    .flatmap(
        lambda height: st.lists(st.lists(st.booleans(), min_size=height, max_size=height), min_size=1, max_size=25)
    )
    .map(lambda rows: np.array(rows, bool))
)


def test_run_lengths_go_down_the_columns_and_count_zeros_first():
    region = rle.region_of(Rle(size_hw=(2, 3), counts=(1, 2, 3)))
    np.testing.assert_array_equal(raster.paint([region], (2, 3)), grid(".#. #.."))


@settings(max_examples=200, deadline=None)
@given(masks)
def test_a_mask_is_drawn_again_from_its_region(mask):
    region = raster.of_mask(mask)
    np.testing.assert_array_equal(raster.paint([region], mask.shape).astype(bool), mask)
    assert rle.area_px(region) == mask.sum()


@settings(max_examples=200, deadline=None)
@given(masks)
def test_both_forms_give_equal_regions(mask):
    string = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    lengths = tuple(int(n) for n in rle.decode_counts(string))
    assert sum(lengths) == mask.size
    listed = rle.region_of(Rle(size_hw=mask.shape, counts=lengths))
    packed = rle.region_of(Rle(size_hw=mask.shape, counts=string.decode()))
    assert listed == packed
    assert rle.compressed(listed)["counts"] == string
    assert rle.run_lengths(listed) == list(lengths)


@pytest.mark.parametrize("counts", [(1, 2), (7,), (), (-1, 7), "zzzz", "ö", "P", "1" * 3])
def test_counts_that_do_not_fill_the_frame_are_refused(counts):
    with pytest.raises(AnnotationError) as caught:
        rle.region_of(Rle(size_hw=(2, 3), counts=counts))
    assert caught.value.reason == "bad_rle"


@settings(max_examples=200, deadline=None)
@given(masks, st.integers(0, 2**32 - 1))
def test_shared_pixels_are_counted(mask, seed):
    other = mask ^ (np.random.default_rng(seed).random(mask.shape) < 0.3)
    assert rle.shared_px(raster.of_mask(mask), raster.of_mask(other)) == (mask & other).sum()


def test_runs_go_down_the_columns_and_continue_in_the_next():
    crop = np.array([[1, 1], [1, 0]], bool)
    # frame of 2 rows, 3 columns, the crop in columns 1 and 2: 00 11 10
    assert rle.encode_crop(crop, 1, 0, (2, 3)).counts == (2, 3, 1)


def test_a_set_first_pixel_gives_an_empty_first_run():
    assert rle.encode_mask(np.array([[1, 0]], bool)).counts == (0, 1, 1)


def test_pixels_outside_the_frame_are_cut_off():
    assert rle.encode_crop(np.ones((3, 3), bool), -2, 1, (2, 2)).counts == (1, 1, 2)
    assert rle.encode_crop(np.ones((3, 3), bool), 5, 5, (2, 2)).counts == (4,)


def test_a_full_frame_is_an_empty_run_and_one_run():
    assert rle.full_frame((2, 3)).counts == (0, 6)


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))),
    st.integers(-4, 7),
    st.integers(-4, 7),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_counts_equal_those_of_pycocotools(crop, left, top, size_hw):
    frame = np.zeros((24, 24), bool)  # paste the crop with a margin on every side, then cut out the frame
    frame[top + 8 : top + 8 + crop.shape[0], left + 8 : left + 8 + crop.shape[1]] = crop
    whole = frame[8 : 8 + size_hw[0], 8 : 8 + size_hw[1]]
    encoded = rle.encode_crop(crop, left, top, size_hw)
    packed = coco_mask.frPyObjects({"size": list(size_hw), "counts": list(encoded.counts)}, *size_hw)
    assert packed == coco_mask.encode(np.asfortranarray(whole, np.uint8))
