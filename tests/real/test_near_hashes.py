"""The search for copies among real photos, whose hashes are not random, compared with comparing all pairs."""

import numpy as np
import pytest

from segpipe.data import duplicates, near_hashes, photos
from tests.data.test_duplicates import as_rows
from tests.data.test_near_hashes import BY_WORDS

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def fingerprints(real_data) -> np.ndarray:
    paths = sorted(real_data.rglob("*.jpg"))
    return as_rows(duplicates.fingerprint(photos.read_image(path)) for path in paths)


@pytest.mark.parametrize("distance", range(13))
def test_the_close_pairs_of_real_photos_are_those_of_comparing_all(fingerprints, distance, monkeypatch):
    monkeypatch.setattr(near_hashes, "_COMPARISON", BY_WORDS)
    found = np.concatenate(list(duplicates.close_pairs(fingerprints, distance)))
    hashes, small = duplicates.hash_numbers(fingerprints), duplicates.small_images(fingerprints)
    near = [
        np.stack([np.full(len(others), i), others], axis=1)
        for i in range(len(hashes))
        if hashes[i].any()
        for others in [i + 1 + np.flatnonzero(near_hashes.distances(hashes[i], hashes[i + 1 :]) <= distance)]
    ]
    candidates = np.concatenate(near)
    candidates = candidates[hashes[candidates[:, 1]].any(axis=1)]
    expected = candidates[duplicates.confirmed(candidates, hashes, small, distance)]
    assert found.tolist() == expected.tolist()
    assert len(expected) > 100
