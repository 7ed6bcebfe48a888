import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from segpipe.data import comparing, duplicates, near_hashes
from tests.data.test_duplicates import fingerprints_of

LAYOUT = gaussian_filter(np.random.default_rng(0).normal(0, 1, (240, 240)), 24)
LAYOUT *= 60 / LAYOUT.std()


def of_one_layout(seed: int, finest: float = 4) -> Image.Image:
    """An image with a common coarse layout and details of this seed."""
    detail = gaussian_filter(np.random.default_rng(seed).normal(0, 1, (240, 240)), finest)
    shades = 128 + LAYOUT + 20 * detail / detail.std()
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8)).convert("RGB")


def pairs_of(images, bits=10) -> set[tuple[int, int]]:
    pairs = duplicates.close_pairs(fingerprints_of(images), bits)
    return {(int(i), int(j)) for part in pairs for i, j in part}


@pytest.mark.parametrize("finest", [2.5, 4, 6])
def test_different_images_of_one_layout_are_not_copies_although_their_hashes_are_close(finest):
    images = [of_one_layout(seed, finest) for seed in range(1, 25)]
    hashes = duplicates.hash_numbers(fingerprints_of(images))
    close = np.argwhere(np.triu(near_hashes.distances(hashes[:, None], hashes[None]) <= 10, 1))
    assert np.bincount(duplicates.groups(24, [close])).max() > 12  # by the hashes only
    assert pairs_of(images) == set()


def cut(left, top, right, bottom):
    return lambda image: image.crop((left, top, 240 - right, 240 - bottom))


@pytest.mark.parametrize(
    "copy",
    [
        lambda image: image,
        lambda image: image.resize((100, 90), Image.Resampling.LANCZOS),
        lambda image: image.rotate(2, Image.Resampling.BILINEAR),
        lambda image: image.rotate(4, Image.Resampling.BILINEAR).transpose(Image.Transpose.ROTATE_90),
        lambda image: image.point(lambda shade: shade * 0.6 + 20),
        cut(5, 5, 5, 5),
        cut(0, 0, 10, 10),
        cut(12, 12, 12, 12),
    ],
    ids=["itself", "smaller", "turned", "turned much", "darker", "cut", "cut at a corner", "cut by a tenth"],
)
def test_a_copy_among_images_of_its_layout_is_found(copy):
    images = [of_one_layout(seed) for seed in range(1, 13)]
    assert pairs_of([*images, copy(images[0])], bits=14) == {(0, 12)}


def filled_in(seed: int, share: float) -> Image.Image:
    """An image in which a share of the rows differs from that of other seeds, as in forms with different entries."""
    rng = np.random.default_rng(seed)
    shades = np.asarray(of_one_layout(1), np.uint8).copy()
    other = np.asarray(of_one_layout(seed), np.uint8)
    for top in range(20, 220, 20):
        shades[top : top + int(20 * share), 40:200] = other[top : top + int(20 * share), 40:200]
    return Image.fromarray(shades).rotate(float(rng.uniform(0, 1)))


def test_forms_with_different_entries_are_not_copies_but_a_copy_with_a_few_marks_is():
    assert pairs_of([filled_in(seed, 0.6) for seed in range(2, 8)]) == set()
    assert pairs_of([of_one_layout(1), filled_in(2, 0.1)]) == {(0, 1)}


def test_images_without_details_are_compared_by_their_hashes():
    ramp = np.tile(np.linspace(0, 255, 240), (240, 1)).astype(np.uint8)
    images = [Image.fromarray(shades).convert("RGB") for shades in (ramp, ramp // 2 + 20)]
    assert pairs_of(images) == {(0, 1)}


def test_a_pair_is_confirmed_independently_of_other_pairs():
    images = [of_one_layout(seed).rotate(angle) for seed in range(1, 5) for angle in (0, 1, 3)]
    pairs = pairs_of(images)
    assert len(pairs) > 6
    alone = {(i, j) for i in range(12) for j in range(i + 1, 12) if (0, 1) in pairs_of([images[i], images[j]])}
    assert pairs == alone


@pytest.mark.parametrize("count", [0, 1, 49])
def test_any_number_of_pairs_is_compared(count):
    small = duplicates.view_of(duplicates.small_images(fingerprints_of([of_one_layout(1)]))[0], 0)
    images, bits = np.array([small] * count), np.zeros(count)
    assert comparing.same_content(images, images, bits).tolist() == [True] * count
