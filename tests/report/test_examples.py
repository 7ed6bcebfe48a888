from dataclasses import replace

import numpy as np

from segpipe.data.records import Dataset
from segpipe.report import examples
from tests.data.sources import dataset, instance, photo, report


def cases_of(tmp_path, source=None):
    data = report(tmp_path, source)
    lookup = examples.lookup_of(tmp_path, data.dataset, data.instances, data.photos)
    return {
        cases.reason.code: cases
        for cases in [
            *examples.of_ledger(data.rows, lookup),
            *examples.of_findings(data.findings, data.rows, lookup),
        ]
    }


def many(tmp_path, count, **fields):
    photo(tmp_path, "a.jpg", 90)
    source = dataset(tmp_path)
    instances = [instance(i, "a", **fields) for i in range(count)]
    return Dataset(
        format="coco", categories=source.categories, images=source.images[:1], instances=(instance(-1, "a"), *instances)
    )


def test_every_reason_of_the_ledger_and_every_finding_has_its_cases(tmp_path):
    assert {code: cases.count for code, cases in cases_of(tmp_path).items()} == {
        "unreadable": 1, "missing_file": 1, "bad_record": 1, "image_lost": 1, "unknown_image": 1, "self_crossing": 1,
        "past_border": 1, "crowd": 1, "no_matching_annotation": 1, "class_not_selected": 1,
        "turned_by_exif": 1, "equal_files": 1, "annotated_as_two_classes": 1,
    }  # fmt: skip


def test_dropped_records_come_first_and_images_before_annotations(tmp_path):
    order = [(f.reason.verdict, f.kind) for f in cases_of(tmp_path).values()]
    assert order == [
        ("dropped", "image"), ("dropped", "image"), ("dropped", "annotation"), ("dropped", "annotation"),
        ("dropped", "annotation"), ("repaired", "annotation"), ("clipped", "annotation"), ("ignored", "annotation"),
        ("skipped", "image"), ("discarded", "annotation"), ("", "image"), ("", "image"),
        ("", "annotation"),
    ]  # fmt: skip


def test_a_case_names_its_place_file_and_category(tmp_path):
    (case,) = cases_of(tmp_path)["past_border"].examples
    assert (case.place, case.file, case.category) == ("a.json: annotations[3]", "a.jpg", "cat")
    assert case.detail.endswith("8 pixels")  # 2 columns of 4 rows are inside
    assert case.thumbnail.startswith("data:image/jpeg")


def test_unreadable_files_are_listed_without_a_thumbnail(tmp_path):
    cases = cases_of(tmp_path)["unreadable"]
    assert cases.examples == ()
    assert [case.file for case in cases.others] == ["broken.jpg"]


def test_a_file_outside_the_source_is_not_opened(tmp_path):
    source = dataset(tmp_path)
    refused = source.images[0].__class__(key="a", file="a.jpg", problem="unreadable", detail="is a link that leaves")
    changed = Dataset(
        format="coco", categories=source.categories, images=(refused, *source.images[1:]), instances=source.instances
    )
    assert all(case.file != "a.jpg" for cases in cases_of(tmp_path, changed).values() for case in cases.examples)


def test_an_equal_file_names_the_first_file(tmp_path):
    (case,) = cases_of(tmp_path)["equal_files"].examples
    assert (case.file, case.detail) == ("a copy.jpg", "equal to a.jpg")


def test_six_examples_are_shown_and_two_hundred_cases_listed_and_the_rest_counted(tmp_path):
    cases = cases_of(tmp_path, many(tmp_path, 250, category="owl"))["class_not_selected"]
    assert (cases.count, len(cases.examples), len(cases.others), cases.unlisted) == (250, 6, 200, 44)
    listed = [case.place for case in (*cases.examples, *cases.others)]
    assert len(set(listed)) == 206


def test_examples_are_of_different_photos_if_there_are_enough(tmp_path):
    source = dataset(tmp_path)
    owls = [
        instance(100 * i + n, image.key, category="owl") for i, image in enumerate(source.images[:3]) for n in range(9)
    ]
    cats = [instance(1000 + i, image.key) for i, image in enumerate(source.images[:3])]
    cases = cases_of(
        tmp_path, Dataset(format="", categories=source.categories, images=source.images[:3], instances=(*cats, *owls))
    )
    places = [case.place for case in cases["class_not_selected"].examples]
    # 3 photos are fewer than 6 examples, so the examples are spread over all 27 annotations, 9 for each photo
    assert places == [f"a.json: annotations[{n}]" for n in (0, 4, 100, 104, 200, 204)]


def test_an_outline_that_crosses_itself_names_its_corrected_area(tmp_path):
    (case,) = cases_of(tmp_path)["self_crossing"].examples
    assert case.detail.endswith("pixels, corrected 32")  # two triangles of 4 x 8 / 2


def test_an_outline_that_crosses_itself_too_often_has_no_corrected_area(tmp_path):
    source = dataset(tmp_path)
    points = np.random.default_rng(0).random((150, 2)) * [20, 10]
    scribble = replace(source.instances[2], rings=(tuple(points.ravel().tolist()),), area=1e6)
    changed = replace(source, instances=(*source.instances[:2], scribble, *source.instances[3:]))
    assert cases_of(tmp_path, changed)["self_crossing"].examples[0].detail.endswith("pixels, correction unknown")
