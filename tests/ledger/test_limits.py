import pytest

from segpipe.core.errors import UserError
from segpipe.data import tables
from segpipe.ledger import findings, limits
from segpipe.ledger.findings import Finding, finding_counts
from segpipe.ledger.reasons import FIRST_KNOWN, LIMITED_CODES
from segpipe.ledger.rows import Row, one_shard, to_table
from segpipe.ledger.totals import Totals


def annotation(number, image="a", **fields):
    return Row(kind="annotation", id=f"json#{number}", image_key=image, place=f"annotations[{number}]", **fields)


def lost(number, image="a", reason="bad_ring"):
    return annotation(number, image, verdict="dropped", reason=reason, detail="two points")


ROWS = [
    *(Row(kind="image", id=key, image_key=key, place=f"images: {key}") for key in "ab"),
    *(annotation(number) for number in range(7)),
    lost(7, "b"), lost(8, "a"), lost(9, "a", "zero_area"),
]  # fmt: skip
TWICE = [Finding(code="annotated_twice", kind="annotation", id="json#3", image_key="a", detail="as annotations[2]")]


def shares(settings, rows=ROWS, found=(), codes=LIMITED_CODES):
    counts = finding_counts([findings.to_table(found)])
    return limits.shares(settings, Totals.of([one_shard(rows)]), counts, codes)


def exceeded(settings, found=()):
    return [share for share in shares(settings, found=found) if share.exceeded]


def message(settings, found=()):
    """The error of the limits. The ledger and the findings have two shards each; the first has the last rows."""
    called = []
    shards = halves(to_table(ROWS)), halves(findings.to_table(found))
    with pytest.raises(UserError) as error:
        limits.check("validate", settings, *shards, lambda: called.append(1))
    assert called == [1]
    return str(error.value)


def halves(table):
    table = tables.numbered(table)
    middle = table.num_rows // 2
    return [table.slice(middle), table.slice(0, middle)]


def test_a_share_equal_to_the_limit_does_not_exceed_it():
    assert exceeded({"dropped_annotations": 0.3, "bad_ring": 0.2, "annotated_twice": 0.1}, TWICE) == []
    assert exceeded({}, TWICE) == []


def test_the_message_has_the_limit_the_figures_and_the_images_with_most_defects():
    assert message({"dropped_annotations": 0.29}) == (
        "validate.limits.dropped_annotations = 0.29 in params.yaml is exceeded by 3 of 10 annotations (30 %: 2 "
        "bad_ring, 1 zero_area); worst cases: 2 on a, first annotations[8]: two points; annotations[7]: two points; "
        "fix them or raise the limit; results/data_report.html shows them"
    )


def test_findings_can_exceed_a_limit():
    assert message({"annotated_twice": 0.05}, TWICE) == (
        "validate.limits.annotated_twice = 0.05 in params.yaml is exceeded by 1 of 10 annotations (10 %); worst cases: "
        "annotations[3]: as annotations[2]; fix them or raise the limit; results/data_report.html shows them"
    )


def test_the_message_has_all_exceeded_limits_in_one_line():
    line = message({"bad_ring": 0.1, "zero_area": 0})
    assert line.startswith("validate.limits.bad_ring = 0.1 in params.yaml is exceeded by 2 of 10 annotations (20 %);")
    assert "; validate.limits.zero_area = 0 in params.yaml is exceeded by 1 of 10 annotations (10 %);" in line
    assert "\n" not in line


def test_images_and_annotations_with_one_code_are_compared_separately():
    rows = [*ROWS, Row(kind="image", id="c", image_key="c", place="c", verdict="dropped", reason="bad_ring")]
    assert [(share.kind, share.count, share.of, share.exceeded) for share in shares({"bad_ring": 0.3}, rows)] == [
        ("image", 1, 3, True),
        ("annotation", 2, 10, False),
    ]


def test_a_stage_compares_only_the_codes_that_it_is_the_first_to_know():
    hidden = [annotation(10, verdict="hidden", reason="covered")]
    found = shares({"bad_ring": 0, "covered": 0}, [*ROWS, *hidden], codes=FIRST_KNOWN["rasterize"])
    assert [share.code for share in found] == ["covered"]
