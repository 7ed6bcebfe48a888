from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core.errors import UserError
from segpipe.data.duplicates import ORIENTATIONS, PARTS
from segpipe.data.split_table import SIDES
from segpipe.split import assign, empty_sides
from segpipe.split.assign import Plan, Pool
from segpipe.split.pins import Pin
from tests.data.test_duplicates import ROSETTE
from tests.split.test_assign import candidate

ROLES = {side: side for side in SIDES}
BITS, SEED = 8, 7


def plan(method="content", val=0.15, test=0.15, **fields):
    return Plan(method=method, val=val, test=test, source_roles=ROLES, **fields)


def refusal(images, settings, pixels=None) -> str:
    """What `split` says, "" if every side has an image."""
    class_pixels = np.full((len(images), 2), 9) if pixels is None else np.array(pixels)
    pool = Pool.gather(images, class_pixels, BITS, SEED)
    try:
        empty_sides.refuse(pool, settings, assign.place(pool, settings), BITS, SEED)
    except UserError as error:
        return str(error)
    return ""


def near(image, bits):
    """Another image, whose hash differs from that of `image` in these bits."""
    changed = f"{int(image.phash[:16], 16) ^ bits:016x}"
    return candidate(1000 + bits, phash=changed * (ORIENTATIONS + PARTS) + ROSETTE)


@settings(max_examples=200, deadline=None)
@given(st.integers(3, 10), st.integers(0, 10**6), st.sampled_from([(0.15, 0.15), (0.3, 0.0), (0.01, 0.5)]))
def test_balanced_leaves_no_side_empty_where_there_are_groups_enough(count, seed, shares):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 2, (count, 4)) * 100
    pixels[:, int(rng.integers(4))] += 1  # no class, not even background, need be on all images
    images = [candidate(int(number)) for number in rng.integers(0, 10**9, count)]
    assert refusal(images, plan("balanced", *shares), pixels) == ""


@pytest.mark.parametrize("count", range(3, 11))
def test_content_that_leaves_a_side_empty_names_balanced(count):
    said = {refusal([candidate(100 * seed + i) for i in range(count)], plan()) for seed in range(20)} - {""}
    assert said
    for line in said:
        assert line.endswith("; set split.method: balanced in params.yaml, then every side has an image")
        assert line.startswith(("no image is left for val", "no image is left for test", "no image is left for train"))


def test_one_image_cannot_be_on_three_sides_and_two_can_be_on_two():
    assert refusal([candidate(1)], plan()) == (
        "no image is left for val and test (1 image in 1 group); add images that belong to none of these groups"
    )
    assert refusal([candidate(1), candidate(2)], plan("balanced")).endswith(
        "(2 images in 2 groups); set split.test: 0 in params.yaml, then every side has an image"
    )
    assert refusal([candidate(1), candidate(2)], plan("balanced", test=0)) == ""


def test_what_is_not_asked_for_may_be_empty():
    assert refusal([candidate(1)], plan(val=0, test=0)) == ""
    assert refusal([candidate(1, source_split="train")], plan("source", val=0)) == ""


def test_images_that_are_one_group_say_so_and_what_parts_them():
    copies = [candidate(1), *(near(candidate(1), bits) for bits in (0xF, 0xF0, 0xF00))]
    assert refusal(copies, plan("balanced")) == (
        "no image is left for val and test (4 images in 1 group, 4 of them with image1: equal, nearly equal, copies by "
        "their names, or of one scene); if these are no copies of each other, set split.near_duplicate_bits: 2 in "
        "params.yaml, then every side has an image"
    )
    drive = [candidate(i, scene="drive") for i in range(6)]
    assert refusal(drive, plan()).endswith(
        "; name smaller scenes, or none, set split.method: balanced in params.yaml, then every side has an image"
    )
    twins = [replace(candidate(1), key=f"twin{i}") for i in range(6)]
    assert refusal(twins, plan()).endswith("; add images that belong to none of these groups")


def test_too_many_folds_name_how_many_there_can_be():
    images = [candidate(i) for i in range(6)]
    assert refusal(images, plan("balanced", folds=6, fold=5)).endswith(
        "; set split.folds: 5 and split.fold: 4 in params.yaml, then every side has an image"
    )
    assert refusal(images, plan("balanced", folds=5, fold=4)) == ""


def test_pins_that_leave_no_image_for_a_side_are_named():
    pinned = [candidate(i, pin=Pin(split="train")) for i in range(6)]
    assert refusal(pinned, plan("balanced")).endswith(
        "; take lines out of the table that split.pins names, then every side has an image"
    )


def test_a_side_of_empty_masks_alone_does_not_train():
    images = [candidate(i, empty=i > 0) for i in range(3)]
    pixels = [[9, 9], [9, 0], [9, 0]]
    pins = [replace(image, pin=Pin(split=side)) for image, side in zip(images, ("test", "val", "train"), strict=True)]
    assert refusal(pins, plan("balanced"), pixels) == (
        "no image is left for train (3 images in 3 groups); take lines out of the table that split.pins names, "
        "then every side has an image"
    )
    assert refusal([replace(image, empty=True) for image in images], plan("balanced"), pixels) == (
        "no image is left for train (3 images in 3 groups); set split.empty_masks: keep in params.yaml, "
        "then every side has an image"
    )


def test_an_image_whose_pixels_are_all_ignored_fills_no_side():
    images = [candidate(i, source_split=side) for i, side in enumerate(("train", "val"))]
    assert refusal(images, plan("source"), [[9, 9], [0, 0]]).startswith("no image is left for val")
    assert refusal(images, plan("source"), [[9, 9], [9, 0]]) == ""


def test_a_val_that_cannot_be_cut_from_the_sources_train_names_a_share_that_can():
    images = [candidate(i, source_split="train") for i in (1, 2)]
    said = refusal(images, plan("source"))
    share = float(said.split("split.val: ")[1].split(" ")[0])
    assert said.endswith(f"; set split.val: {share} in params.yaml, then every side has an image")
    assert refusal(images, plan("source", val=share)) == ""
    scored = [candidate(1, source_split="train"), candidate(2, source_split="test")]
    assert refusal(scored, plan("source")).endswith("; set split.val: 0 in params.yaml, then every side has an image")
    assert refusal(scored, plan("source", val=0)) == ""
