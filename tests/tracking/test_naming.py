import re

import pytest

from segpipe.tracking.naming import flat_metrics, flat_params, slug, slugs, tag_name
from tests.tracking.hard_names import HARD


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("car", "car"),
        ("Traffic Light", "traffic_light"),
        ("Grünfläche/Weg", "grunflache_weg"),
        ("T-Shirt 2.0", "t-shirt_2.0"),
    ],
)
def test_a_slug_is_plain_lower_case_ascii(text, expected):
    assert slug(text) == expected


def test_class_names_without_a_slug_get_their_index():
    assert slugs(["background", "车", "Car!", "car"]) == {
        "background": "background",
        "车": "class_1",
        "Car!": "car_2",
        "car": "car",
    }


def test_slugs_differ_even_if_a_class_is_named_like_the_replacement_of_another():
    slug_of = slugs(["a", "a_2", "a!"])
    assert slug_of == {"a": "a", "a_2": "a_2", "a!": "a_2_2"}


def test_a_class_never_gets_the_name_of_a_split_or_score():
    scores = {"test": {"iou": {"Test": 0.5, "test": 0.25, "IoU": 0.75}}}
    assert flat_metrics(scores, slugs(["Test", "test", "IoU", "iou"])) == {
        "test/iou/test_0": 0.5,
        "test/iou/test": 0.25,
        "test/iou/iou_2": 0.75,
    }


def test_hard_class_names_get_different_slugs_that_fit_into_a_metric_name():
    slug_of = slugs(HARD)
    assert len(set(slug_of.values())) == len(HARD)
    assert max(map(len, slug_of.values())) == 200
    assert {slug(text) for text in slug_of.values()} == set(slug_of.values())


def test_nested_scores_become_flat_numbers_with_class_slugs():
    scores = {"val": {"miou": 0.5, "iou": {"Traffic Light": 0.25, "car": 1}}, "train/loss": 2.0}
    assert flat_metrics(scores, slugs(["Traffic Light", "car"])) == {
        "val/miou": 0.5,
        "val/iou/traffic_light": 0.25,
        "val/iou/car": 1.0,
        "train/loss": 2.0,
    }


def test_text_booleans_and_lists_are_not_metrics():
    assert flat_metrics({"device": "cpu", "resumed": True, "empty": {}, "list": [1], "none": None}, {}) == {}


def test_params_become_flat_text_and_long_values_are_cut():
    params = {
        "train": {"lr": 0.001, "amp": True, "crop": None, "size": [160, 160]},
        "ingest": {"source": "x" * 600},
        "m": {},
    }
    flat = flat_params(params)
    assert flat["train.lr"] == "0.001"
    assert flat["train.amp"] == "true"
    assert flat["train.crop"] == "null"
    assert flat["train.size"] == "[160, 160]"
    assert flat["ingest.source"] == "x" * 497 + "..."
    assert flat["m"] == "{}"


def test_keys_become_slugs_and_a_hash_is_added_where_two_would_be_equal():
    assert flat_params({"map": {"a:b?": 1}}) == {"map.a_b": "1"}
    flat = flat_params({"map": {"Car": 1, "car": 2, "CAR": 3}})
    assert flat["map.car"] == "2"  # this key equals its slug, so it stays
    assert all(re.fullmatch(r"map\.car(_[0-9a-f]{8})?", name) for name in flat)
    assert flat == flat_params({"map": {"CAR": 3, "car": 2, "Car": 1}})


def test_each_hard_key_becomes_a_param_name_that_every_tracker_accepts():
    flat = flat_params({"map": {key: str(number) for number, key in enumerate(HARD)}})
    assert sorted(flat.values()) == sorted(str(number) for number in range(len(HARD)))
    assert all(re.fullmatch(r"map\.[a-z0-9.\-_]{1,246}", name) for name in flat)


def test_equal_names_of_different_depth_are_different_params():
    assert len(flat_params({"a": {"b": 1}, "a.b": 2})) == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [("dvc.data/photos", "dvc.data/photos"), ("dvc.../fotos (1)//", "dvc/fotos_1/_/_"), ("dvc.C:\\a", "dvc.c_a")],
)
def test_a_path_becomes_the_name_of_a_tag(path, expected):
    assert tag_name(path) == expected
    assert len(tag_name(path + "/x" * 200)) == 250
