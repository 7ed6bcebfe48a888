from dataclasses import replace

import numpy as np

from segpipe.data.records import Dataset
from segpipe.report import examples
from tests.data.sources import dataset, instance, photo, report


def found(tmp_path, source=None):
    own = report(tmp_path, source)
    where = examples.source(tmp_path, own.dataset, own.instances, own.photos)
    return {
        finding.reason.code: finding
        for finding in [
            *examples.account(own.rows, where),
            *examples.notes(own.findings, own.rows, where),
        ]
    }


def many(tmp_path, count, **fields):
    photo(tmp_path, "a.jpg", 90)
    source = dataset(tmp_path)
    own = [instance(i, "a", **fields) for i in range(count)]
    return Dataset(
        format="coco", categories=source.categories, images=source.images[:1], instances=(instance(-1, "a"), *own)
    )


def test_every_reason_of_the_ledger_is_one_finding_and_every_note_another(tmp_path):
    assert {code: finding.count for code, finding in found(tmp_path).items()} == {
        "unreadable": 1, "missing_file": 1, "bad_record": 1, "image_lost": 1, "unknown_image": 1, "self_crossing": 1,
        "past_border": 1, "crowd": 1, "no_matching_annotation": 1, "class_not_selected": 1,
        "turned_by_exif": 1, "equal_files": 1, "annotated_as_two_classes": 1,
    }  # fmt: skip


def test_what_cannot_be_used_comes_first_and_photographs_before_annotations(tmp_path):
    order = [(f.reason.verdict, f.kind) for f in found(tmp_path).values()]
    assert order == [
        ("dropped", "image"), ("dropped", "image"), ("dropped", "annotation"), ("dropped", "annotation"),
        ("dropped", "annotation"), ("repaired", "annotation"), ("clipped", "annotation"), ("ignored", "annotation"),
        ("skipped", "image"), ("discarded", "annotation"), ("", "image"), ("", "image"),
        ("", "annotation"),
    ]  # fmt: skip


def test_a_case_says_where_it_stands(tmp_path):
    (case,) = found(tmp_path)["past_border"].examples
    assert (case.place, case.file, case.category) == ("a.json: annotations[3]", "a.jpg", "cat")
    assert case.detail.endswith("8 pixels")  # 2 columns of 4 rows lie inside
    assert case.thumbnail.startswith("data:image/jpeg")


def test_files_that_cannot_be_read_are_listed_without_a_picture(tmp_path):
    finding = found(tmp_path)["unreadable"]
    assert finding.examples == ()
    assert [case.file for case in finding.others] == ["broken.jpg"]


def test_a_file_that_must_not_be_read_is_not_opened(tmp_path):
    source = dataset(tmp_path)
    refused = source.images[0].__class__(key="a", file="a.jpg", problem="unreadable", detail="is a link that leaves")
    own = Dataset(
        format="coco", categories=source.categories, images=(refused, *source.images[1:]), instances=source.instances
    )
    assert all(case.file != "a.jpg" for finding in found(tmp_path, own).values() for case in finding.examples)


def test_equal_files_name_the_first(tmp_path):
    (case,) = found(tmp_path)["equal_files"].examples
    assert (case.file, case.detail) == ("a copy.jpg", "equal to a.jpg")


def test_a_few_examples_are_shown_two_hundred_cases_listed_the_rest_counted(tmp_path):
    finding = found(tmp_path, many(tmp_path, 250, category="owl"))["class_not_selected"]
    assert (finding.count, len(finding.examples), len(finding.others), finding.unlisted) == (250, 6, 200, 44)
    listed = [case.place for case in (*finding.examples, *finding.others)]
    assert len(set(listed)) == 206


def test_examples_are_of_different_photographs_where_there_are_enough(tmp_path):
    source = dataset(tmp_path)
    own = [
        instance(100 * i + n, image.key, category="owl") for i, image in enumerate(source.images[:3]) for n in range(9)
    ]
    cats = [instance(1000 + i, image.key) for i, image in enumerate(source.images[:3])]
    shown = found(
        tmp_path, Dataset(format="", categories=source.categories, images=source.images[:3], instances=(*cats, *own))
    )
    places = [case.place for case in shown["class_not_selected"].examples]
    # three photographs are fewer than six examples: they are spread over all 27 annotations, 9 a photograph
    assert places == [f"a.json: annotations[{n}]" for n in (0, 4, 100, 104, 200, 204)]


def test_an_outline_that_crosses_itself_says_what_a_correction_would_cover(tmp_path):
    (case,) = found(tmp_path)["self_crossing"].examples
    assert case.detail.endswith("pixels, corrected 32")  # two triangles of 4 x 8 / 2


def test_an_outline_that_crosses_itself_too_often_has_no_corrected_area(tmp_path):
    source = dataset(tmp_path)
    points = np.random.default_rng(0).random((150, 2)) * [20, 10]
    scribble = replace(source.instances[2], rings=(tuple(points.ravel().tolist()),), area=1e6)
    changed = replace(source, instances=(*source.instances[:2], scribble, *source.instances[3:]))
    assert found(tmp_path, changed)["self_crossing"].examples[0].detail.endswith("pixels, correction unknown")
