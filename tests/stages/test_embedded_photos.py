"""LabelMe files with an embedded photo and no photo file: through all data stages, and converted."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from segpipe.__main__ import main
from segpipe.convert import convert
from segpipe.core.files import sha256_of
from segpipe.data import photos, tables
from segpipe.data.store import Store
from segpipe.inference.pairs import find_pairs
from tests import data_half
from tests.convert.scenes import label_maps

TUTORIAL = "labelme/tutorial/apc2016_obj3"
NAMES = (
    "highland_6539_self_stick_notes", "kong_air_dog_squeakair_tennis_ball", "mead_index_cards", "shelf",
)  # fmt: skip


@pytest.fixture(scope="module")
def source(real_data, tmp_path_factory) -> Path:
    """The JSON of labelme's tutorial, without its photo; and one whose embedded photo is broken."""
    folder = tmp_path_factory.mktemp("inside") / "source"
    folder.mkdir()
    text = (real_data / f"{TUTORIAL}.json").read_text()
    (folder / "a.json").write_text(text)
    (folder / "broken.json").write_text(json.dumps(json.loads(text) | {"imageData": "AAAA"}))
    return folder


@pytest.fixture(scope="module")
def project(source) -> Path:
    folder = source.parent
    data_half.run(folder, Path("source"), split__val=0.0, split__test=0.0)
    return folder


def test_masks_and_records_come_from_the_embedded_photo(project, source):
    (photo,) = tables.read_photos(project / "data/checked/images.parquet")
    assert (photo.key, photo.file, photo.width, photo.height) == ("a", "a.json", 1210, 907)
    data = base64.b64decode(json.loads((source / "a.json").read_text())["imageData"])
    (project / "embedded.jpg").write_bytes(data)
    assert photo.sha256 == sha256_of(project / "embedded.jpg")
    counts = json.loads((project / "metrics/validate.json").read_text())
    assert counts["images"]["verdicts"] == {"kept": 1, "dropped": 1}
    assert counts["images"]["reasons"] == {"unreadable": 1}
    stored = Store.open(project / "data/photos", project / "data/labels").images
    assert len(stored) == 1
    assert stored[0].std() > 10  # not blank


def test_no_stage_copies_the_embedded_photo(project):
    copies = [path for path in (project / "data").rglob("*") if path.suffix in (".jpg", ".jpeg")]
    assert copies == []


def test_evaluation_reads_the_embedded_photo(project, source):
    photo = tables.read_photos(project / "data/checked/images.parquet")
    (pair,) = find_pairs({"a": "test"}, photo, source, project / "data/masks")
    assert photos.read_rgb(pair.photo, pair.frame).shape == (907, 1210, 3)


def test_report_and_explain_show_the_embedded_photo(project, monkeypatch, capsys):
    page = (project / "results/data_report.html").read_text(encoding="utf-8")
    assert "broken.json" in page
    monkeypatch.chdir(project)
    assert main(["explain", "a.json#0", "--output", "shown.png"]) == 0
    output = capsys.readouterr().out
    assert "image        a.json (key a)" in output
    assert (project / "shown.png").is_file()


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("to", sorted(convert.WRITERS))
def test_every_target_format_draws_an_equal_label_map(source, tmp_path, to, copied):
    lines = convert.convert(source, tmp_path / "out", to, copy_images=copied)
    assert "  left out: 1 image: unreadable" in lines
    if copied:
        assert [path.suffix for path in (tmp_path / "out").rglob("*.jp*g")] == [".jpg"]
    elif to == "labelme":
        assert lines[-1].startswith("  photos: 1 inside the annotation files as in the source")
    else:
        assert "(--copy-images; only this option saves the 1 photo inside annotation files)" in lines[-1]
        return
    before = label_maps(source, NAMES)
    back = label_maps(tmp_path / "out", NAMES)
    np.testing.assert_array_equal(back["a"], before["a"])
    assert (before["a"] > 0).any()
