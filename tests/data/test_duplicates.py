import base64
from functools import cache

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from segpipe.data.duplicates import (
    ORIENTATIONS,
    PARTS,
    close_pairs,
    distances,
    equal_pairs,
    fingerprint,
    firsts,
    groups,
    hash_numbers,
    joining_pairs,
    small_images,
    view_of,
)


@cache
def photo(seed: int = 0, size_wh: tuple[int, int] = (320, 240)) -> Image.Image:
    """Blots of light at random places: large and small structure."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize(size_wh, Image.Resampling.BICUBIC)


def bits_apart(one: Image.Image, other: Image.Image) -> int:
    hashes = hash_numbers([fingerprint(image) for image in (one, other)])
    return int(distances(hashes[0], hashes[1]))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_hash_equals_imagehash_phash(seed):
    # 64 x 64 pixels: a larger image is first made smaller here (faster), and imagehash resizes it to 32 x 32 at once
    image = photo(seed, (64, 64))
    assert fingerprint(image)[:16] == str(imagehash.phash(image))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_hash_of_a_large_image_differs_from_imagehash_phash_by_few_bits(seed):
    ours, theirs = int(fingerprint(photo(seed))[:16], 16), int(str(imagehash.phash(photo(seed))), 16)
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
    assert fingerprint(Image.new("RGB", (70, 50), (200, 200, 200))) == ""


@pytest.mark.parametrize("view", range(ORIENTATIONS))
def test_the_small_image_is_turned_as_its_hash_is(view):
    text = fingerprint(photo())
    small = view_of(small_images([text])[0], view)
    turned = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).convert("RGB")
    whole, hashed = hash_numbers([text])[0], hash_numbers([fingerprint(turned)])[0]
    assert int(np.bitwise_count(hashed[0] ^ whole[view])) <= 4


def test_a_part_of_the_small_image_is_the_part_that_its_hash_sees():
    text = fingerprint(ImageOps.expand(photo(), 24, "white"))
    for view in range(ORIENTATIONS, ORIENTATIONS + PARTS):
        small = view_of(small_images([text])[0], view)
        part = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).convert("RGB")
        hashed = hash_numbers([fingerprint(part)])[0]
        assert int(np.bitwise_count(hashed[0] ^ hash_numbers([text])[0][view])) <= 6


def _symmetric_image() -> str:
    """A small image that is equal in all orientations, in base64."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    shades = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC), float)
    mirrored = shades + shades[::-1] + shades[:, ::-1] + shades[::-1, ::-1]
    return base64.b64encode(((mirrored + mirrored.T) / 8).astype(np.uint8).tobytes()).decode()


SYMMETRIC = _symmetric_image()


def fingerprint_with(whole: int, turned: int = 0x3333333333333333, part: int = 0x0F0F0F0F0F0F0F0F) -> str:
    """The fingerprint with these hashes: of the image, turned in any way, of any part. Defaults differ by 32 bits."""
    return f"{whole:016x}" + f"{turned:016x}" * (ORIENTATIONS - 1) + f"{part:016x}" * PARTS + SYMMETRIC


def pairs(blocks) -> set[tuple[int, int]]:
    return {(int(i), int(j)) for part in blocks for i, j in part}


def test_close_pairs_are_all_pairs_within_the_distance():
    numbers = np.random.default_rng(0).integers(0, 2**16, 1500)
    expected = {
        (i, j) for i in range(1500) for j in range(i + 1, 1500) if (int(numbers[i]) ^ int(numbers[j])).bit_count() <= 1
    }
    assert pairs(close_pairs([fingerprint_with(int(number)) for number in numbers], 1)) == expected
    assert expected


def test_a_turned_image_is_compared_with_the_whole_and_the_parts_of_another():
    plain = fingerprint_with(0)
    assert pairs(close_pairs([fingerprint_with(0xFF00FF00FF00FF00, turned=0b1), plain], 1)) == {(0, 1)}
    part, turned = (
        fingerprint_with(0, part=0x5555555555555555),
        fingerprint_with(0xFF00FF00FF00FF00, turned=0x5555555555555554),
    )
    assert pairs(close_pairs([part, turned], 1)) == pairs(close_pairs([turned, part], 1)) == {(0, 1)}
    assert pairs(close_pairs([part, turned], 0)) == set()
    assert pairs(close_pairs([plain, fingerprint_with(0xFF00FF00FF00FF00)], 1)) == set()


def test_images_without_a_fingerprint_are_in_no_pair():
    assert pairs(close_pairs(["", fingerprint_with(5), "", fingerprint_with(5)], 8)) == {(1, 3)}
    assert pairs(close_pairs(["", ""], 8)) == pairs(close_pairs([], 8)) == set()


def test_groups_connect_through_others():
    assert groups(5, [np.array([(3, 1)]), np.array([(4, 3)])]).tolist() == [0, 1, 2, 1, 1]
    assert groups(3, []).tolist() == [0, 1, 2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["", *(fingerprint_with(number) for number in (0, 1, 3, 7, 0xFF))]), max_size=12))
def test_joining_pairs_form_the_groups_of_close_pairs(texts):
    expected = groups(len(texts), close_pairs(texts, 1)).tolist()
    assert groups(len(texts), joining_pairs(texts, 1)).tolist() == expected
    assert pairs(joining_pairs(texts, 1)) <= pairs(close_pairs(texts, 1))


def test_of_equal_images_only_the_first_is_compared_with_others():
    texts = [fingerprint_with(0)] * 300 + [fingerprint_with(1)] * 300
    assert len(pairs(joining_pairs(texts, 1))) == 299 + 299 + 1


def test_an_empty_name_equals_no_other():
    assert firsts(["a", "", "b", "", "a"]) == [0, 1, 2, 3, 0]


def test_equal_names_are_paired_with_the_first():
    assert equal_pairs(["a", "b", "a", "a"]).tolist() == [[0, 2], [0, 3]]
    assert len(equal_pairs(["a"])) == 0
    assert len(equal_pairs([])) == 0
