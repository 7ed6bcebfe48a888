"""Equal sources give equal bytes, for any number of workers and any cache. Only changed images are computed again."""

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.core import memory
from tests.data_half import run
from tests.faults import sources

COUNT = 24
RING = [2, 2, 20, 2, 20, 14, 2, 14]


def put_source(root: Path) -> Path:
    """A source of 24 photos of one size, with two annotations each."""
    for number in range(COUNT):
        sources.put_photo(root / f"{number:02d}.png", number, (32, 24))
    images = [{"id": n, "file_name": f"{n:02d}.png", "width": 32, "height": 24} for n in range(COUNT)]
    annotations = [
        {"id": 2 * n + part, "image_id": n, "category_id": 1 + part, "segmentation": [shifted(part * 8)], "iscrowd": 0}
        for n in range(COUNT)
        for part in (0, 1)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    sources.put(root, "instances.json", {"images": images, "annotations": annotations, "categories": categories})
    return root


def shifted(by: int) -> list[int]:
    return [value + by * (position % 2 == 0) for position, value in enumerate(RING)]


@pytest.mark.parametrize(
    "put", [put_source, sources.put_index_masks, sources.put_panoptic], ids=lambda put: put.__name__
)
def test_any_number_of_workers_writes_equal_bytes(tmp_path, put):
    put(tmp_path / "source")
    alone = run(tmp_path / "1", tmp_path / "source", split__method="balanced", split__val=0.2)
    assert len(alone) > 15
    for workers in (2, 3):
        settings = {"split__method": "balanced", "split__val": 0.2}
        assert run(tmp_path / str(workers), tmp_path / "source", workers, **settings) == alone


@pytest.mark.parametrize("name", ["pets", "multi_format/coco1.0", "labelme/semantic"])
def test_any_number_of_workers_writes_equal_bytes_of_real_data(real_data, tmp_path, name):
    alone = run(tmp_path / "1", real_data / name)
    assert run(tmp_path / "3", real_data / name, 3) == alone


# ---- only changed images are computed again


def edited(source: Path, change: Callable[[dict], None]) -> None:
    document = json.loads((source / "instances.json").read_text())
    change(document)
    sources.put(source, "instances.json", document)


def ten_edits(source: Path) -> None:
    def move(document: dict) -> None:
        for number in range(10):
            document["annotations"][4 * number]["segmentation"] = [shifted(3)]

    edited(source, move)


def deleted(source: Path) -> None:
    edited(source, lambda document: document["annotations"].pop(7))


def renamed(source: Path) -> None:
    (source / "05.png").rename(source / "x.png")
    edited(source, lambda document: document["images"][5].update(file_name="x.png"))


def swapped(source: Path) -> None:
    (source / "03.png").rename(source / "tmp.png")
    (source / "04.png").rename(source / "03.png")
    (source / "tmp.png").rename(source / "04.png")


def touched(source: Path) -> None:
    for path in source.iterdir():
        os.utime(path, (1, 1))


CHANGES = {"ten edits": (ten_edits, 10), "deleted": (deleted, 1), "renamed": (renamed, 1), "swapped": (swapped, 2)}
CHANGES |= {"touched": (touched, 0)}


def computed(caplog: pytest.LogCaptureFixture) -> list[int]:
    """The number of images that validate and rasterize computed."""
    matches = [re.fullmatch(r"(\d+) of (\d+) are unchanged .*", record.getMessage()) for record in caplog.records]
    return [int(match[2]) - int(match[1]) for match in matches if match]


@pytest.mark.parametrize("name", CHANGES)
def test_only_changed_images_are_computed_and_the_bytes_equal_a_clean_run(tmp_path, caplog, name):
    change, num_images = CHANGES[name]
    source = put_source(tmp_path / "source")
    run(tmp_path / "work", source)
    change(source)
    caplog.set_level(logging.INFO)
    again = run(tmp_path / "work", source)
    assert computed(caplog) == [num_images, num_images]
    assert again == run(tmp_path / "clean", source)


@pytest.mark.parametrize(
    "settings",
    [
        {"validate__crowd": "object"},
        {"validate__box": "drop"},
        {"ingest__classes": ["cat"]},
        {"photos__height": 64},
        {"photos__fit": "crop"},
        {"rasterize__priority": "record_order"},
        {"ingest__task": "binary"},
    ],
    ids=str,
)
def test_a_changed_setting_gives_the_bytes_of_a_clean_run(tmp_path, settings):
    source = put_source(tmp_path / "source")
    before = run(tmp_path / "work", source)
    again = run(tmp_path / "work", source, **settings)
    assert again == run(tmp_path / "clean", source, **settings)
    assert run(tmp_path / "work", source) == before


@pytest.mark.parametrize("file", ["validate.pickle", "rasterize/index.pickle", "rasterize/images.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "a bit", "another"])
def test_a_damaged_cache_changes_no_byte(tmp_path, file, damage):
    if file.endswith(".npy") and damage in ("a bit", "another"):
        pytest.skip("rows of this file have no checksum")
    source = put_source(tmp_path / "source")
    before = run(tmp_path / "work", source)
    path = tmp_path / "work" / memory.FOLDER / file
    data = path.read_bytes()
    path.unlink()  # it may be a hard link of a file of the store
    if damage != "gone":
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"empty": b"", "half": data[:middle], "a bit": flipped, "another": b"\x80\x04]."}[damage])
    assert run(tmp_path / "work", source) == before


def test_the_cache_of_another_version_of_the_code_is_not_used(tmp_path, caplog, monkeypatch):
    source = put_source(tmp_path / "source")
    before = run(tmp_path / "work", source)
    monkeypatch.setattr(memory, "version", lambda: "another")
    caplog.set_level(logging.INFO)
    assert run(tmp_path / "work", source) == before
    assert computed(caplog) == []  # no line reports unchanged images
