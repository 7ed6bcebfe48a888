"""Large and small images in one data set, through the stages and inference.py: the store has a row for each tile."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segpipe.inference.predict import predict
from segpipe.masks import label_png
from segpipe.models import model_file
from tests.project import Project
from tests.test_edge_cases import Source, box

LARGE, SMALL = (300, 200), (90, 60)  # width x height; tiles of 96 x 96 that overlap by 32: 5 x 3 for a large image
TILES = 5 * 3
SETS = 5


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("tiles"))
    source = Source(made.folder / "photos")
    for number in range(SETS):
        source.add(f"large{number}.png", ("cat", [box(20, 20, 150, 120)]), ("dog", [box(230, 60, 50, 90)]), size=LARGE)
        source.add(f"small{number}.png", ("cat", [box(10, 10, 40, 30)]), ("dog", [box(60, 20, 20, 20)]), size=SMALL)
    source.add("fenced.png", ("cat", [box(120, 20, 100, 120)]), ("dog", [box(0, 0, 100, 200)]), size=LARGE)
    source.annotations[-1]["iscrowd"] = 1  # the first column of tiles shows only the crowd
    source.write()
    made.set("ingest.source", "photos")
    made.set("ingest.classes", ["cat", "dog"])
    made.set("photos.tiles", {"side": 96, "overlap": 32})
    made.set("split.near_duplicate_bits", 0)  # images of noise may have similar hashes
    made.set("split.scene", r"(large\d|small\d)")
    made.set("split.val", 0.3)
    made.set("split.test", 0.3)
    made.set("train.batch_size", 8)
    made.set("train.encoder", "mobilenetv3_small_050")
    made.set("train.weights", "random")
    made.set("tracking.mlflow", False)
    for stage in ("ingest", "validate", "rasterize", "split", "train", "evaluate"):
        made.run("python", "-m", f"stages.{stage}")
    return made


def split_of(project: Project) -> dict[str, str]:
    table = pd.read_csv(project.folder / "data/splits.csv", keep_default_na=False)
    assert table.key.is_unique
    return dict(zip(table.key, table.split, strict=True))


def test_each_tile_and_each_small_image_is_a_row(project):
    opened = project.store()
    rows = pd.Series(opened.keys).value_counts()
    for key, count in rows.items():
        assert count == (1 if "small" in key else TILES), key
    assert project.metrics("rasterize")["store_rows"] == {"whole": SETS, "tiles": (SETS + 1) * TILES, "only_ignored": 3}
    assert len(opened.images) == len(opened.labels) == SETS + (SETS + 1) * TILES


def test_each_image_has_one_mask_and_one_line_in_the_split(project):
    masks = {path.stem for path in (project.folder / "data/masks").glob("*.png")}
    assert masks == set(split_of(project)) == set(project.store().keys)
    with Image.open(project.folder / "data/masks/images__large0.png") as mask:
        assert mask.size == LARGE


def test_shares_count_images_and_no_pixel_twice(project):
    assert sum(project.metrics("split")["images"].values()) == 2 * SETS + 1
    table = pd.read_csv(project.folder / "metrics/plots/split/classes.csv")
    assert table.pixels.sum() == SETS * 90 * 60 + (SETS + 1) * 300 * 200 - 100 * 200  # all but the crowd


def test_all_tiles_of_an_image_have_its_split_except_tiles_of_ignored_pixels(project):
    output = project.run(
        "python",
        "-c",
        "from segpipe.params import load; from segpipe.train.prepare import data_and_network\n"
        "params = load(); store, data, *_ = data_and_network(params.train, params.seed)\n"
        "print(*data.train_index); print(*data.val_index)",
    )
    train, val = ({int(word) for word in line.split()} for line in output.splitlines()[-2:])
    opened, splits = project.store(), split_of(project)
    for row, key in enumerate(opened.keys):
        has_label = bool((opened.labels[row] != 255).any())
        assert (row in train, row in val) == (has_label and splits[key] == "train", has_label and splits[key] == "val")
    assert train
    assert val


def test_a_forecast_counts_rows(project):
    opened, splits = project.store(), split_of(project)
    rows_of_store = zip(opened.keys, opened.row_pixels, strict=True)
    rows = sum(splits[key] == "train" and bool(pixels.any()) for key, pixels in rows_of_store)
    assert rows > list(splits.values()).count("train")
    assert f"({-(-rows // 8)} steps of " in project.run("python", "-m", "segpipe", "forecast")


def test_scores_are_counted_for_each_image_at_native_size(project):
    scored = pd.read_csv(project.folder / "metrics/per_image.csv").set_index("key")
    assert set(scored.index) == {key for key, side in split_of(project).items() if side in ("val", "test")}
    for key, row in scored.iterrows():
        whole = 90 * 60 if "small" in key else 300 * 200
        assert row.pixels == (whole - 100 * 200 if "fenced" in key else whole)


def test_the_model_file_predicts_large_images_like_evaluate(project, tmp_path):
    script = [sys.executable, str(project.folder / "inference.py"), "--weights", "models/model.pt", "--overlay"]
    done = subprocess.run(
        [*script, "--input", "photos/images/large0.png", "photos/images/small0.png", "--output", str(tmp_path)],
        cwd=project.folder, env=project.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "2 of 2 images predicted" in done.stderr
    segmenter, facts = model_file.load(project.folder / "models/model.pt")
    assert (facts.tile_side, facts.tile_overlap) == (96, 32)
    for name, size in (("large0", LARGE), ("small0", SMALL)):
        image = np.asarray(Image.open(project.folder / f"photos/images/{name}.png"))
        mask = label_png.read(tmp_path / f"{name}.png")
        assert mask.shape == size[::-1]
        [pred] = predict(segmenter, facts, [image], "cpu")
        assert (mask == pred).mean() > 0.999  # other batches may be rounded differently


def test_an_explanation_contains_the_number_of_tiles(project):
    output = project.run("python", "-m", "segpipe", "explain", "instances.json#1")
    assert re.search(rf"px at 64 x 64 pixels in \d+ of the image's {TILES} tiles", output)
