from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import LedgerError
from segpipe.data import duplicates
from segpipe.data.records import Photo
from segpipe.data.split_table import Assignment
from segpipe.ledger.rows import Row
from segpipe.split import findings
from segpipe.split.findings import split_findings
from tests.data.test_duplicates import as_rows


def photo(key, sha256=""):
    return Photo(
        key=key, file=f"{key}.jpg", split=None, width=4, height=4, frame="viewed", orientation=1, undecidable=False,
        sha256=sha256 or key, background=False,
    )  # fmt: skip


def image(key, verdict="kept"):
    return Row(kind="image", id=key, image_key=key, place="", verdict=verdict)


def placed(key, split, group, reason=""):
    return Assignment(key=key, split=split, group=group, reason=reason)


@pytest.fixture
def one_look():
    """The fingerprint of a photo."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return duplicates.fingerprint(Image.fromarray(pixels))


NO_LOOK = bytes(duplicates.FINGERPRINT_BYTES)
SIDES = [
    placed("a", "train", "a"),
    placed("b", "val", "a"),
    placed("c", "", "c", "empty_mask"),
    placed("d", "test", "d"),
]
ROWS = [image("a"), image("b"), image("c"), image("d"), image("e", "dropped")]


def test_a_split_of_all_used_images_is_correct():
    findings.check_totals(SIDES, ROWS)


@pytest.mark.parametrize(
    ("sides", "problem"),
    [
        (SIDES[:-1], "4 images are used, 3 are in the split"),
        ([*SIDES, SIDES[0]], "4 images are used, 5 are in the split"),
        ([*SIDES[:3], placed("e", "test", "e")], "are used"),
        ([*SIDES[:3], placed("d", "", "d")], "without a reason: .'d'"),
    ],
)
def test_a_missing_or_repeated_image_is_a_ledger_error(sides, problem):
    with pytest.raises(LedgerError, match=problem):
        findings.check_totals(sides, ROWS)


def test_the_ledger_names_the_images_that_are_not_trained_on_and_their_split():
    sides = [*SIDES[:3], placed("d", "test", "d", "empty_mask")]
    rows = [*ROWS[:3], replace(ROWS[3], detail="found by its name"), ROWS[4]]
    assert [(row.reason, row.detail) for row in findings.with_reasons(rows, sides)] == [
        ("", ""),
        ("", ""),
        ("empty_mask", "left out of training"),
        ("empty_mask", "found by its name; in test"),
        ("", ""),
    ]


def test_near_duplicates_and_leaked_images_are_findings(one_look):
    looks = as_rows([one_look, one_look, NO_LOOK, one_look])
    findings = split_findings(SIDES, [photo(key) for key in "abcd"], looks, near_bits=0)
    assert [(f.id, f.code, f.twin, f.detail) for f in findings] == [
        ("b", "near_duplicate_photographs", "a", "nearly equal to a.jpg"),  # d is of another group
        ("b", "leaked_photographs", "a", "in val; same group as a.jpg"),
    ]


def test_a_near_duplicate_names_the_earliest_near_image(one_look):
    other = bytes([one_look[0] ^ 0xF]) + one_look[1:]  # 4 bits from it
    sides = [placed(key, "train", "a") for key in "abcde"]
    looks = as_rows([NO_LOOK, other, one_look, one_look, other])
    findings = split_findings(sides, [photo(key) for key in "abcde"], looks, near_bits=4)
    assert [(f.id, f.twin) for f in findings] == [("c", "b"), ("d", "b"), ("e", "b")]


def test_equal_files_are_not_near_duplicates(one_look):
    photos = [photo("a", "same"), photo("b", "same"), photo("c"), photo("d")]
    looks = as_rows([one_look, one_look, NO_LOOK, NO_LOOK])
    assert [f.code for f in split_findings(SIDES, photos, looks, near_bits=0)] == ["leaked_photographs"]
