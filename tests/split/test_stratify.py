import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.split.stratify import deal

THREE = (0.7, 0.15, 0.15)


def groups(shows, images=None):
    """The arguments of deal for groups (rows) that show classes (columns)."""
    shows = np.array(shows)
    counts = np.ones(len(shows), int) if images is None else np.array(images)
    return np.column_stack([counts, shows * counts[:, None]]), shows * counts[:, None] * 10


def free(count):
    return np.full(count, -1)


def test_a_class_of_three_groups_is_on_every_side():
    images, pixels = groups([[1, i in (4, 40, 70)] for i in range(100)])
    sides = deal(images, pixels, THREE, free(100))
    assert sorted(sides[[4, 40, 70]]) == [0, 1, 2]
    assert np.bincount(sides).tolist() == [70, 15, 15]


def test_pixels_are_balanced_too():
    images, _ = groups([[1]] * 20)
    pixels = np.array([[100]] * 2 + [[10]] * 18)
    sides = deal(images, pixels, (0.5, 0.5), free(20))
    assert sorted(sides[:2]) == [0, 1]
    assert np.bincount(sides).tolist() == [10, 10]


def test_a_group_larger_than_a_small_side_is_on_the_large_side():
    images, pixels = groups([[1]] * 31, images=[40] + [2] * 30)
    sides = deal(images, pixels, THREE, free(31))
    assert sides[0] == 0
    train, *held_out = (int(images[sides == side, 0].sum()) for side in range(3))
    assert (train, sorted(held_out)) == (70, [14, 16])  # groups of two cannot make 15 each


def test_fixed_groups_keep_their_side_and_the_others_fill_up():
    images, pixels = groups([[1]] * 100)
    fixed = np.where(np.arange(100) < 20, 1, -1)  # more than the share of val
    sides = deal(images, pixels, THREE, fixed)
    assert (sides[:20] == 1).all()
    assert np.bincount(sides).tolist() == [66, 20, 14]  # 80 in the ratio of 70 to 15, nearly


def test_a_side_without_a_share_gets_no_group():
    images, pixels = groups([[1]] * 10)
    assert set(deal(images, pixels, (0.8, 0.0, 0.2), free(10))) == {0, 2}


def test_equal_groups_in_equal_order_get_equal_sides():
    rng = np.random.default_rng(0)
    images, pixels = groups(rng.random((300, 8)) < 0.3)
    assert (deal(images, pixels, THREE, free(300)) == deal(images, pixels, THREE, free(300))).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(30, 120), st.integers(1, 6))
def test_every_class_with_enough_groups_is_on_every_side_and_sizes_are_right(seed, count, classes):
    rng = np.random.default_rng(seed)
    images, pixels = groups(rng.random((count, classes)) < rng.uniform(0.1, 0.9, classes))
    sides = deal(images, pixels, THREE, free(count))
    for shown in (images[:, 1:] > 0).T:
        if shown.sum() >= 6:
            assert set(sides[shown]) == {0, 1, 2}
    assert abs(np.bincount(sides, minlength=3) / count - THREE).max() < 0.1
