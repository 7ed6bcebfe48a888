import re

import numpy as np

from segpipe.data.classes import ClassTable
from segpipe.evaluate import scores
from segpipe.evaluate.per_image import score_image
from segpipe.report.model_report import ModelReport, html
from segpipe.report.samples import SampleSheet

CLASSES = ClassTable(("background", "<b>cat</b>", "dog"))
MATRIX = np.array([[60, 20, 0], [10, 10, 0], [0, 0, 0]])  # IoU 60/90 and 10/40


IMAGE = score_image("küche/<1>", "test", MATRIX, CLASSES.names)
SHEETS = {"worst": [SampleSheet("worst-1.png", IMAGE)], "median": [], "best": []}


def report(split="test"):
    return ModelReport(
        split=split,
        scores={split: scores.summary(MATRIX, CLASSES.names), "other": scores.summary(MATRIX, CLASSES.names)},
        matrix=MATRIX,
        classes=CLASSES,
        images=[IMAGE],
        split_sizes={"train": 7, "other": 2, split: 1},
        facts={"encoder": "lite0"},
    )


def test_the_page_shows_the_scores():
    page = html(report(), SHEETS)
    assert f"<b>{(60 / 90 + 10 / 40) / 2:.3f}</b><span>mIoU over the 2 classes present" in page
    assert f"<b>{70 / 100:.3f}</b><span>pixel accuracy" in page
    assert "background predicted as &lt;b&gt;cat&lt;/b&gt;: 25.00 %, 20 pixels" in page  # of 80 true pixels
    assert re.search(r"dog</td><td[^>]*>absent from truth and prediction: no score", page)


def test_names_are_text_and_never_markup():
    page = html(report(), SHEETS)
    assert "<b>cat</b>" not in page
    assert "&lt;b&gt;cat&lt;/b&gt;" in page
    assert "küche/&lt;1&gt;" in page


def test_the_page_refers_only_to_the_sheets():
    page = html(report(), SHEETS)
    assert "http" not in page
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == {"samples/worst-1.png"}


def test_groups_without_a_sheet_are_left_out():
    page = html(report(), SHEETS)
    assert "Worst images" in page
    assert "Median images" not in page


def test_equal_results_make_equal_pages():
    assert html(report(), SHEETS) == html(report(), SHEETS)


def test_scores_on_val_have_a_warning():
    assert "chose the best epoch" in html(report(split="val"), SHEETS)
    assert "chose the best epoch" not in html(report(), SHEETS)


def test_a_split_with_only_ignored_pixels_has_a_page():
    page = html(
        ModelReport(
            split="test",
            scores={"test": scores.summary(np.zeros((3, 3), int), CLASSES.names)},
            matrix=np.zeros((3, 3), int),
            classes=CLASSES,
            images=[score_image("a", "test", np.zeros((3, 3), int), CLASSES.names)],
            split_sizes={"test": 1},
            facts={},
        ),
        {},
    )
    assert "<title>Segmentation report: mIoU \u2013 on test</title>" in page
