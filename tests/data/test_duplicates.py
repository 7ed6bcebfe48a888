import base64

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segpipe.data.duplicates import ORIENTATIONS, PARTS, close_pairs, equal_pairs, firsts, groups, joining_pairs


def _rosette() -> str:
    """A small picture that looks the same turned and mirrored in any way."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    shades = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC), float)
    mirrored = shades + shades[::-1] + shades[:, ::-1] + shades[::-1, ::-1]
    return base64.b64encode(((mirrored + mirrored.T) / 8).astype(np.uint8).tobytes()).decode()


ROSETTE = _rosette()


def hashes(whole: int, turned: int = 0x3333333333333333, part: int = 0x0F0F0F0F0F0F0F0F) -> str:
    """Of a picture as it is, turned in any way, and of any part of it; the constants are 32 bits apart."""
    return f"{whole:016x}" + f"{turned:016x}" * (ORIENTATIONS - 1) + f"{part:016x}" * PARTS + ROSETTE


def pairs(found) -> set[tuple[int, int]]:
    return {(int(i), int(j)) for part in found for i, j in part}


def test_close_pairs_are_all_pairs_within_the_distance():
    numbers = np.random.default_rng(0).integers(0, 2**16, 1500)
    expected = {
        (i, j) for i in range(1500) for j in range(i + 1, 1500) if (int(numbers[i]) ^ int(numbers[j])).bit_count() <= 1
    }
    assert pairs(close_pairs([hashes(int(number)) for number in numbers], 1)) == expected
    assert expected


def test_a_turned_picture_is_compared_with_the_whole_and_the_parts_of_another():
    plain = hashes(0)
    assert pairs(close_pairs([hashes(0xFF00FF00FF00FF00, turned=0b1), plain], 1)) == {(0, 1)}
    part, turned = hashes(0, part=0x5555555555555555), hashes(0xFF00FF00FF00FF00, turned=0x5555555555555554)
    assert pairs(close_pairs([part, turned], 1)) == pairs(close_pairs([turned, part], 1)) == {(0, 1)}
    assert pairs(close_pairs([part, turned], 0)) == set()
    assert pairs(close_pairs([plain, hashes(0xFF00FF00FF00FF00)], 1)) == set()


def test_pictures_without_a_hash_are_close_to_none():
    assert pairs(close_pairs(["", hashes(5), "", hashes(5)], 8)) == {(1, 3)}
    assert pairs(close_pairs(["", ""], 8)) == pairs(close_pairs([], 8)) == set()


def test_groups_join_over_others():
    assert groups(5, [np.array([(3, 1)]), np.array([(4, 3)])]).tolist() == [0, 1, 2, 1, 1]
    assert groups(3, []).tolist() == [0, 1, 2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["", *(hashes(number) for number in (0, 1, 3, 7, 0xFF))]), max_size=12))
def test_what_joins_joins_all_that_is_close(looks):
    wanted = groups(len(looks), close_pairs(looks, 1)).tolist()
    assert groups(len(looks), joining_pairs(looks, 1)).tolist() == wanted
    assert pairs(joining_pairs(looks, 1)) <= pairs(close_pairs(looks, 1))


def test_equal_pictures_are_not_all_compared_with_each_other():
    looks = [hashes(0)] * 300 + [hashes(1)] * 300
    assert len(pairs(joining_pairs(looks, 1))) == 299 + 299 + 1


def test_an_empty_name_equals_none():
    assert firsts(["a", "", "b", "", "a"]) == [0, 1, 2, 3, 0]


def test_equal_names_are_paired_with_the_first():
    assert equal_pairs(["a", "b", "a", "a"]).tolist() == [[0, 2], [0, 3]]
    assert len(equal_pairs(["a"])) == 0
