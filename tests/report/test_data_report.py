import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from segpipe.core.errors import LedgerError
from segpipe.ledger.rows import SKIPPED, one_shard
from segpipe.ledger.totals import Totals
from segpipe.report import data_report
from segpipe.report.data_report import html
from tests.data.sources import SELECTED, dataset, report

VOID = {"meta", "img", "br"}


class Text(HTMLParser):
    """The visible words of a page, and the links, sources and ids of its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []  # each tag is closed

    def handle_starttag(self, tag, attrs):
        self.open += [] if tag in VOID else [tag]
        self.targets += [value for name, value in attrs if name in ("src", "href")]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.words += data.split()

    @property
    def visible(self) -> str:
        return " ".join(self.words)


@pytest.fixture
def page(tmp_path):
    return html(report(tmp_path))


def test_the_sums_on_the_page_are_those_of_the_ledger(tmp_path, page):
    text = Text(page).visible
    assert "6 images in the source 3 kept used 1 skipped without a usable annotation 2 dropped cannot be used" in text
    terms = [
        "11 annotations in the source", "4 kept drawn unchanged", "1 repaired drawn despite a defect, see below",
        "1 clipped cut at the border", "0 hidden completely covered by others",
        "1 ignored neither trained on nor scored", "3 dropped cannot be used",
        "1 discarded left out by your settings",
    ]  # fmt: skip
    assert " ".join(terms) in text
    counts = Totals.of([one_shard(report(tmp_path).rows)]).summary()
    for kind in ("images", "annotations"):
        assert sum(counts[kind]["verdicts"].values()) == counts[kind]["in"]
    assert counts["annotations"]["verdicts"] == {
        "kept": 4, "repaired": 1, "clipped": 1, "ignored": 1, "dropped": 3, "discarded": 1,
    }  # fmt: skip


def test_each_policy_has_its_annotations_and_pixels(page):
    policies = Text(page).visible.partition("left out validate.crowd ")[2]
    assert policies.startswith("ignore, object or drop 1 annotation, 16 px An annotation counts")  # of SQUARE


def test_the_page_names_the_limits_and_the_exceeded_limit(page):
    text = Text(page).visible
    stopped = "3 of 11 annotations (27.3 %) exceed the limit of 10 % set by validate.limits.dropped_annotations"
    assert f"The pipeline stops here: {stopped}" in text
    assert "dropped_images 50 % (33.3 % of the images found), dropped_annotations 10 % (27.3 % of the anno" in text


def test_the_class_table_has_every_category(page):
    text = Text(page).visible
    # cat: 9 annotations, 5 of them objects on 3 images (not a crowd, a broken record, one on a broken photo):
    # 3 squares of 16 pixels, 8 pixels inside the border, and the bow-tie
    assert re.search(r"cat 1 8 5 3 \d+ ", text)
    assert re.search(r"dog 2 1 1 1 16 2.67 % 16 px", text)  # of 3 images of 20 x 10
    assert "owl 1 1 not selected" in text
    assert "<b>bat</b> 0 0 declared, never annotated" in text


def test_image_sizes_are_those_after_the_exif_rotation(page):
    text = Text(page).visible
    assert "20 x 10 2 10 x 20 1" in text  # one is turned
    assert "Rotated by its EXIF tag" in text


def test_classes_that_occur_together(page):
    assert "cat dog cat 3 1 dog 1 1" in Text(page).visible


def test_every_reason_has_an_explanation_and_its_cases(page):
    text = Text(page).visible
    for row in ("bad_record", "image_lost", "unknown_image", "self_crossing", "past_border", "crowd", "missing_file"):
        assert row in text
    assert "a.json: annotations[10] image_id 7 is not among the images" in text
    assert "In params.yaml validate.crowd ignore, object or drop" in text


def test_the_page_is_one_file_and_its_links_have_targets(page):
    text = Text(page)
    assert "http" not in page
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert all(target.startswith(("data:image/jpeg;base64,", "#")) for target in text.targets)
    assert {target[1:] for target in text.targets if target.startswith("#")} <= set(text.ids)
    assert len(set(text.ids)) == len(text.ids)


def test_names_are_text_and_never_markup(page):
    assert "<script>alert" not in page
    assert "<script>alert(1)</script>" in Text(page).visible
    assert "<b>bat</b>" not in page


def test_the_page_does_not_contain_the_path_of_the_source(tmp_path, page):
    assert str(tmp_path.parent) not in page
    assert f"Data report: {tmp_path.name}" in page


def test_equal_data_makes_an_equal_page(tmp_path, page):
    assert html(report(tmp_path)) == page


def test_a_data_set_without_defects_has_no_reasons(tmp_path):
    source = dataset(tmp_path)
    correct = replace(source, images=source.images[:1], instances=source.instances[:2], categories=SELECTED)
    text = Text(html(report(tmp_path, correct))).visible
    assert "No record has a reason: every image and every annotation is used unchanged." in text
    assert "dropped_images 50 % (none found)" in text


def test_a_class_without_drawn_objects_is_in_the_table(tmp_path):
    source = dataset(tmp_path)
    changed = replace(
        source, instances=(source.instances[0], replace(source.instances[1], rings=((1, 1, 2, 2, 1, 1),)))
    )
    assert "dog 2 1 0 0 0 0 % \N{EN DASH}" in Text(html(report(tmp_path, changed))).visible


def test_a_verdict_that_the_page_does_not_know_is_a_ledger_error(tmp_path):
    data = report(tmp_path)
    wrong = replace(data.rows[1], verdict=SKIPPED)  # a verdict of images only
    with pytest.raises(LedgerError, match="skipped"):
        data_report.html(replace(data, rows=(wrong,)))
