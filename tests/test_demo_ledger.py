"""The ledger of the demo folder, compared with the manifest of the defects planted in it."""

import json

import numpy as np
import pytest

from segpipe import params
from segpipe.data import tables
from segpipe.data.classes import class_indices, class_names, class_table, select
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.preprocessing import Fit
from segpipe.data.records import by_image
from segpipe.ingest.read import read_source
from segpipe.ledger import findings
from segpipe.ledger.drawn import with_pixels
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import Row, check_totals, one_shard
from segpipe.ledger.totals import Totals
from segpipe.rasterize.image import DrawTask, draw
from segpipe.validate.judge import Rules
from tests.checking import check_all
from tests.conftest import ROOT

DEMO = ROOT / "data/demo"
MANIFEST = json.loads((DEMO / "defects.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def drawn():
    """The result of validate, the ledger rows after rasterize, and the drawn images."""
    settings = params.load(ROOT / "params.yaml")
    dataset = read_source(DEMO)
    used = {instance.category for instance in dataset.instances}
    class_of = select(settings.ingest.classes, dataset.categories, used)
    selected = class_names(class_of)
    checked = check_all(dataset, DEMO, Rules(class_of, Policies()))
    classes = class_table(selected, "multiclass")
    indices = class_indices(selected, "multiclass")
    of_image = by_image(checked.instances)
    tasks = [
        DrawTask(DEMO, photo, tuple(of_image.get(photo.key, ())), indices, "smaller_on_top") for photo in checked.photos
    ]
    results = [draw(task, classes, Fit("letterbox", (64, 64)))[0] for task in tasks]
    keys = tables.table_of_photos([(photo, bytes(FINGERPRINT_BYTES)) for photo in checked.photos]).column("key")
    ids = tables.table_of_instances(checked.instances).column("id")
    visible_px, store_px = (
        np.array([px for result in results for px in getattr(result, name)]) for name in ("visible_px", "store_px")
    )
    ledger = with_pixels(one_shard(checked.rows), keys, ids, visible_px, store_px)
    return checked, tables.records_in([ledger], Row), results


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
    checked, _, results = drawn
    empty = {p.file for p, r in zip(checked.photos, results, strict=True) if not any(r.class_px[1:])}
    assert empty == set(MANIFEST["empty_mask"])


def test_equal_files_are_found(drawn):
    counts = findings.code_counts([findings.to_table(drawn[0].findings)], ["equal_files"])
    assert counts["equal_files"] == len(MANIFEST["duplicates"]["equal"])
