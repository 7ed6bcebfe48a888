"""The keys of params.yaml that each stage reads, recorded while it runs, are the params that dvc.yaml lists for it."""

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import BaseModel

from segpipe import params
from segpipe.train.recipe import Recipe, RunRecipe
from stages import evaluate, ingest, rasterize, render, split, train, validate
from tests import data_half
from tests.conftest import ROOT
from tests.ingest.folders import coco, drawn, put_json

STAGES: dict[str, ModuleType] = {
    "ingest": ingest, "validate": validate, "rasterize": rasterize, "split": split, "train": train,
    "evaluate": evaluate, "render": render,
}  # fmt: skip
SETTINGS = {
    "split__method": "balanced", "split__folds": 3,
    "train__architecture": "fpn", "train__encoder": "mobilenetv3_small_050", "train__weights": "random",
    "train__epochs": 1, "train__warmup_epochs": 0, "train__batch_size": 2,
    "render__samples": 1, "tracking__mlflow": False,
}  # fmt: skip
CHANGES_NO_RESULT = ("compute.", "tracking.")
UNDECLARED = {
    "train": {"ingest.source"},  # to find the source's hash in dvc.lock, for the tags of the run
    "render": {"evaluate.batch_size"},  # changes no prediction
}
UNREAD = {  # listed, but read only with other settings
    "split": {"split.source_roles"},
    "train": {"train.weights_file"},
}


def sections(section: type[BaseModel], place: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """The type of each section of params.yaml, with the prefix of its keys."""
    yield section, place
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from sections(field.annotation, f"{place}{field.alias or name}.")


PLACES = dict(sections(params.Params))


def leaves(section: type[BaseModel]) -> dict[str, str]:
    """The key of each field of a section that is not a section itself."""
    fields = section.model_fields.items()
    return {name: PLACES[section] + name for name, field in fields if field.annotation not in PLACES}


KEYS = {key for section in PLACES for key in leaves(section).values()}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The keys that each stage reads, recorded in a run of the whole pipeline on 12 tiny images."""
    work = tmp_path_factory.mktemp("work")
    draw_source(work / "photos")
    data_half.prepare(work, Path("photos"), **SETTINGS)
    seen: set[str] = set()
    read_by = {}
    with pytest.MonkeyPatch.context() as patch, chdir(work):
        patch.setattr(params.Settings, "__getattribute__", recorded_getattribute(seen), raising=False)
        patch.setattr(params.Settings, "model_dump", recorded_dump(seen))
        for name, stage in STAGES.items():
            patch.setattr(stage, "load", load_without_record(seen))
            stage.main()
            read_by[name] = set(seen)
    return read_by


def draw_source(folder: Path) -> None:
    random, squares = np.random.default_rng(0), [[8, 8, 24, 8, 24, 24, 8, 24]]
    folder.mkdir()
    for number in range(12):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    images = [{"id": number, "file_name": f"{number}.png", "width": 32, "height": 32} for number in range(12)]
    objects = [drawn(number, image_id=number, segmentation=squares, area=256) for number in range(12)]
    put_json(folder / "instances.json", coco(images, objects))


def recorded_getattribute(seen: set[str]) -> Any:
    plain = object.__getattribute__

    def get(self: params.Settings, name: str) -> Any:
        kind = plain(self, "__class__")
        kind = Recipe if kind is RunRecipe else kind
        if name in kind.model_fields and name in (keys := leaves(kind)):
            seen.add(keys[name])
        return plain(self, name)

    return get


def recorded_dump(seen: set[str]) -> Any:
    plain = BaseModel.model_dump

    def dump(self: params.Settings, **options: Any) -> dict[str, Any]:
        if not isinstance(self, params.Params):  # the whole of it goes to the tracker
            place = PLACES[Recipe if isinstance(self, RunRecipe) else type(self)]
            below = {key for kind in PLACES for key in leaves(kind).values() if key.startswith(place)}
            seen.update(below - {place + name for name in options.get("exclude", ())})
        return plain(self, **options)

    return dump


def load_without_record(seen: set[str]) -> Any:
    """params.load; the keys that its checks read are not recorded."""
    plain = params.load

    def load() -> params.Params:
        loaded = plain()
        seen.clear()
        return loaded

    return load


def declared(stage: str) -> set[str]:
    named = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]["params"]
    return {key for key in KEYS for name in named if key == name or key.startswith(f"{name}.")}


@pytest.mark.parametrize("stage", STAGES)
def test_every_key_that_a_stage_reads_is_listed_in_its_params(read, stage):
    read_keys = {key for key in read[stage] if not key.startswith(CHANGES_NO_RESULT)}
    assert read_keys - declared(stage) == UNDECLARED.get(stage, set())


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_every_param_that_is_listed_for_it(read, stage):
    assert declared(stage) - read[stage] == UNREAD.get(stage, set())
