from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core.errors import UserError
from segpipe.split import empty_sides
from segpipe.split.assign import Pool, assign
from segpipe.split.pins import Pin
from segpipe.split.settings import Split
from tests.data.test_duplicates import as_rows
from tests.split.test_assign import candidate, look

SEED = 7


def plan(method="content", val=0.15, test=0.15, **fields) -> Split:
    return Split(method=method, val=val, test=test, near_duplicate_bits=8, **fields)


def refusal(images, settings, pixels=None, looks=None) -> str:
    """The error message, "" if every split has an image."""
    class_pixels = np.full((len(images), 2), 9) if pixels is None else np.array(pixels)
    fingerprints = as_rows(looks or map(look, images))
    pool = Pool.gather(images, fingerprints, class_pixels, settings.near_duplicate_bits, SEED)
    try:
        empty_sides.check(pool, settings, assign(pool, settings), SEED)
    except UserError as error:
        return str(error)
    return ""


@settings(max_examples=200, deadline=None)
@given(st.integers(3, 10), st.integers(0, 10**6), st.sampled_from([(0.15, 0.15), (0.3, 0.0), (0.01, 0.5)]))
def test_balanced_leaves_no_split_empty_if_there_are_enough_groups(count, seed, shares):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 2, (count, 4)) * 100
    pixels[:, int(rng.integers(4))] += 1  # no class, not even background, is on all images
    images = [candidate(int(number)) for number in rng.integers(0, 10**9, count)]
    assert refusal(images, plan("balanced", *shares), pixels) == ""


@pytest.mark.parametrize("count", range(3, 11))
def test_the_remedy_for_an_empty_split_by_content_is_balanced(count):
    messages = {refusal([candidate(100 * seed + i) for i in range(count)], plan()) for seed in range(20)} - {""}
    assert messages
    for line in messages:
        assert line.endswith("; set split.method: balanced in params.yaml, then every split has an image")
        assert line.startswith(("no image is left for val", "no image is left for test", "no image is left for train"))


def test_one_image_cannot_fill_three_splits_and_two_can_fill_two():
    assert refusal([candidate(1)], plan()) == (
        "no image is left for val and test (1 image in 1 group); add images that do not belong to these groups"
    )
    assert refusal([candidate(1), candidate(2)], plan("balanced")).endswith(
        "(2 images in 2 groups); set split.test: 0 in params.yaml, then every split has an image"
    )
    assert refusal([candidate(1), candidate(2)], plan("balanced", test=0)) == ""


def test_a_split_without_a_share_may_be_empty():
    assert refusal([candidate(1)], plan(val=0, test=0)) == ""
    assert refusal([candidate(1, source_split="train")], plan("source", val=0)) == ""


def test_images_in_one_group_are_named_with_the_change_that_divides_them():
    copies = [candidate(number) for number in range(1, 5)]
    looks = [look(copies[0], bits) for bits in (0, 0xF, 0xF0, 0xF00)]
    assert refusal(copies, plan("balanced"), looks=looks) == (
        "no image is left for val and test (4 images in 1 group, 4 of them in the group of image1: equal, nearly "
        "equal, copies by their names, or of one scene); if these are not copies of each other, set "
        "split.near_duplicate_bits: 2 in params.yaml, then every split has an image"
    )
    drive = [candidate(i, scene="drive") for i in range(6)]
    assert refusal(drive, plan()).endswith(
        "; define smaller scenes, or none, set split.method: balanced in params.yaml, then every split has an image"
    )
    equal = [replace(candidate(1), key=f"equal{i}") for i in range(6)]
    assert refusal(equal, plan()).endswith("; add images that do not belong to these groups")


def test_too_many_folds_name_the_largest_possible_number():
    images = [candidate(i) for i in range(6)]
    assert refusal(images, plan("balanced", folds=6, fold=5)).endswith(
        "; set split.folds: 5 and split.fold: 4 in params.yaml, then every split has an image"
    )
    assert refusal(images, plan("balanced", folds=5, fold=4)) == ""


def test_pins_that_leave_a_split_empty_are_named():
    pinned = [candidate(i, pin=Pin(split="train")) for i in range(6)]
    assert refusal(pinned, plan("balanced")).endswith(
        "; remove rows from the table split.pins, then every split has an image"
    )


def test_train_with_only_images_without_objects_is_empty():
    images = [candidate(i, empty=i > 0) for i in range(3)]
    pixels = [[9, 9], [9, 0], [9, 0]]
    pins = [replace(image, pin=Pin(split=side)) for image, side in zip(images, ("test", "val", "train"), strict=True)]
    assert refusal(pins, plan("balanced"), pixels) == (
        "no image is left for train (3 images in 3 groups); remove rows from the table split.pins, "
        "then every split has an image"
    )
    assert refusal([replace(image, empty=True) for image in images], plan("balanced"), pixels) == (
        "no image is left for train (3 images in 3 groups); set split.empty_masks: keep in params.yaml, "
        "then every split has an image"
    )


def test_an_image_with_only_ignored_pixels_fills_no_split():
    images = [candidate(i, source_split=side) for i, side in enumerate(("train", "val"))]
    assert refusal(images, plan("source"), [[9, 9], [0, 0]]).startswith("no image is left for val")
    assert refusal(images, plan("source"), [[9, 9], [9, 0]]) == ""


def test_a_val_share_without_an_image_names_a_larger_share():
    images = [candidate(i, source_split="train") for i in (1, 2)]
    message = refusal(images, plan("source"))
    share = float(message.split("split.val: ")[1].split(" ")[0])
    assert message.endswith(f"; set split.val: {share} in params.yaml, then every split has an image")
    assert refusal(images, plan("source", val=share)) == ""
    scored = [candidate(1, source_split="train"), candidate(2, source_split="test")]
    assert refusal(scored, plan("source")).endswith("; set split.val: 0 in params.yaml, then every split has an image")
    assert refusal(scored, plan("source", val=0)) == ""
