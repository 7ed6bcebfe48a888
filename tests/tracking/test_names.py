import pytest

from segpipe.tracking.names import flat_metrics, flat_params, slug, slugs


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


def test_class_names_without_a_slug_of_their_own_are_called_by_their_index():
    assert slugs(["background", "车", "Car!", "car"]) == {
        "background": "background",
        "车": "class_1",
        "Car!": "car",
        "car": "car_3",
    }


def test_slugs_stay_apart_even_if_a_class_is_named_like_anothers_replacement():
    given = slugs(["a", "a_2", "a!"])
    assert given == {"a": "a", "a_2": "a_2", "a!": "a_2_2"}


def test_nested_scores_become_flat_numbers_with_class_slugs():
    scores = {"val": {"miou": 0.5, "iou": {"Traffic Light": 0.25, "car": 1}}, "train/loss": 2.0}
    assert flat_metrics(scores, slugs(["Traffic Light", "car"])) == {
        "val/miou": 0.5,
        "val/iou/traffic_light": 0.25,
        "val/iou/car": 1.0,
        "train/loss": 2.0,
    }


def test_what_is_no_number_is_no_metric():
    assert flat_metrics({"device": "cpu", "resumed": True, "empty": {}, "list": [1], "none": None}, {}) == {}


def test_params_become_flat_text_and_long_ones_are_cut():
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


def test_param_names_hold_only_what_mlflow_allows():
    assert flat_params({"map": {"a:b?": 1}}) == {"map.a_b_": "1"}
