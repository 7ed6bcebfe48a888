"""Three images in two shards, drawn without a source folder: no photo is read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segpipe.core.files import write_json
from segpipe.data import tables
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Instance
from segpipe.data.tables import shard_writer
from segpipe.ledger import rows
from segpipe.ledger.rows import Row, read_ledger
from segpipe.masks import label_png
from segpipe.rasterize import dataset
from tests.grids import grid
from tests.rasterize.test_image import CAT, CLASSES, CROWD, DOG, INDICES, box, photo

# a, the first of the source, has 10 x 4 pixels (width x height), two tiles; b and c have 6 x 4
ALL = Instance(id="7", image_key="b", category="dog", rings=(box(0, 0, 6, 4),), role="crowd")
SHARDS = [  # the image keys of each shard with their positions, and the instances
    ({"b": 1}, [ALL]),
    ({"a": 0, "c": 2}, [CAT, DOG, CROWD, replace(DOG, id="8", image_key="c"), replace(DOG, id="9", image_key="c")]),
]
VERDICTS = {"3": ("ignored", "crowd"), "7": ("ignored", "crowd")}


@pytest.fixture
def summary(tmp_path, monkeypatch) -> dict:
    """The counts of the three images, drawn in the current folder for training at 4 x 6 pixels."""
    monkeypatch.chdir(tmp_path)
    paths = map(Path, ("images.parquet", "instances.parquet", "ledger.parquet"))
    images, instances, ledger = map(shard_writer, paths)
    with images as add_images, instances as add_instances, ledger as add_rows:
        for keys, drawn in SHARDS:
            photos = [(photo(key, (10, 4) if key == "a" else (6, 4)), bytes(FINGERPRINT_BYTES)) for key in keys]
            add_images(tables.with_position(tables.table_of_photos(photos), np.array([*keys.values()])))
            add_instances(tables.table_of_instances(drawn))
            add_rows(checked_rows(keys, drawn))
    CLASSES.write(Path("classes.json"))
    write_json(Path("class_indices.json"), INDICES)
    counts, _, _ = dataset.rasterize(
        Path(), Path("nowhere"), masks=Path("masks"), labels=Path("labels"), ledger=Path("drawn.parquet"),
        priority="smaller_on_top", fit=Fit("letterbox", (4, 6), 6, 2), workers=1, dask="",
    )  # fmt: skip
    return counts


def checked_rows(keys: dict[str, int], drawn: list[Instance]):
    """The ledger of one shard as validate writes it."""
    made = []
    for key, position in keys.items():
        made.append((100 * position, Row(kind="image", id=key, image_key=key, place="")))
        for each in (each for each in drawn if each.image_key == key):
            verdict, reason = VERDICTS.get(each.id, ("kept", ""))
            row = Row(kind="annotation", id=each.id, image_key=key, place="", verdict=verdict, reason=reason)
            made.append((100 * position + int(each.id), row))
    return tables.with_position(rows.to_table([row for _, row in made]), np.array([at for at, _ in made]))


def test_each_shard_has_its_labels_and_each_image_its_label_map(summary):
    whole = grid("####...... ##222..... ##222x.... xxxxxx....")
    np.testing.assert_array_equal(label_png.read(Path("masks/a.png")), whole)
    under = grid("...... ..222. ..222. ......")
    np.testing.assert_array_equal(np.load("labels/00000.npy"), [np.full((4, 6), 255)])
    np.testing.assert_array_equal(np.load("labels/00001.npy"), [whole[:, :6], whole[:, 4:], under])
    assert sorted(path.name for path in Path("masks").iterdir()) == ["a.png", "b.png", "c.png", "classes.json"]


def test_pixels_are_counted_in_the_order_of_the_source(summary):
    assert np.load("labels/class_pixels.npy").tolist() == [[19, 8, 6], [0, 0, 0], [18, 0, 6]]
    assert np.load("labels/row_pixels.npy").tolist() == [[3, 8, 6], [19, 0, 2], [0, 0, 0], [18, 0, 6]]
    assert summary["class_pixels"] == {"background": 37, "cat": 8, "dog": 12}
    assert summary["ignored_pixels"] == 7 + 24
    assert summary["empty_masks"] == 1
    assert summary["store_rows"] == {"whole": 2, "tiles": 2, "only_ignored": 1}


def test_the_ledger_has_the_pixels_of_both_shards_in_the_order_of_the_source(summary):
    written = [(row.id, row.verdict, row.px_after, row.px_store) for row in read_ledger(Path("drawn.parquet"))]
    assert written == [
        ("a", "kept", None, None),
        ("1", "kept", 8, 8), ("2", "kept", 6, 8), ("3", "ignored", 7, 10),  # in two tiles
        ("b", "kept", None, None), ("7", "ignored", 24, 24),
        ("c", "kept", None, None), ("8", "hidden", 0, 0), ("9", "kept", 6, 6),
    ]  # fmt: skip
