import hashlib
from dataclasses import replace

import numpy as np
import pytest

from segpipe.core.errors import UserError
from segpipe.data.near_hashes import ORIENTATIONS, PARTS
from segpipe.data.split_table import SIDES
from segpipe.split import assign, leaks
from segpipe.split.assign import Candidate, Pool
from segpipe.split.pins import Pin
from tests.data.test_duplicates import SYMMETRIC, as_rows

SHARES = {"val": 0.2, "test": 0.2}


def candidate(number: int, **changes) -> Candidate:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    fields = {
        "key": f"image{number}",
        "sha256": digest,
        "scene": "",
        "source_split": None,
        "empty": False,
    }
    return Candidate(**fields | changes)


def look(image: Candidate, flipped: int = 0) -> bytes:
    """A fingerprint that is typical of an image: all hashes are the start of its SHA-256, with these bits flipped."""
    return (int(image.sha256[:16], 16) ^ flipped).to_bytes(8) * (ORIENTATIONS + PARTS) + SYMMETRIC


def pool_of(candidates, seed=7, class_pixels=None, looks=None) -> Pool:
    """A pool of images; looks: their fingerprints, without which only equal files look the same."""
    pixels = np.full((len(candidates), 2), 100) if class_pixels is None else class_pixels
    return Pool.gather(candidates, as_rows(looks or map(look, candidates)), pixels, near_bits=4, seed=seed)


def by_content(candidates, **how):
    pool = pool_of(candidates, **how)
    return assign.to_rows(pool, assign.by_content(pool, **SHARES))


def by_balance(candidates, folds=0, fold=0, **how):
    pool = pool_of(candidates, **how)
    return assign.to_rows(pool, assign.by_balance(pool, **SHARES), folds, fold)


def by_source(candidates, roles, val=0.2):
    pool = pool_of(candidates)
    return assign.to_rows(pool, assign.by_source(pool, roles, val))


def sides(rows) -> dict[str, str]:
    return {row.key: row.split for row in rows}


def pins_of(rows) -> dict[str, Pin]:
    return {row.sha256: Pin(split=row.split, fold=row.fold) for row in rows if row.split}


def pinned(candidates, pins):
    return [replace(c, pin=pins.get(c.sha256)) for c in candidates]


def test_shares_are_close_to_the_settings():
    counts = np.unique([row.split for row in by_content([candidate(i) for i in range(2000)])], return_counts=True)
    shares = dict(zip(*(array.tolist() for array in counts), strict=True))
    assert abs(shares["test"] - 400) < 60  # over three standard deviations of 18
    assert abs(shares["val"] - 400) < 60


def test_new_images_move_no_other_image_and_order_does_not_matter():
    old = sides(by_content([candidate(i) for i in range(300)]))
    new = sides(by_content([candidate(i) for i in reversed(range(600))]))
    assert {key: new[key] for key in old} == old


def test_a_scene_with_new_images_keeps_its_split():
    images = [candidate(i, scene=f"drive{i % 30}") for i in range(600)]
    old = sides(by_content(images[:60]))
    assert {key: side for key, side in sides(by_content(images)).items() if key in old} == old


@pytest.mark.parametrize("method", [by_content, by_balance])
def test_the_seed_changes_the_split_and_order_and_names_do_not(method):
    images = [candidate(i) for i in range(100)]
    assert sides(method(images)) != sides(method(images, seed=8))
    assert sides(method(images[::-1])) == sides(method(images))
    renamed = [replace(image, key=f"z{99 - i:02}") for i, image in enumerate(images)]
    assert [row.split for row in method(renamed)] == [row.split for row in method(images)]


@pytest.mark.parametrize("method", [by_content, by_balance])
def test_equal_files_and_near_duplicates_get_one_split(method):
    images = [candidate(i) for i in range(200)]
    equal = [candidate(1000 + i, sha256=images[i].sha256) for i in range(100)]
    near = [candidate(2000 + i) for i in range(100)]
    others = [look(candidate(1000 + i)) for i in range(100)]  # the files are equal, the fingerprints are not
    looks = [*map(look, images), *others, *(look(image, 0b1011) for image in images[100:])]
    rows = method([*images, *equal, *near], looks=looks)
    side = sides(rows)
    assert all(side[f"image{i}"] == side[f"image{1000 + i}"] for i in range(100))
    assert all(side[f"image{100 + i}"] == side[f"image{2000 + i}"] for i in range(100))
    assert len({row.group for row in rows}) == 200
    assert set(side.values()) == {"train", "val", "test"}


@pytest.mark.parametrize("method", [by_content, by_balance])
def test_images_of_one_scene_get_one_split(method):
    rows = method([candidate(i, scene=f"drive{i // 10}") for i in range(400)])
    assert all(len({row.split for row in rows[i : i + 10]}) == 1 for i in range(0, 400, 10))
    assert {row.split for row in rows} == {"train", "val", "test"}


@pytest.mark.parametrize("method", [by_content, by_balance])
def test_an_image_without_objects_is_assigned_like_others_and_left_out_of_train_only(method):
    images = [candidate(i, empty=i % 2 == 0) for i in range(100)]
    pixels = np.array([[100, 0 if i % 2 == 0 else 10] for i in range(100)])
    rows, whole = (
        method(images, class_pixels=pixels),
        method([replace(i, empty=False) for i in images], class_pixels=pixels),
    )
    assert [row.split for row in rows] == [
        "" if image.empty and row.split == "train" else row.split for image, row in zip(images, whole, strict=True)
    ]
    assert [row.reason for row in rows] == ["empty_mask" if image.empty else "" for image in images]
    assert {row.split for row in rows[::2]} == {"", "val", "test"}


def test_an_image_without_objects_is_scored_in_its_fold_and_left_out_in_the_others():
    images = [candidate(i, empty=i < 10) for i in range(30)]
    pixels = np.array([[100, 0 if i < 10 else 10] for i in range(30)])
    for fold in range(3):
        rows = by_balance(images, folds=3, fold=fold, class_pixels=pixels)
        for row in rows[:10]:
            assert row.reason == "empty_mask"
            assert row.split == ("test" if not row.fold else "val" if row.fold == f"{fold}/3" else "")
    assert {row.fold for row in rows[:10]} >= {"0/3", "1/3", "2/3"}


def test_a_pinned_image_without_objects_keeps_its_split():
    images = [candidate(i, empty=i < 2) for i in range(10)]
    pins = {images[0].sha256: Pin(split="val"), images[1].sha256: Pin(split="train")}
    assert [row.split for row in by_content(pinned(images, pins))[:2]] == ["val", ""]


def test_balanced_splits_get_their_share_of_a_rare_class():
    pixels = np.array([[100, 50 if i < 5 else 0] for i in range(100)])
    rows = by_balance([candidate(i) for i in range(100)], class_pixels=pixels)
    assert sorted(row.split for row in rows[:5]) == ["test", "train", "train", "train", "val"]
    assert [[row.split for row in rows].count(side) for side in SIDES] == [60, 20, 20]


@pytest.mark.parametrize("method", [by_content, by_balance])
def test_pinned_images_keep_their_split(method):
    images = [candidate(i) for i in range(60)]
    pins = {image.sha256: Pin(split="test") for image in images[:30]}
    assert set(list(sides(method(pinned(images, pins))).values())[:30]) == {"test"}


def test_a_pin_takes_precedence_over_the_split_of_the_source():
    images = pinned([candidate(i, source_split="train") for i in range(5)], {candidate(3).sha256: Pin(split="test")})
    assert [row.split for row in by_source(images, {"train": "train"}, val=0)] == ["train"] * 3 + ["test", "train"]


@pytest.mark.parametrize("method", [by_content, by_balance])
def test_new_images_of_a_pinned_group_get_its_split(method):
    old = [candidate(i) for i in range(30)]
    pins = pins_of(method(old))
    copies = [candidate(100 + i) for i in range(30)]
    rows = method(pinned([*old, *copies], pins), looks=[*map(look, old)] * 2)
    assert [row.split for row in rows[30:]] == [row.split for row in rows[:30]]


def test_a_group_pinned_to_two_splits_keeps_both_and_is_a_leak():
    images = [candidate(1, scene="a"), candidate(2, scene="a"), candidate(3, scene="a"), candidate(4)]
    pins = {images[0].sha256: Pin(split="test"), images[1].sha256: Pin(split="train")}
    pool = pool_of(pinned(images, pins))
    rows = assign.to_rows(pool, assign.by_balance(pool, 0.2, 0.2))
    assert [row.split for row in rows[:3]] == ["test", "train", "train"]
    all_leaks = leaks.find_leaks(pool, rows, 4)
    assert leaks.counts(all_leaks, rows)["pinned_apart_images"] == 1
    assert leaks.lines(all_leaks, rows)[-1] == (
        "images of val and test of a group that pins divide between splits: 1 "
        "(first: image1 in test and image2 in train)"
    )


def test_adding_800_images_to_8000_pinned_ones_moves_none_and_balances_the_new_ones():
    rng = np.random.default_rng(0)
    pixels = np.where(rng.random((8800, 5)) < [1, 0.5, 0.2, 0.05, 0.02], rng.integers(1, 9000, (8800, 5)), 0)
    scene = rng.integers(0, 4000, 8800)
    images = [candidate(i, scene=f"s{scene[i]}") for i in range(8800)]
    old = by_balance(images[:8000], class_pixels=pixels[:8000])
    rows = by_balance(pinned(images, pins_of(old)), class_pixels=pixels)
    assert [row.split for row in rows[:8000]] == [row.split for row in old]
    in_test = np.array([row.split == "test" for row in rows])
    for of_images in (pixels, pixels > 0):
        assert abs(of_images[in_test].sum(axis=0) / of_images.sum(axis=0) - 0.2).max() < 0.02
    again = by_balance(pinned(images[4000:], pins_of(rows)), class_pixels=pixels[4000:])
    assert sides(again) == {row.key: row.split for row in rows[4000:]}  # removing images moves none


def test_folds_divide_the_images_outside_test_into_equal_parts():
    images = [candidate(i, scene=f"s{i // 2}") for i in range(200)]
    whole = by_balance(images)
    runs = [by_balance(images, folds=4, fold=fold) for fold in range(4)]
    test = [row.key for row in whole if row.split == "test"]
    for fold, rows in enumerate(runs):
        assert [row.key for row in rows if row.split == "test"] == test
        assert [row.fold for row in rows] == [row.fold for row in runs[0]]
        assert all(row.split == ("val" if row.fold == f"{fold}/4" else "train") for row in rows if row.fold)
        assert sum(row.split == "val" for row in rows) == 40
        assert len({(row.group, row.fold) for row in rows}) == 100


def test_pinned_folds_do_not_change_when_images_are_added():
    images = [candidate(i) for i in range(200)]
    old = by_balance(images[:150], folds=5)
    rows = by_balance(pinned(images, pins_of(old)), folds=5, fold=3)
    assert [row.fold for row in rows[:150]] == [row.fold for row in old]
    counts = [sum(row.fold == f"{fold}/5" for row in rows) for fold in range(5)]
    assert counts == [32] * 5


def test_the_split_of_the_source_is_used():
    images = [candidate(i, source_split="train" if i < 50 else "val") for i in range(60)]
    rows = by_source(images, {"train": "train", "val": "val"})
    assert [row.split for row in rows] == ["train"] * 50 + ["val"] * 10


def test_val_comes_from_train_if_the_source_has_no_val():
    images = [candidate(i, source_split="train" if i < 200 else "val") for i in range(250)]
    side = [row.split for row in by_source(images, {"train": "train", "val": "test"})]
    assert side[200:] == ["test"] * 50
    assert 20 < side.count("val") < 60
    assert "test" not in side[:200]


def test_an_image_whose_split_has_no_role_is_an_error_with_a_remedy():
    with pytest.raises(
        UserError, match=r"image1: has no split in the source; set split.method: content in params.yaml"
    ):
        by_source([candidate(1)], {"train": "train"})
    problem = "image2: split.source_roles has no role for its split dev; add one, or set split.method: content"
    with pytest.raises(UserError, match=problem):
        by_source([candidate(2, source_split="dev")], {"train": "train"})


@pytest.mark.parametrize("method", [by_content, by_balance])
def test_copies_by_name_get_one_split_and_new_copies_do_not_change_it(method):
    images = [candidate(i, copy_of=f"a{i % 40}") for i in range(200)]
    rows = method(images)
    side = sides(rows)
    assert all(side[f"image{i}"] == side[f"image{i % 40}"] for i in range(200))
    assert {row.split for row in rows} == {"train", "val", "test"}
    if method is by_content:
        assert sides(method(images[:80])).items() <= side.items()


def test_copies_by_name_in_different_splits_of_the_source_are_leaks():
    images = [candidate(i, copy_of=f"a{i % 2}", source_split="train" if i < 3 else "val") for i in range(4)]
    rows = by_source(images, {"train": "train", "val": "val"})
    all_leaks = leaks.find_leaks(pool_of(images), rows, 4)
    assert leaks.counts(all_leaks, rows)["copied_images"] == 1
    assert leaks.lines(all_leaks, rows) == [
        "images of val and test that are, by their file names, copies of an image with a copy in another split: 1 "
        "(first: image3 in val and image1 in train)"
    ]
