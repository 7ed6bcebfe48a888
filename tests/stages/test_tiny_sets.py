"""Data sets of a few images: every split has an image, or the stage split stops and names the change that helps."""

import json
import re
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from segpipe.core.errors import UserError
from stages import split
from tests import data_half
from tests.faults.sources import put_photo
from tests.ingest.folders import coco, drawn, photo, put_json


@pytest.fixture(scope="module")
def drawn_sets(tmp_path_factory) -> dict[int, Path]:
    """Projects with 1, 2 and 5 images of a cat each, before the split."""
    made = {}
    for count in (1, 2, 5):
        made[count] = tmp_path_factory.mktemp(str(count))
        names = [f"{number}.png" for number in range(1, count + 1)]
        for number, name in enumerate(names):
            put_photo(made[count] / "source" / name, number, (8, 6))
        records = [photo(number, name) for number, name in enumerate(names, start=1)]
        annotations = [drawn(number, image_id=number) for number in range(1, count + 1)]
        put_json(made[count] / "source/instances.json", coco(records, annotations))
        data_half.prepare(made[count], Path("source"), split__near_duplicate_bits=0)
        with chdir(made[count]):
            for name, stage in data_half.STAGES.items():
                if name != "split":
                    stage()
    return made


def placed(**settings: object) -> dict[str, int]:
    """The number of images by split, after the stage with these settings of `split`."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["split"] |= settings
    Path("params.yaml").write_text(yaml.safe_dump(params))
    split.main()
    return json.loads(Path("metrics/split.json").read_text())["images"]


@pytest.mark.parametrize("method", ["content", "balanced"])
@pytest.mark.parametrize("count", [2, 5])
def test_the_named_change_gives_every_split_an_image(drawn_sets, monkeypatch, count, method):
    monkeypatch.chdir(drawn_sets[count])
    try:
        assert all(placed(method=method, val=0.15, test=0.15).values())
        return
    except UserError as error:
        named = dict(re.findall(r"split\.(\w+): (\w+)", str(error)))
    counts = placed(**{key: yaml.safe_load(value) for key, value in named.items()})
    assert [counts["train"], counts["val"]] > [0, 0]
    assert (counts["test"] > 0) == (named.get("test") != "0")


def test_one_image_is_too_few_and_the_report_is_written(drawn_sets, monkeypatch):
    monkeypatch.chdir(drawn_sets[1])
    with pytest.raises(UserError, match=r"\(1 image in 1 group\); add images"):
        placed(method="balanced", val=0.15, test=0.15)
    assert Path("results/data_report.html").is_file()


def test_a_split_without_val_and_test_has_a_warning(drawn_sets, monkeypatch, caplog):
    monkeypatch.chdir(drawn_sets[1])
    assert placed(val=0, test=0) == {"train": 1, "val": 0, "test": 0}
    assert "nothing can be scored: evaluate needs an image in val or test" in caplog.text
