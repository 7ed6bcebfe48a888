import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from segpipe.core.errors import AccountError
from segpipe.ledger.rows import SKIPPED, summary
from segpipe.report import data_report
from segpipe.report.data_report import html
from tests.data.sources import SELECTED, dataset, report

VOID = {"meta", "img", "br"}


class Text(HTMLParser):
    """The words that a reader of the page sees, and what its tags refer to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.refers: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []  # each tag is closed

    def handle_starttag(self, tag, attrs):
        self.open += [] if tag in VOID else [tag]
        self.refers += [value for name, value in attrs if name in ("src", "href")]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.words += data.split()

    @property
    def said(self) -> str:
        return " ".join(self.words)


@pytest.fixture
def page(tmp_path):
    return html(report(tmp_path))


def test_the_sums_on_the_page_are_the_ledgers_and_balance(tmp_path, page):
    said = Text(page).said
    assert "6 photographs in 3 kept used 1 skipped without a usable annotation 2 dropped cannot be used" in said
    terms = [
        "11 annotations in", "4 kept drawn as they are", "1 repaired drawn with a flaw, see below",
        "1 clipped cut at the border", "0 hidden wholly beneath others",
        "1 ignored neither taught nor scored", "3 dropped cannot be used",
        "1 discarded left out by choice",
    ]  # fmt: skip
    assert " ".join(terms) in said
    counts = summary(report(tmp_path).rows)
    for kind in ("images", "annotations"):
        assert sum(counts[kind]["verdicts"].values()) == counts[kind]["in"]
    assert counts["annotations"]["verdicts"] == {
        "kept": 4, "repaired": 1, "clipped": 1, "ignored": 1, "dropped": 3, "discarded": 1,
    }  # fmt: skip


def test_each_policy_has_its_annotations_and_pixels(page):
    policies = Text(page).said.partition("left out validate.crowd ")[2]
    assert policies.startswith("ignore, object or drop 1 annotation, 16 px An annotation counts")  # of SQUARE


def test_the_page_says_how_much_may_be_lost_and_that_it_was_more(page):
    said = Text(page).said
    stopped = "3 annotations of 11 (27.3 %) are more than the 10 % that validate.limits.dropped_annotations in params"
    assert f"The pipeline stops here: {stopped}" in said
    assert "dropped_images 50 % (33.3 % of the images found), dropped_annotations 10 % (27.3 % of the anno" in said


def test_the_class_table_has_every_category(page):
    said = Text(page).said
    # cat: 9 annotations, of them 5 objects on 3 photographs (a crowd, a broken record, a broken photograph are none):
    # 3 squares of 16 pixels, 8 pixels inside the border, and the bow-tie
    assert re.search(r"cat 1 8 5 3 \d+ ", said)
    assert re.search(r"dog 2 1 1 1 16 2.67 % 16 px", said)  # of 3 photographs of 20 x 10
    assert "owl 1 1 not selected" in said
    assert "<b>bat</b> 0 0 declared, never annotated" in said


def test_photographs_are_measured_as_they_are_used(page):
    said = Text(page).said
    assert "20 x 10 2 10 x 20 1" in said  # one is turned
    assert "Turned upright by its EXIF tag" in said


def test_classes_that_occur_together(page):
    assert "cat dog cat 3 1 dog 1 1" in Text(page).said


def test_every_reason_is_explained_with_its_cases(page):
    said = Text(page).said
    for row in ("bad_record", "image_lost", "unknown_image", "self_crossing", "past_border", "crowd", "missing_file"):
        assert row in said
    assert "a.json: annotations[10] image_id 7 is not among the images" in said
    assert "In params.yaml validate.crowd ignore, object or drop" in said


def test_the_page_is_one_file_and_its_links_lead_somewhere(page):
    text = Text(page)
    assert "http" not in page
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert all(target.startswith(("data:image/jpeg;base64,", "#")) for target in text.refers)
    assert {target[1:] for target in text.refers if target.startswith("#")} <= set(text.ids)
    assert len(set(text.ids)) == len(text.ids)


def test_names_are_text_and_never_markup(page):
    assert "<script>alert" not in page
    assert "<script>alert(1)</script>" in Text(page).said
    assert "<b>bat</b>" not in page


def test_the_page_does_not_say_where_the_source_lies(tmp_path, page):
    assert str(tmp_path.parent) not in page
    assert f"Data report: {tmp_path.name}" in page


def test_equal_data_gives_an_equal_page(tmp_path, page):
    assert html(report(tmp_path)) == page


def test_a_sound_data_set_has_no_findings(tmp_path):
    source = dataset(tmp_path)
    sound = replace(source, images=source.images[:1], instances=source.instances[:2], categories=SELECTED)
    said = Text(html(report(tmp_path, sound))).said
    assert "None: every photograph and every annotation is used as it is." in said
    assert "dropped_images 50 % (none found)" in said


def test_a_class_of_which_nothing_is_drawn_stands_in_the_table(tmp_path):
    source = dataset(tmp_path)
    own = replace(source, instances=(source.instances[0], replace(source.instances[1], rings=((1, 1, 2, 2, 1, 1),))))
    assert "dog 2 1 0 0 0 0 % \N{EN DASH}" in Text(html(report(tmp_path, own))).said


def test_a_verdict_that_the_page_does_not_know_is_an_error_of_ours(tmp_path):
    own = report(tmp_path)
    strange = replace(own.rows[1], verdict=SKIPPED)  # which no annotation is
    with pytest.raises(AccountError, match="skipped"):
        data_report.html(replace(own, rows=(strange,)))
