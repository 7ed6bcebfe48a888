import numpy as np
import pytest

from segpipe.evaluate.per_image import ImageScore, detection, detection_scores, ranked, score_image, worst_median_best

NAMES = ("background", "cat", "dog", "bird")


def image(key, mean_iou, **more):
    return ImageScore(key=key, split="test", pixels=4, mean_iou=mean_iou, pixel_accuracy=mean_iou, **more)


def keys(rows):
    return [row.key for row in rows]


def test_an_image_is_scored_over_the_classes_in_its_truth_or_prediction():
    # truth: 6 background, 2 cat, 1 dog; predicted: 5 background, 2 cat, 2 bird
    matrix = np.array([[5, 0, 0, 1], [0, 2, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    score = score_image("a", "test", matrix, NAMES)
    assert score.iou == {"background": 5 / 6, "cat": 1.0, "dog": 0.0, "bird": 0.0}
    assert score.mean_iou == pytest.approx((5 / 6 + 1 + 0 + 0) / 4)
    assert score.pixel_accuracy == pytest.approx(7 / 9)
    assert (score.found, score.missed, score.invented) == (("background", "cat"), ("dog",), ("bird",))


def test_an_entirely_ignored_image_has_no_scores():
    score = score_image("a", "test", np.zeros((4, 4), int), NAMES)
    assert (score.pixels, score.mean_iou, score.pixel_accuracy, score.iou) == (0, None, None, {})
    assert ranked([score]) == []


def test_detection_counts_images_by_class():
    rows = [image("a", 0.5, found=("cat",), missed=("dog",)), image("b", 0.5, found=("cat",), invented=("dog",))]
    assert detection(rows) == {
        "cat": {"found": 2, "missed": 0, "invented": 0},
        "dog": {"found": 0, "missed": 1, "invented": 1},
    }


def test_image_recall_and_precision_are_left_out_where_they_would_be_zero_over_zero():
    rows = [
        image("a", 0.5, found=("cat",), missed=("dog",)),
        image("b", 0.5, found=("cat",), invented=("bird",)),
        image("c", 0.5, missed=("cat",)),
    ]
    assert detection_scores(rows) == {
        "image_recall": {"cat": 2 / 3, "dog": 0.0},
        "image_precision": {"bird": 0.0, "cat": 1.0},
    }


def test_the_worst_image_is_first_and_equal_ones_are_by_key():
    assert keys(ranked([image("c", 0.5), image("a", 0.9), image("b", 0.5), image("d", None)])) == ["b", "c", "a"]


def test_worst_median_and_best_images_are_chosen():
    rows = [image(str(n), n / 10) for n in range(9)]
    chosen = worst_median_best(rows, 2)
    assert {name: keys(rows) for name, rows in chosen.items()} == {
        "worst": ["0", "1"],
        "median": ["3", "4"],  # the first two in the middle of the rest, 2 3 4 5 6
        "best": ["8", "7"],
    }


@pytest.mark.parametrize(("images", "count"), [(0, 3), (1, 3), (2, 1), (5, 3), (7, 3), (30, 3), (4, 0)])
def test_no_image_is_chosen_twice(images, count):
    chosen = worst_median_best([image(f"{n:02}", n / 100) for n in range(images)], count)
    picked = [key for rows in chosen.values() for key in keys(rows)]
    assert len(picked) == len(set(picked)) == min(images, 3 * count)
