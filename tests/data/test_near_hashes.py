import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.data import near_hashes
from segpipe.data.near_hashes import ORIENTATIONS, PARTS, VIEW_PAIRS, WITHOUT_FRAME, near_pairs

VIEWS = ORIENTATIONS + PARTS
BY_WORDS, BY_COMPARING, MIXED = 1e9, 0, 1.5  # values of _COMPARISON that prefer one way of the search


def near_to_all(hashes: np.ndarray, distance: int, ignored: np.ndarray) -> np.ndarray:
    """Which pairs i < j are near, by comparing every view pair of every pair, bool (N, N); ignored: bool (N, VIEWS)."""
    near = np.zeros((len(hashes), len(hashes)), bool)
    for one, other in VIEW_PAIRS:
        bits = np.bitwise_count(hashes[:, one, None] ^ hashes[None, :, other])
        near |= (bits <= distance) & ~ignored[:, one, None] & ~ignored[None, :, other]
    return np.triu(near, 1)


def assert_all_found(hashes: np.ndarray, distance: int) -> int:
    """Compare with near_to_all; views without a frame to leave out may be ignored. Returns the number of pairs."""
    found = np.concatenate([np.empty((0, 2), np.int64), *near_pairs(hashes, distance)])
    assert (np.diff(found[:, 0] * len(hashes) + found[:, 1]) > 0).all()  # ascending, each once
    is_found = np.zeros((len(hashes), len(hashes)), bool)
    is_found[*found.T] = True
    nothing, frameless = np.zeros((2, len(hashes), VIEWS), bool)
    frameless[:, WITHOUT_FRAME] = hashes[:, WITHOUT_FRAME] == hashes[:, 0]
    assert not (near_to_all(hashes, distance, frameless) & ~is_found).any()
    assert not (is_found & ~near_to_all(hashes, distance, nothing)).any()
    return len(found)


def random_hashes(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 2**64, (count, VIEWS), np.uint64)


def flipped(rng: np.random.Generator, number: int, bits: int) -> np.uint64:
    """The number with this many bits changed."""
    return np.uint64(int(number) ^ sum(1 << int(bit) for bit in rng.choice(64, bits, replace=False)))


@pytest.mark.parametrize("distance", range(17))
def test_every_pair_of_views_is_found_up_to_the_distance(distance, monkeypatch):
    monkeypatch.setattr(near_hashes, "_COMPARISON", BY_WORDS)
    rng = np.random.default_rng(distance)
    planted = [(*views, bits) for views in VIEW_PAIRS for bits in range(max(0, distance - 1), distance + 2)]
    hashes = random_hashes(rng, 2 * len(planted))
    for i, (one, other, bits) in enumerate(planted):
        hashes[len(planted) + i, other] = flipped(rng, hashes[i, one], bits)
    assert assert_all_found(hashes, distance) >= sum(bits <= distance for *_, bits in planted)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_ways_of_the_search_and_the_sizes_of_its_parts_change_no_pair(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    count, originals = data.draw(st.integers(0, 40)), random_hashes(rng, 3)
    hashes = originals[rng.integers(0, 3, count)]
    for _ in range(data.draw(st.integers(0, 12))):
        hashes ^= np.uint64(1) << rng.integers(0, 64, hashes.shape).astype(np.uint64)
    framed = rng.random(count) < 0.3
    hashes[:, WITHOUT_FRAME] = np.where(framed, hashes[:, WITHOUT_FRAME], hashes[:, 0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_hashes, "_COMPARISON", data.draw(st.sampled_from([BY_WORDS, MIXED, BY_COMPARING])))
        patch.setattr(near_hashes, "_LOOKUP", data.draw(st.sampled_from([0, 2])))
        patch.setattr(near_hashes, "_AT_ONCE", data.draw(st.sampled_from([1, 300, 4_000_000])))
        patch.setattr(near_hashes, "_BLOCK", data.draw(st.sampled_from([3, 17, 8192])))
        assert_all_found(hashes, data.draw(st.integers(0, 12)))


@pytest.mark.parametrize("distance", [8, 17, 32])
def test_the_search_is_right_as_it_is_tuned(distance):
    rng = np.random.default_rng(0)
    originals = random_hashes(rng, 500)
    near = np.array([[flipped(rng, number, 7) for number in hashes] for hashes in originals[:300]])
    many = np.repeat(originals[:1], 700, axis=0)  # that all look the same
    hashes = np.concatenate([originals, near, many])[rng.permutation(1500)]
    assert assert_all_found(hashes, distance) > 300 + 700 * 699 / 2
