"""A Roboflow export with augmented copies: they get one split; copies in different splits of the source are leaks."""

import csv
import json
from collections import defaultdict
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from segpipe.core.errors import UserError
from stages import split
from tests import data_half
from tests.faults.sources import put_photo
from tests.ingest.folders import coco, drawn, photo, put_json

STEMS = [f"scene 0{number}_png" for number in range(12)]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Three copies of each of twelve different images; two of the images have one copy in valid."""
    work = tmp_path_factory.mktemp("copies")
    versions = [(number, stem, version) for number, stem in enumerate(STEMS) for version in range(3)]
    for folder in ("train", "valid"):
        names = [
            f"{stem}.rf.{number:031x}{version}.jpg"
            for number, stem, version in versions
            if (folder == "valid") == (number < 2 and version == 2)
        ]
        for number, name in enumerate(names):
            put_photo(work / "source" / folder / name, 100 * len(folder) + number, (8, 6))
        records = [photo(number, name) for number, name in enumerate(names, start=1)]
        annotations = [drawn(number, image_id=number) for number in range(1, len(names) + 1)]
        put_json(work / "source" / folder / "_annotations.coco.json", coco(records, annotations))
    data_half.prepare(work, Path("source"))
    with chdir(work):
        for name, stage in data_half.STAGES.items():
            if name != "split":
                stage()
    return work


def placed(**settings: object) -> dict[str, set[str]]:
    """The splits of the copies of each image, after the stage with these settings of `split`."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"split": params["split"] | settings}))
    split.main()
    side_of = defaultdict(set)
    with Path("data/splits.csv").open() as file:
        for row in csv.DictReader(file):
            side_of[row["key"].split("__")[-1].split(".rf")[0].split("_rf")[0]].add(row["split"])
    assert len(side_of) == len(STEMS)
    return side_of


@pytest.mark.parametrize("method", ["content", "balanced"])
def test_copies_get_one_split_and_the_log_counts_them(project, monkeypatch, caplog, method):
    monkeypatch.chdir(project)
    caplog.set_level("INFO")
    sides = placed(method=method, val=0.2, test=0.2, scene="", max_leaks=0.0)
    assert all(len(splits) == 1 for splits in sides.values())
    assert set().union(*sides.values()) == {"train", "val", "test"}
    assert "copies of 12 images by their names: 36 images (first: train__scene" in caplog.text


def test_copies_in_different_splits_of_the_source_are_leaks_and_can_be_too_many(project, monkeypatch):
    monkeypatch.chdir(project)
    sides = placed(method="source", scene="", max_leaks=1.0)
    assert sum(len(splits) > 1 for splits in sides.values()) == 2
    leaked = json.loads(Path("metrics/split.json").read_text())["leaks"]
    assert (leaked["copied_images"], leaked["images"], leaked["share"]) == (2, 2, 1.0)
    with pytest.raises(UserError, match=r"copies of an image with a copy in another split: 2 \(first"):
        placed(method="source", max_leaks=0.5)


def test_the_setting_scene_takes_precedence_over_names(project, monkeypatch, caplog):
    monkeypatch.chdir(project)
    caplog.set_level("INFO")
    sides = placed(method="balanced", val=0.3, test=0.3, scene="(.+)", near_duplicate_bits=0)
    assert any(len(splits) > 1 for splits in sides.values())
    assert "by their names" not in caplog.text
