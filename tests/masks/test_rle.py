import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
def test_there_and_back(mask):
    region = raster.of_mask(mask)
    np.testing.assert_array_equal(raster.paint([region], mask.shape).astype(bool), mask)
    assert rle.area_px(region) == mask.sum()


@settings(max_examples=200, deadline=None)
@given(masks)
def test_both_forms_are_the_same_region(mask):
    string = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    lengths = tuple(int(n) for n in rle.run_lengths(string))
    assert sum(lengths) == mask.size
    listed = rle.region_of(Rle(size_hw=mask.shape, counts=lengths))
    packed = rle.region_of(Rle(size_hw=mask.shape, counts=string.decode()))
    assert listed == packed
    assert rle.compressed(listed)["counts"] == string
    assert rle.lengths_of(listed) == list(lengths)


@pytest.mark.parametrize("counts", [(1, 2), (7,), (), (-1, 7), "zzzz", "ö", "P", "1" * 3])
def test_counts_that_do_not_fill_the_picture_are_refused(counts):
    with pytest.raises(AnnotationError) as caught:
        rle.region_of(Rle(size_hw=(2, 3), counts=counts))
    assert caught.value.reason == "bad_rle"


@settings(max_examples=200, deadline=None)
@given(masks, st.integers(0, 2**32 - 1))
def test_pixels_in_common(mask, seed):
    other = mask ^ (np.random.default_rng(seed).random(mask.shape) < 0.3)
    assert rle.shared_px(raster.of_mask(mask), raster.of_mask(other)) == (mask & other).sum()
