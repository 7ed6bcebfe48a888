import hashlib

import numpy as np
import pytest

from segpipe.dataset import splits
from segpipe.dataset.looks import PARTS, TURNED
from segpipe.dataset.splits import Candidate
from segpipe.errors import UserError


def candidate(number: int, **fields) -> Candidate:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    own = {
        "key": f"image{number}",
        "sha256": digest,
        "phash": digest[:16] * (TURNED + PARTS),
        "scene": "",
        "source_split": None,
        "empty": False,
    }
    return Candidate(**own | fields)


def placed(candidates, seed=7, keep_empty=False):
    return splits.by_content(candidates, seed, 0.2, 0.2, 4, keep_empty)


def sides(rows):
    return {row.key: row.split for row in rows}


def test_shares_are_about_what_was_asked_for():
    counts = np.unique([row.split for row in placed([candidate(i) for i in range(2000)])], return_counts=True)
    shares = dict(zip(*(array.tolist() for array in counts), strict=True))
    assert abs(shares["test"] - 400) < 60  # over three standard deviations of 18
    assert abs(shares["val"] - 400) < 60


def test_adding_images_moves_no_old_one_and_order_does_not_matter():
    old = sides(placed([candidate(i) for i in range(300)]))
    new = sides(placed([candidate(i) for i in reversed(range(600))]))
    assert {key: new[key] for key in old} == old


def test_another_seed_is_another_split():
    images = [candidate(i) for i in range(100)]
    assert sides(placed(images)) != sides(placed(images, seed=8))


def test_equal_files_and_near_duplicates_share_a_side():
    images = [candidate(i) for i in range(200)]
    equal = [candidate(1000 + i, sha256=images[i].sha256) for i in range(100)]
    flipped = [f"{int(image.phash[:16], 16) ^ 0b1011:016x}" * (TURNED + PARTS) for image in images[100:]]  # 3 bits
    near = [candidate(2000 + i, phash=phash) for i, phash in enumerate(flipped)]
    everything = [*images, *equal, *near]
    rows = placed(everything)
    side = sides(rows)
    assert all(side[f"image{i}"] == side[f"image{1000 + i}"] for i in range(100))
    assert all(side[f"image{100 + i}"] == side[f"image{2000 + i}"] for i in range(100))
    assert splits.leaks(everything, rows, 4) == {
        "equal_images": 0,
        "same_scene_images": 0,
        "near_duplicate_images": 0,
    }
    assert len({row.group for row in rows}) == 200


def test_images_of_one_scene_share_a_side_and_leaks_of_scenes_are_counted():
    images = [candidate(i, scene=f"drive{i // 20}") for i in range(200)]
    rows = placed(images)
    assert all(len({row.split for row in rows[i : i + 20]}) == 1 for i in range(0, 200, 20))
    assert len({row.split for row in rows}) > 1
    torn = [splits.Placed(key=c.key, split="train" if i else "test", group="") for i, c in enumerate(images)]
    assert splits.leaks(images, torn, 4)["same_scene_images"] == 1


def test_a_scene_is_what_the_pattern_finds_in_the_file_name():
    files = ["drive_07/a.jpg", "drive_07/b.jpg", "extra/c.jpg"]
    assert splits.scenes(files, r"drive_(\d+)") == ["07", "07", ""]
    assert splits.scenes(files, r"drive_\d+") == ["drive_07", "drive_07", ""]
    assert splits.scenes(files, "") == ["", "", ""]
    with pytest.raises(UserError, match="is no regular expression"):
        splits.scenes(files, "(")
    with pytest.raises(UserError, match="finds nothing in any file name"):
        splits.scenes(files, "patient")


def test_empty_masks_are_left_out_or_kept():
    images = [candidate(1), candidate(2, empty=True)]
    assert [(row.split != "", row.reason) for row in placed(images)] == [(True, ""), (False, "empty_mask")]
    assert all(row.split for row in placed(images, keep_empty=True))


def test_the_sources_own_split_is_taken_and_its_leaks_are_counted():
    images = [candidate(i, source_split="train" if i < 50 else "val") for i in range(60)]
    images.append(candidate(99, source_split="val", sha256=images[0].sha256, phash=images[0].phash))
    rows = splits.by_source(images, {"train": "train", "val": "val"}, 7, 0.2, 4, keep_empty=False)
    assert [row.split for row in rows] == ["train"] * 50 + ["val"] * 11
    assert splits.leaks(images, rows, 4) == {
        "equal_images": 1,
        "same_scene_images": 0,
        "near_duplicate_images": 1,
    }


def test_val_is_carved_out_of_train_where_the_source_has_none():
    images = [candidate(i, source_split="train" if i < 200 else "val") for i in range(250)]
    rows = splits.by_source(images, {"train": "train", "val": "test"}, 7, 0.2, 4, keep_empty=False)
    side = [row.split for row in rows]
    assert side[200:] == ["test"] * 50
    assert 20 < side.count("val") < 60
    assert "test" not in side[:200]


def test_an_image_without_a_role_is_an_error_that_says_what_to_do():
    with pytest.raises(UserError, match=r"image1: its split in the source is not given.*split\.source_roles"):
        splits.by_source([candidate(1)], {"train": "train"}, 7, 0.2, 4, keep_empty=False)


def test_summary_counts_images_pixels_and_how_far_shares_are_off():
    rows = [splits.Placed(key=k, split=s, group=k) for k, s in (("a", "train"), ("b", "test"), ("c", ""))]
    facts = splits.summary(rows, np.array([[6, 2], [4, 4], [9, 0]]), ["background", "cat"])
    assert facts["images"] == {"train": 1, "val": 0, "test": 1}
    assert facts["class_pixels"]["test"] == {"background": 4, "cat": 4}
    assert facts["class_images"]["train"] == {"background": 1, "cat": 1}
    assert facts["share_off"] == 0.125  # cat: 6 of 16 pixels in all, 2 of 8 in train, 4 of 8 in test


def test_warnings_name_what_is_missing():
    rows = [splits.Placed(key=k, split=s, group="g") for k, s in (("a", "train"), ("b", "test"))]
    lines = splits.warnings(rows, np.array([[6, 2], [4, 0]]), ["background", "cat"])
    assert lines[0] == "no image is left for val"
    assert lines[1] == "class cat has no pixel in test"
    assert lines[2].startswith("2 of 2 images are one group")
