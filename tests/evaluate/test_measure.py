import numpy as np

from segpipe.evaluate.measure import measure


def test_a_split_is_counted_as_a_whole_not_averaged_over_images():
    big_right, small_wrong = np.zeros((3, 3), np.uint8), np.ones((1, 1), np.uint8)
    measured = measure(
        [
            ("a", "test", big_right, big_right),
            ("b", "test", small_wrong, np.zeros((1, 1), np.uint8)),
            ("c", "val", small_wrong, small_wrong),
        ],
        ["background", "cat"],
    )
    assert measured.matrices["test"].tolist() == [[9, 0], [1, 0]]
    assert measured.matrices["val"].tolist() == [[0, 0], [0, 1]]
    assert [(image.key, image.split, image.mean_iou) for image in measured.images] == [
        ("a", "test", 1.0),
        ("b", "test", 0.0),
        ("c", "val", 1.0),
    ]


def test_an_entirely_ignored_image_is_listed_and_adds_no_pixels():
    ignored = np.full((2, 2), 255, np.uint8)
    measured = measure([("a", "test", ignored, np.zeros((2, 2), np.uint8))], ["background", "cat"])
    assert measured.matrices["test"].sum() == 0
    assert measured.images[0].mean_iou is None
