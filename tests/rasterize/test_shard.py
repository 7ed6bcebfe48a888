"""Drawn shards after a real run of the stages: every count agrees with the label maps."""

from pathlib import Path

import numpy as np
import pytest

from segpipe.core import shards
from segpipe.core.shards import Result
from segpipe.data import store, tables
from segpipe.data.classes import IGNORE_INDEX
from segpipe.data.columns import numbers
from segpipe.data.preprocessing import Window, fit_label_map, stored_windows
from segpipe.data.store import Store
from segpipe.masks import label_png
from segpipe.rasterize.shard import ShardCounts, labels_file, masks_of
from tests import photo_source
from tests.data_half import run

COUNT, CLASSES = 20, 3
BOX = [30, 20, 40, 20, 40, 30, 30, 30]  # 100 pixels
EXTRA = [
    {"id": 100, "image_id": 3, "category_id": 1, "segmentation": [BOX], "iscrowd": 1},
    {"id": 101, "image_id": 4, "category_id": 2, "segmentation": [BOX]},
    {"id": 102, "image_id": 4, "category_id": 1, "segmentation": [BOX]},
]


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A run over photos of 48 x 32 pixels in four shards, cut into two tiles each; image 4 has a hidden object."""
    monkeypatch.setattr(shards, "_TARGET", 8)
    monkeypatch.setattr(photo_source, "SIZE_WH", (48, 32))
    source = photo_source.put(tmp_path / "source", COUNT)
    photo_source.edit(source, lambda document: document["annotations"].extend(EXTRA))
    run(tmp_path / "work", source, photos__tiles={"side": 32, "overlap": 8})
    return tmp_path / "work"


def results(work: Path) -> list[Result]:
    folders = {int(path.name.split("-")[1]): path for path in (work / shards.FOLDER / "rasterize").iterdir()}
    return [Result(folders[shard], "computed") for shard in range(4)]


def windows_of(work: Path) -> list[Window]:
    fit = Store.open(work / "data/photos", work / "data/labels").fit
    windows = stored_windows((32, 48), fit)
    assert len(windows) == 2
    return windows


def pixels(label_map: np.ndarray) -> np.ndarray:
    return np.bincount(label_map.ravel(), minlength=256)[[*range(CLASSES), IGNORE_INDEX]]


def test_the_counts_of_a_shard_are_those_of_its_label_maps(work):
    windows = windows_of(work)
    ignored = 0
    for shard, result in enumerate(results(work)):
        counts = ShardCounts.read(result)
        keys = tables.read_shard(work / "data/checked/images.parquet", shard, ["key"]).column(0).to_pylist()
        assert [path.stem for path in masks_of(result)] == sorted(keys)
        maps = [label_png.read(result.folder / f"masks/{key}.png") for key in keys]
        of_maps = np.array([pixels(each) for each in maps])
        of_rows = [pixels(each[window.rows, window.columns]) for each in maps for window in windows]
        np.testing.assert_array_equal(np.c_[counts.class_px, counts.ignore_px], of_maps)
        np.testing.assert_array_equal(counts.row_px, np.array(of_rows)[:, :CLASSES])
        assert counts.rows.tolist() == [2] * len(keys)
        assert counts.visible_px.sum() == of_maps[:, 1:].sum()
        labels = np.load(labels_file(result))
        assert counts.store_px.sum() == sum(pixels(row)[1:].sum() for row in labels)
        ignored += counts.ignore_px.sum()
    assert ignored == 100


def test_the_labels_are_the_label_maps_at_training_size_in_the_rows_of_the_photos(work):
    opened = Store.open(work / "data/photos", work / "data/labels")
    windows = windows_of(work)
    assert opened.keys == tuple(f"{number:03d}" for number in range(COUNT) for _ in windows)
    for number, (key, box) in enumerate(zip(opened.keys, opened.boxes.tolist(), strict=True)):
        label_map = label_png.read(work / f"data/masks/{key}.png")
        window = windows[number % 2]
        assert box == [window.rows.start, window.columns.start, window.rows.stop, window.columns.stop]
        np.testing.assert_array_equal(opened.labels[number], fit_label_map(label_map, opened.fit, window))
        np.testing.assert_array_equal(
            opened.row_pixels[number], pixels(label_map[window.rows, window.columns])[:CLASSES]
        )


def test_the_pixels_of_whole_images_have_the_order_of_the_source(work):
    maps = [label_png.read(work / f"data/masks/{number:03d}.png") for number in range(COUNT)]
    expected = [pixels(each)[:CLASSES] for each in maps]
    np.testing.assert_array_equal(np.load(work / "data/labels/class_pixels.npy"), expected)


def test_outputs_are_links_to_kept_results(work):
    for shard, result in enumerate(results(work)):
        pairs = [(labels_file(result), store.shard_file(work / "data/labels", shard))]
        pairs += [(path, work / "data/masks" / path.name) for path in masks_of(result)]
        assert all(kept.samefile(output) for kept, output in pairs)


def test_the_ledger_has_the_pixels_of_each_object(work):
    ledger = tables.read(work / "data/ledger.parquet")
    ids = [id_.split("#")[-1] for id_ in ledger.column("id").to_pylist()]
    after = dict(zip(ids, numbers(ledger.column("px_after"), absent=-1).tolist(), strict=True))
    verdicts = dict(zip(ids, ledger.column("verdict").to_pylist(), strict=True))
    assert [after[id_] for id_ in ("0", "1", "100", "101", "102")] == [60, 12 * 10 - 4 * 4, 100, 0, 100]
    assert [verdicts[id_] for id_ in ("0", "100", "101", "102")] == ["kept", "ignored", "hidden", "kept"]
