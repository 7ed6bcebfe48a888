from collections.abc import Iterable
from functools import cache

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from segpipe.data.duplicates import (
    FINGERPRINT_BYTES,
    close_pairs,
    equal_pairs,
    fingerprint,
    first_equal,
    firsts,
    groups,
    hash_numbers,
    joining_pairs,
    small_images,
    view_of,
)
from segpipe.data.near_hashes import ORIENTATIONS, PARTS, distances

NONE = bytes(FINGERPRINT_BYTES)  # of an image of one shade


@cache
def photo(seed: int = 0, size_wh: tuple[int, int] = (320, 240)) -> Image.Image:
    """Blots of light at random places: large and small structure."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize(size_wh, Image.Resampling.BICUBIC)


def as_rows(fingerprints: Iterable[bytes]) -> np.ndarray:
    """Fingerprints as the functions get them, uint8 (N, FINGERPRINT_BYTES)."""
    return np.frombuffer(b"".join(fingerprints), np.uint8).reshape(-1, FINGERPRINT_BYTES)


def fingerprints_of(images: Iterable[Image.Image]) -> np.ndarray:
    return as_rows(map(fingerprint, images))


def bits_apart(one: Image.Image, other: Image.Image) -> int:
    hashes = hash_numbers(fingerprints_of([one, other]))
    return int(distances(hashes[0], hashes[1]))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_hash_equals_imagehash_phash(seed):
    # 64 x 64 pixels: a larger image is first made smaller here (faster), and imagehash resizes it to 32 x 32 at once
    image = photo(seed, (64, 64))
    assert fingerprint(image)[:8].hex() == str(imagehash.phash(image))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_hash_of_a_large_image_differs_from_imagehash_phash_by_few_bits(seed):
    ours, theirs = int.from_bytes(fingerprint(photo(seed))[:8]), int(str(imagehash.phash(photo(seed))), 16)
    assert (ours ^ theirs).bit_count() <= 2


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_turned_and_mirrored_copies_are_at_most_2_bits_apart(turn):
    assert bits_apart(photo(), photo().transpose(turn)) <= 2


@pytest.mark.parametrize("turn", [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90])
def test_a_copy_without_its_outer_tenth_or_with_a_frame_is_near_also_when_turned(turn):
    cropped = photo().crop((16, 12, 304, 228)).transpose(turn)  # 0.9 of each side
    assert bits_apart(photo(), cropped) <= 2
    assert bits_apart(cropped, photo()) <= 2
    framed = ImageOps.pad(photo(), (400, 400), color="black")
    assert bits_apart(photo(), framed.transpose(turn)) <= 8


def test_different_images_are_more_than_8_bits_apart():
    assert min(bits_apart(photo(0), photo(seed)) for seed in range(1, 20)) > 8


def test_an_image_of_one_shade_has_no_fingerprint():
    assert fingerprint(Image.new("RGB", (70, 50), (200, 200, 200))) == NONE


@pytest.mark.parametrize("view", range(ORIENTATIONS))
def test_the_small_image_is_turned_as_its_hash_is(view):
    rows = fingerprints_of([photo()])
    small = view_of(small_images(rows)[0], view)
    turned = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).convert("RGB")
    whole, hashed = hash_numbers(rows)[0], hash_numbers(fingerprints_of([turned]))[0]
    assert int(np.bitwise_count(hashed[0] ^ whole[view])) <= 4


def test_a_part_of_the_small_image_is_the_part_that_its_hash_sees():
    rows = fingerprints_of([ImageOps.expand(photo(), 24, "white")])
    for view in range(ORIENTATIONS, ORIENTATIONS + PARTS):
        small = view_of(small_images(rows)[0], view)
        part = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).convert("RGB")
        hashed = hash_numbers(fingerprints_of([part]))[0]
        assert int(np.bitwise_count(hashed[0] ^ hash_numbers(rows)[0][view])) <= 6


def _symmetric_image() -> bytes:
    """A small image that is equal in all orientations."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    shades = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC), float)
    mirrored = shades + shades[::-1] + shades[:, ::-1] + shades[::-1, ::-1]
    return ((mirrored + mirrored.T) / 8).astype(np.uint8).tobytes()


SYMMETRIC = _symmetric_image()


def fingerprint_with(whole: int, turned: int = 0x3333333333333333, part: int = 0x0F0F0F0F0F0F0F0F) -> bytes:
    """The fingerprint with these hashes: of the image, turned in any way, of any part. Defaults differ by 32 bits."""
    hashes = [whole, *[turned] * (ORIENTATIONS - 1), *[part] * PARTS]
    return b"".join(number.to_bytes(8) for number in hashes) + SYMMETRIC


def close(fingerprints: Iterable[bytes], distance: int) -> list[tuple[int, int]]:
    return pairs(close_pairs(as_rows(fingerprints), distance))


def joining(fingerprints: Iterable[bytes], distance: int) -> list[tuple[int, int]]:
    rows = as_rows(fingerprints)
    return pairs(joining_pairs(rows, distance, first_equal(rows)))


def pairs(blocks) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for part in blocks for i, j in part]


def test_close_pairs_are_all_pairs_within_the_distance_in_ascending_order():
    numbers = np.random.default_rng(0).integers(0, 2**16, 1500)
    expected = [
        (i, j) for i in range(1500) for j in range(i + 1, 1500) if (int(numbers[i]) ^ int(numbers[j])).bit_count() <= 1
    ]
    assert close([fingerprint_with(int(number)) for number in numbers], 1) == expected
    assert expected


def test_a_turned_image_is_compared_with_the_whole_and_the_parts_of_another():
    plain = fingerprint_with(0)
    assert close([fingerprint_with(0xFF00FF00FF00FF00, turned=0b1), plain], 1) == [(0, 1)]
    part, turned = (
        fingerprint_with(0, part=0x5555555555555555),
        fingerprint_with(0xFF00FF00FF00FF00, turned=0x5555555555555554),
    )
    assert close([part, turned], 1) == close([turned, part], 1) == [(0, 1)]
    assert close([part, turned], 0) == []
    assert close([plain, fingerprint_with(0xFF00FF00FF00FF00)], 1) == []


def test_images_without_a_fingerprint_are_in_no_pair():
    assert close([NONE, fingerprint_with(5), NONE, fingerprint_with(5)], 8) == [(1, 3)]
    assert close([NONE, NONE], 8) == close([], 8) == []


def test_only_the_images_to_compare_are_in_pairs():
    rows = as_rows([fingerprint_with(5)] * 4)
    among = np.array([True, False, True, True])
    assert pairs(close_pairs(rows, 0, among)) == [(0, 2), (0, 3), (2, 3)]
    assert first_equal(rows, among).tolist() == [0, -1, 0, 0]


def test_groups_connect_through_others():
    assert groups(5, [np.array([(3, 1)]), np.array([(4, 3)])]).tolist() == [0, 1, 2, 1, 1]
    assert groups(3, []).tolist() == [0, 1, 2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([NONE, *(fingerprint_with(number) for number in (0, 1, 3, 7, 0xFF))]), max_size=12))
def test_joining_pairs_form_the_groups_of_close_pairs(looks):
    every, joined = (np.array(found, np.int64).reshape(-1, 2) for found in (close(looks, 1), joining(looks, 1)))
    assert groups(len(looks), [joined]).tolist() == groups(len(looks), [every]).tolist()
    assert set(joining(looks, 1)) <= set(close(looks, 1))


def test_of_equal_images_only_the_first_is_compared_with_others():
    assert len(joining([fingerprint_with(0)] * 300 + [fingerprint_with(1)] * 300, 1)) == 299 + 299 + 1


def test_an_empty_name_equals_no_other():
    assert firsts(["a", "", "b", "", "a"]) == [0, 1, 2, 3, 0]


def test_equal_names_are_paired_with_the_first():
    assert equal_pairs(["a", "b", "a", "a"]).tolist() == [[0, 2], [0, 3]]
    assert len(equal_pairs(["a"])) == 0
    assert len(equal_pairs([])) == 0
