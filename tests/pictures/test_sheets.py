import io

import numpy as np
import pytest

from segpipe.data.classes import ClassTable
from segpipe.evaluate.per_image import ImageScore, caption
from segpipe.pictures.sheets import Sample, contact_sheet, error_kinds, sheet

CLASSES = ClassTable(("background", "Käfer", "жук"))
#                  right  missed  invented  confused  ignored
TRUTH = np.array([[0, 1, 1, 0, 1, 255]], np.uint8)
PRED = np.array([[0, 1, 0, 2, 2, 1]], np.uint8)


def drawn(truth, pred, lines=("a", "b")):
    image = np.full((*truth.shape, 3), 200, np.uint8)
    return np.asarray(sheet(image, truth, pred, CLASSES, lines))


def holds(pixels, colour):
    return (pixels == colour).all(axis=-1).any()


def test_each_wrong_pixel_has_one_kind_of_error_and_ignored_pixels_have_no_error():
    kinds = error_kinds(TRUTH, PRED)
    assert {kind: np.flatnonzero(where[0]).tolist() for kind, where in kinds.items()} == {
        "missed": [2],
        "invented": [3],
        "confused": [4],
    }


def test_a_sheet_has_four_panels_and_shows_classes_in_palette_colours():
    truth = np.kron(TRUTH, np.ones((30, 20), np.uint8)).astype(np.uint8)  # 30 x 120, grows by 3 to 90 x 360
    pred = np.kron(PRED, np.ones((30, 20), np.uint8)).astype(np.uint8)
    pixels = drawn(truth, pred)
    assert pixels.shape[1] == 2 * 20 + 4 * 360 + 3 * 12
    for name, colour in (("Käfer", (128, 0, 0)), ("жук", (0, 128, 0)), ("missed", (213, 94, 0))):
        assert holds(pixels, colour), name


def test_a_perfect_prediction_has_no_error_colour():
    perfect = np.zeros((10, 10), np.uint8)
    pixels = drawn(perfect, perfect)
    for colour in ((213, 94, 0), (0, 114, 178), (240, 60, 180)):
        assert not holds(pixels, colour)


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 2000), (2000, 3), (441, 440)])
def test_images_of_any_size_fit_a_sheet(size_hw):
    assert drawn(np.zeros(size_hw, np.uint8), np.zeros(size_hw, np.uint8)).shape[1] <= 2000


def test_a_key_wider_than_the_sheet_is_shortened():
    small = np.zeros((4, 4), np.uint8)
    assert drawn(small, small, ("k" * 500, "")).shape == drawn(small, small, ("k", "")).shape


def test_an_image_with_only_ignored_pixels_has_a_sheet():
    drawn(np.full((5, 5), 255, np.uint8), np.zeros((5, 5), np.uint8))


def test_equal_images_make_equal_files():
    files = []
    for _ in range(2):
        buffer = io.BytesIO()
        image = np.full((*TRUTH.shape, 3), 200, np.uint8)
        sheet(image, TRUTH, PRED, CLASSES, ["a"]).save(buffer, "PNG")
        files.append(buffer.getvalue())
    assert files[0] == files[1]


def test_the_caption_names_the_key_the_place_the_scores_and_the_missed_classes():
    score = ImageScore(key="k", split="test", pixels=9, mean_iou=0.5, pixel_accuracy=0.75, missed=("cat", "dog"))
    assert caption(score, "worst 1 of 9") == [
        "k",
        "worst 1 of 9 · mean IoU 0.500 · pixel accuracy 0.750 · missed: cat, dog",
    ]


def test_a_contact_sheet_without_predictions_has_two_panels_for_each_image_and_four_images_in_a_row():
    image = np.full((50, 40, 3), 200, np.uint8)
    samples = [Sample(key=f"p{i}", image=image, truth=np.full((50, 40), i % 3, np.uint8)) for i in range(5)]
    pixels = np.asarray(contact_sheet(samples, CLASSES, ["Training images"]))
    assert pixels.shape[1] == 2 * 20 + 8 * 160 + 7 * 12  # 50 px grow by 4 to 200
    has_colour = [holds(pixels, colour) for colour in ((200, 200, 200), (128, 0, 0), (0, 128, 0), (213, 94, 0))]
    assert has_colour == [True, True, True, False]


def test_a_contact_sheet_with_predictions_shows_errors():
    image = np.full((1, 6, 3), 200, np.uint8)
    pixels = np.asarray(contact_sheet([Sample(key="p", image=image, truth=TRUTH, pred=PRED)] * 3, CLASSES, ["a"]))
    for colour in ((213, 94, 0), (0, 114, 178), (240, 60, 180)):
        assert holds(pixels, colour)
