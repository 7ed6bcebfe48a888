"""The ledger of the demo folder, compared with the manifest of the defects planted in it."""

import json
from pathlib import Path

import pytest

from segpipe import params
from segpipe.data import store
from segpipe.data.classes import class_indices, class_names, class_table, select
from segpipe.data.preprocessing import Fit
from segpipe.ingest.read import read_source
from segpipe.ledger import findings
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import check_totals, one_shard
from segpipe.ledger.totals import Totals
from segpipe.rasterize.dataset import draw_tasks, with_pixels
from segpipe.rasterize.image import draw
from segpipe.validate.dataset import check_tasks, collect
from segpipe.validate.image import check
from segpipe.validate.judge import Rules
from tests.conftest import ROOT

DEMO = ROOT / "data/demo"
MANIFEST = json.loads((DEMO / "defects.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The result of validate, the ledger rows after rasterize, and the drawn images."""
    folder: Path = tmp_path_factory.mktemp("demo")
    settings = params.load(ROOT / "params.yaml")
    dataset = read_source(DEMO)
    used = {instance.category for instance in dataset.instances}
    class_of = select(settings.ingest.classes, dataset.categories, used)
    selected = class_names(class_of)
    tasks = check_tasks(dataset, DEMO, Rules(class_of, Policies()), keep_empty=False)
    validated = collect(dataset, class_of, map(check, tasks))
    classes = class_table(selected, "multiclass")
    indices = class_indices(selected, "multiclass")
    fit = Fit("letterbox", (64, 64))
    to_draw = draw_tasks(
        validated.photos, validated.instances, DEMO, indices, classes, "smaller_on_top", fit, folder, folder
    )
    store.begin(folder, len(to_draw), fit)
    results = [draw(task) for task in to_draw]
    return validated, with_pixels(validated.rows, to_draw, results), results


@pytest.mark.parametrize("kind", ["images", "annotations"])
def test_every_planted_defect_is_in_the_ledger_and_nothing_else(drawn, kind):
    counts = Totals.of([one_shard(drawn[1])]).summary()[kind]
    expected = MANIFEST["expected"][kind]
    assert counts == {"in": expected["rows"], "verdicts": expected["verdicts"], "reasons": expected["reasons"]}


def test_the_totals_agree_after_drawing(drawn):
    rows = drawn[1]
    check_totals(rows, MANIFEST["expected"]["images"]["rows"], MANIFEST["expected"]["annotations"]["rows"])
    visible = sum(row.px_after for row in rows if row.px_after)
    assert visible == sum(sum(result.class_px[1:]) + result.ignore_px for result in drawn[2])


def test_exactly_the_planted_masks_are_empty(drawn):
    validated, _, results = drawn
    empty = {p.file for p, r in zip(validated.photos, results, strict=True) if not any(r.class_px[1:])}
    assert empty == set(MANIFEST["empty_mask"])


def test_equal_files_are_found(drawn):
    counts = findings.code_counts([findings.to_table(drawn[0].findings)], ["equal_files"])
    assert counts["equal_files"] == len(MANIFEST["duplicates"]["equal"])
