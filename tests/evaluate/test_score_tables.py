import numpy as np

from segpipe.evaluate import score_tables
from segpipe.evaluate.per_image import ImageScore

NAMES = ("background", 'traffic "light", red', "Straße")
MATRIX = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])


def test_confusion_matrices_can_be_read_back(tmp_path):
    matrices = {"val": MATRIX, "test": MATRIX.T}
    score_tables.write_confusion(tmp_path / "confusion.csv", matrices, NAMES)
    read = score_tables.read_confusion(tmp_path / "confusion.csv", NAMES)
    assert list(read) == ["val", "test"]
    for split, matrix in matrices.items():
        np.testing.assert_array_equal(read[split], matrix)


def test_each_row_has_a_target_a_prediction_and_pixels(tmp_path):
    score_tables.write_confusion(
        tmp_path / "confusion.csv", {"test": np.array([[6, 2], [1, 3]])}, ["background", "cat"]
    )
    assert (tmp_path / "confusion.csv").read_bytes().decode().split("\n") == [
        "split,target,pred,pixels",
        "test,background,background,6",
        "test,background,cat,2",
        "test,cat,background,1",
        "test,cat,cat,3",
        "",
    ]


def test_scores_of_images_can_be_read_back(tmp_path):
    images = [
        ImageScore(
            key="001",
            split="test",
            pixels=10,
            mean_iou=0.25,
            pixel_accuracy=0.5,
            iou={"background": 0.5, "Straße": 0.0},
            found=("background",),
            missed=("Straße",),
        ),
        ImageScore(key="NA", split="val", pixels=0, mean_iou=None, pixel_accuracy=None, invented=NAMES),
    ]
    score_tables.write_per_image(tmp_path / "per_image.csv", images, NAMES)
    assert score_tables.read_per_image(tmp_path / "per_image.csv") == images


def test_the_class_plot_has_no_absent_class(tmp_path):
    score_tables.write_class_plot(tmp_path / "iou.csv", np.array([[6, 2, 0], [2, 6, 0], [0, 0, 0]]), ["a", "b", "c"])
    # IoU 6 / 10, Dice 12 / 16
    assert (tmp_path / "iou.csv").read_text() == "class,iou,dice\na,0.600000,0.750000\nb,0.600000,0.750000\n"


def test_the_confusion_plot_has_shares_of_the_truth_and_no_absent_class(tmp_path):
    score_tables.write_confusion_plot(tmp_path / "c.csv", np.array([[6, 2, 0], [0, 0, 0], [0, 0, 0]]), ["a", "b", "c"])
    assert (tmp_path / "c.csv").read_text() == "target,pred,share,pixels\na,a,0.750000,6\na,b,0.250000,2\n"
