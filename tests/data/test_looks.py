from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.fft import dct

from segpipe.data import duplicates
from segpipe.data.duplicates import distances


@cache
def photograph(seed: int = 0) -> Image.Image:
    """Blots of light at random places: a picture with large and small structure."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def bits_apart(one: Image.Image, other: Image.Image) -> int:
    of = duplicates.hash_numbers([duplicates.fingerprint(image) for image in (one, other)])
    return int(distances(of[0], of[1]))


def test_the_first_hash_is_phash():
    """https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html, with DC as in imagehash.phash."""
    grey = photograph().resize((64, 64), Image.Resampling.LANCZOS).convert("L")
    small = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), float)
    low = dct(dct(small, axis=0), axis=1)[:8, :8]
    expected = "".join("1" if value > np.median(low) else "0" for value in low.ravel())
    assert duplicates.fingerprint(photograph())[:16] == f"{int(expected, 2):016x}"


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_turned_and_mirrored_copies_are_the_same(turn):
    assert bits_apart(photograph(), photograph().transpose(turn)) <= 2


@pytest.mark.parametrize("turn", [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90])
def test_a_tenth_cut_off_or_a_frame_put_around_is_still_a_copy_turned_or_not(turn):
    cropped = photograph().crop((16, 12, 304, 228)).transpose(turn)  # 0.9 of each side
    assert bits_apart(photograph(), cropped) <= 2
    assert bits_apart(cropped, photograph()) <= 2
    framed = ImageOps.pad(photograph(), (400, 400), color="black")
    assert bits_apart(photograph(), framed.transpose(turn)) <= 8


def test_other_pictures_are_far_apart():
    assert min(bits_apart(photograph(0), photograph(seed)) for seed in range(1, 20)) > 8


def test_a_picture_of_one_shade_has_no_hash():
    assert duplicates.fingerprint(Image.new("RGB", (70, 50), (200, 200, 200))) == ""


@pytest.mark.parametrize("view", range(duplicates.ORIENTATIONS))
def test_the_small_picture_is_turned_as_the_hash_is(view):
    of = duplicates.fingerprint(photograph())
    small = duplicates.view_of(duplicates.small_images([of])[0], view)
    turned = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).convert("RGB")
    whole, seen = duplicates.hash_numbers([of])[0], duplicates.hash_numbers([duplicates.fingerprint(turned)])[0]
    assert int(np.bitwise_count(seen[0] ^ whole[view])) <= 4


def test_parts_of_the_small_picture_are_those_of_the_hash():
    of = duplicates.fingerprint(ImageOps.expand(photograph(), 24, "white"))
    for view in range(duplicates.ORIENTATIONS, duplicates.ORIENTATIONS + duplicates.PARTS):
        small = duplicates.view_of(duplicates.small_images([of])[0], view)
        part = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).convert("RGB")
        seen = duplicates.hash_numbers([duplicates.fingerprint(part)])[0]
        assert int(np.bitwise_count(seen[0] ^ duplicates.hash_numbers([of])[0][view])) <= 6
