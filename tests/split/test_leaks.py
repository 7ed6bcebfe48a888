import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core.errors import UserError
from segpipe.data.duplicates import FINGERPRINT_BYTES, close_pairs
from segpipe.data.split_table import Assignment
from segpipe.split import leaks
from tests.data.test_duplicates import as_rows, fingerprint_with
from tests.split.test_assign import candidate, look, pool_of


def split_leaks(images, sides, looks=None):
    pool = pool_of(images, looks=looks)
    rows = [Assignment(key=c.key, split=side, group="") for c, side in zip(images, sides, strict=True)]
    return leaks.find_leaks(pool, rows, 4), rows


def test_leaking_images_are_counted_by_kind_and_once_in_all():
    first = candidate(1, scene="a")
    images = [first, candidate(2, sha256=first.sha256), candidate(3), candidate(4, scene="a")]
    looks = [look(candidate(number)) for number in (1, 2, 1, 4, 5, 6)]
    images += [candidate(5), candidate(6)]
    leaking, rows = split_leaks(images, ["train", "val", "test", "test", "val", "train"], looks)
    assert leaks.counts(leaking, rows) == {
        "equal_images": 1,  # image2
        "near_duplicate_images": 1,  # image3; image2 looks different
        "copied_images": 0,
        "same_scene_images": 1,  # image4
        "pinned_apart_images": 0,
        "images": 3,
        "share": 0.75,  # of 4 in val and test
    }


SPLITS = st.sampled_from(["train", "val", "test", ""])


@given(st.lists(st.tuples(st.integers(0, 3), SPLITS), max_size=10))
def test_partners_are_those_of_all_pairs(images):
    names, splits = [name for name, _ in images], [split for _, split in images]
    expected = {}
    for i, (name, split) in enumerate(images):
        others = [j for j, other in enumerate(splits) if names[j] == name and other and other != split]
        if others and split in ("val", "test"):
            expected[i] = min(others, key=lambda j: (splits[j] != "train", j))
    assert leaks.partners(names, splits) == expected


near = st.sampled_from([bytes(FINGERPRINT_BYTES), *(fingerprint_with(number) for number in (0, 1, 3, 0xFF))])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(near, SPLITS), min_size=1, max_size=12))
def test_leaking_near_duplicates_are_those_of_all_pairs(drawn):
    images = [candidate(i, scene="one") for i in range(len(drawn))]
    looks, sides = zip(*drawn, strict=True)
    crossing = [
        (i, j)
        for part in close_pairs(as_rows(looks), 4)
        for i, j in part.tolist()
        if sides[i] != sides[j] and sides[i] and sides[j]
    ]
    leaking = next(leak for leak in split_leaks(images, sides, looks)[0] if leak.kind == "near_duplicate_images")
    assert leaking.images == {i for pair in crossing for i in pair if sides[i] != "train"}
    assert (set(leaking.first) if leaking.first else None) == (set(crossing[0]) if crossing else None)


def test_leaks_between_val_and_test_count_for_both_and_train_never_counts():
    leaking, rows = split_leaks([candidate(i, scene="a") for i in range(4)], ["val", "test", "train", "train"])
    assert leaks.counts(leaking, rows)["same_scene_images"] == 2


def test_an_image_that_is_left_out_neither_leaks_nor_hides_a_leak():
    images = [candidate(i, scene="a") for i in range(3)]
    leaking, rows = split_leaks(images, ["", "train", "test"])
    assert leaks.counts(leaking, rows)["same_scene_images"] == 1
    leaking, rows = split_leaks(images, ["", "test", "test"])
    assert leaks.counts(leaking, rows)["images"] == 0


def test_too_many_leaks_are_an_error_with_names_and_a_remedy():
    leaking, rows = split_leaks([candidate(i, scene="a") for i in range(3)], ["train", "train", "val"])
    leaks.check_limit(leaking, rows, 1.0)
    with pytest.raises(UserError) as error:
        leaks.check_limit(leaking, rows, 0.5)
    assert str(error.value) == (
        "100.0% of the images of val and test belong with images of another split: images of val and test of a scene "
        "with images in another split: 1 (first: image2 in val and image0 in train); set split.method: balanced, "
        "correct the pins, or raise split.max_leaks in params.yaml"
    )
