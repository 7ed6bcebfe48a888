"""The tables of shards after real runs of the stages, compared with the records of the reader."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segpipe.core import shards
from segpipe.data import tables
from segpipe.data.columns import numbers
from segpipe.data.preprocessing import fit_image, stored_windows
from segpipe.data.records import by_image
from segpipe.data.store import Store
from segpipe.ledger.rows import read_ledger
from tests import photo_source
from tests.data_half import run
from tests.faults import sources

COUNT = 20


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A source with four shards, a photo that is missing, a damaged one, and an annotation that names no image."""
    monkeypatch.setattr(shards, "_TARGET", 8)
    root = photo_source.put(tmp_path / "source", COUNT + 2)
    (root / photo_source.file(COUNT)).unlink()
    (root / photo_source.file(COUNT + 1)).write_bytes(b"no image")
    stray = {"id": 999, "image_id": 999, "category_id": 1, "segmentation": [photo_source.CAT]}
    photo_source.edit(root, lambda document: document["annotations"].insert(5, stray))
    return root


def delete(source: Path) -> None:
    photo_source.edit(source, lambda document: document["annotations"].pop(3))


def in_the_source(work: Path) -> list[tuple[str, str]]:
    """The id and the place of each record: each image before its annotations, those without image last."""
    dataset = tables.read_dataset(work / "data/records")
    of_image = by_image(dataset.instances)
    records = []
    for image in dataset.images:
        records.append((image.key, image.place or image.file))
        records += [(instance.id, instance.place) for instance in of_image.pop(image.key, [])]
    assert list(of_image) == [""]
    return records + [(instance.id, instance.place) for instance in of_image[""]]


@pytest.mark.parametrize("changed", [False, True], ids=["first run", "after an earlier annotation is deleted"])
def test_the_ledger_has_every_record_in_the_order_and_with_the_place_of_the_source(tmp_path, source, changed):
    work = tmp_path / "work"
    run(work, source)
    if changed:
        delete(source)
        run(work, source)
    expected = in_the_source(work)
    assert len(expected) == 3 * (COUNT + 2) + 1 - changed
    for ledger in ("data/ledger.parquet", "data/checked/ledger.parquet"):
        assert [(row.id, row.place) for row in read_ledger(work / ledger)] == expected


def test_a_position_counts_images_and_then_annotations(tmp_path, source):
    work = tmp_path / "work"
    run(work, source)
    dataset = tables.read_dataset(work / "data/records")
    image = {each.key: number for number, each in enumerate(dataset.images)}
    annotation = {each.id: number for number, each in enumerate(dataset.instances)}
    table = tables.read(work / "data/ledger.parquet")
    rows = zip(*(table.column(name).to_pylist() for name in ("kind", "id", "image_key")), strict=True)
    assert numbers(table.column(tables.POSITION)).tolist() == [
        (image.get(key, 2**31 - 1) << 32) + (1 + annotation[id_] if kind == "annotation" else 0)
        for kind, id_, key in rows
    ]


def test_kept_results_have_no_place_and_no_position(tmp_path, source):
    run(tmp_path / "work", source)
    folders = list((tmp_path / "work" / shards.FOLDER / "validate").iterdir())
    assert len(folders) == 4
    for folder in folders:
        for path in folder.glob("*.parquet"):
            assert tables.POSITION not in tables.read(path).column_names
        for name in ("ledger", "instances"):
            places = tables.read(folder / f"{name}.parquet", ["place"]).column(0).to_pylist()
            assert not any("instances.json" in place for place in places)


def test_the_content_of_an_annotation_changes_with_its_outline_only(tmp_path, source):
    def contents() -> dict[str, str]:
        run(tmp_path / "work", source)
        return {row.id: row.content for row in read_ledger(tmp_path / "work/data/ledger.parquet")}

    before = contents()
    delete(source)
    after = contents()
    deleted = before.keys() - after.keys()
    assert len(deleted) == 1
    assert after.items() < before.items()
    photo_source.redraw(source, 8, 11)
    sources.put_photo(source / photo_source.file(6), 99, photo_source.SIZE_WH)
    again = contents()
    assert {id_.split("#")[-1] for id_, content in again.items() if content != after[id_]} == {"8", "11", "006"}


def test_the_store_has_the_photos_in_the_order_of_the_source(tmp_path, source):
    work = tmp_path / "work"
    run(work, source, photos__fit="crop")
    store = Store.open(work / "data/photos", work / "data/labels")
    assert store.keys == tuple(f"{number:03d}" for number in range(COUNT))
    fit = store.fit
    assert (fit.mode, fit.size_hw) == ("crop", (32, 32))
    for key, row in zip(store.keys, store.images[:], strict=True):
        pixels = np.asarray(Picture.open(source / f"{key}.png"))
        (window,) = stored_windows(pixels.shape[:2], fit)
        np.testing.assert_array_equal(row, fit_image(pixels, fit, window))
