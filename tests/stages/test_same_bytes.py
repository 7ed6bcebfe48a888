"""Equal sources give equal bytes, for any number of workers, and after any changes of settings."""

import shutil
from collections import Counter
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from segpipe.core import shards
from segpipe.data import tables
from segpipe.data.records import Image, Instance, Photo, by_image
from segpipe.data.store import Store
from segpipe.ledger.rows import Row
from tests import photo_source
from tests.data_half import STAGES, prepare, run
from tests.faults import sources

pytestmark = pytest.mark.usefixtures("small_shards")


CROWD = {"id": 100, "image_id": 3, "category_id": 1, "segmentation": [[1, 9, 6, 9, 6, 15, 1, 15]], "iscrowd": 1}
STRAY = {"id": 102, "image_id": 999, "category_id": 1, "segmentation": [[1, 9, 6, 9, 6, 15, 1, 15]]}
BOX = {"id": 101, "image_id": 4, "category_id": 1, "bbox": [1, 9, 5, 6]}


def put_coco(root):
    photo_source.put(root, 60)


@pytest.mark.parametrize("put", [put_coco, sources.put_index_masks, sources.put_panoptic], ids=lambda put: put.__name__)
def test_any_number_of_workers_writes_equal_bytes(tmp_path, put):
    put(tmp_path / "source")
    settings = {"split__method": "balanced", "split__val": 0.2}
    alone = run(tmp_path / "1", tmp_path / "source", **settings)
    assert len(alone) > 15
    for workers in (2, 3):
        assert run(tmp_path / str(workers), tmp_path / "source", workers, **settings) == alone


@pytest.mark.parametrize("name", ["pets", "multi_format/coco1.0", "labelme/semantic"])
def test_any_number_of_workers_writes_equal_bytes_of_real_data(real_data, tmp_path, name):
    alone = run(tmp_path / "1", real_data / name)
    assert run(tmp_path / "3", real_data / name, 3) == alone


def test_any_number_of_shards_gives_equal_records_and_pixels(tmp_path, monkeypatch):
    source = photo_source.put(tmp_path / "source", 42)
    shutil.copyfile(source / "040.png", source / "002.png")
    (source / "007.png").unlink()
    (source / "z.png").write_bytes(b"no image")
    photo_source.edit(source, lambda document: document["annotations"].extend([CROWD, BOX, STRAY]))
    seen = []
    for count in (1, 64):  # with 64 shards for 43 images, some are empty
        monkeypatch.setattr(shards, "_TARGET", 64 // count)
        work = tmp_path / str(count)
        files = run(work, source, split__method="balanced", split__val=0.2)
        assert len(tables.shard_sizes(work / "data/ledger.parquet")) == count
        seen.append(contents(work, files))
    for one, many in zip(*seen, strict=True):
        assert one == many


def contents(work: Path, files: dict[str, bytes]) -> list[object]:
    """All that the files say, for any number of shards."""
    instances = "data/checked/instances.parquet"
    records = [path for path in files if path.endswith(".parquet") and path != instances]
    packed = [path for path in files if path.startswith(("data/photos/", "data/labels/"))]
    return [
        {path: tables.values_of(tables.read(work / path)) for path in records},
        by_image(tables.read_instances(work / instances)),
        Store.open(work / "data/photos", work / "data/labels").content_hash(),
        {path: files[path] for path in files.keys() - {*records, instances, *packed}},
    ]


@pytest.mark.parametrize(
    ("setting", "photos_decoded"),
    [
        ({"validate__crowd": "object"}, 0),
        ({"validate__box": "drop"}, 0),
        ({"ingest__classes": ["cat"]}, 0),
        ({"ingest__task": "binary"}, 0),
        ({"rasterize__priority": "record_order"}, 0),
        ({"photos__height": 64}, 20),
        ({"photos__fit": "crop"}, 20),
    ],
    ids=str,
)
def test_a_changed_setting_gives_the_bytes_of_a_clean_run(tmp_path, decoded, setting, photos_decoded):
    source = photo_source.put(tmp_path / "source", 20)
    photo_source.edit(source, lambda document: document["annotations"].extend([CROWD, BOX]))
    before = run(tmp_path / "work", source)
    decoded.clear()
    again = run(tmp_path / "work", source, **setting)
    assert len(decoded) == photos_decoded
    assert again == run(tmp_path / "clean", source, **setting) != before
    decoded.clear()
    assert run(tmp_path / "work", source) == before
    assert len(decoded) == photos_decoded


def test_the_process_of_a_stage_makes_no_object_per_record(tmp_path, monkeypatch):
    source = photo_source.put(tmp_path / "source", 20)
    made = Counter[str]()
    for record in (Image, Instance, Photo, Row):
        monkeypatch.setattr(record, "__init__", counting(record, made))
    assert {"Image", "Instance", "Photo", "Row"} == made_by_stages(tmp_path, source, 1, made)
    assert not made_by_stages(tmp_path, source, 2, made)


def made_by_stages(work: Path, source: Path, workers: int, made: Counter[str]) -> set[str]:
    """The records that validate and rasterize make in this process; ingest reads all of them."""
    shutil.rmtree(work / shards.FOLDER, ignore_errors=True)
    prepare(work, source, workers)
    with chdir(work):
        STAGES["ingest"]()
        made.clear()
        STAGES["validate"]()
        STAGES["rasterize"]()
    return set(made)


def counting(record: type, made: Counter[str]):
    """The constructor of a record, which also counts."""
    create: Any = record.__init__

    def counted(self: Any, *values: Any, **named: Any) -> None:
        made[record.__name__] += 1
        create(self, *values, **named)

    return counted
