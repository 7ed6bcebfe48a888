"""The ten edge cases of the README: each is planted in a small source, and counted as the README states."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.project import Project

BOW_TIE = [0, 0, 16, 16, 16, 0, 0, 16]


def box(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


class Source:
    """A COCO folder; each call of `add` adds an image and its annotations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: list[dict] = []
        self.annotations: list[dict] = []

    def add(self, name: str, *shapes: tuple[str, object], size=(40, 32), content: bytes | None = None) -> None:
        """Add one image.

        shapes: (class, segmentation) of each annotation.
        content: bytes of the file, instead of a photo of noise; b"" for no file.
        """
        path = self.folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(self.images)).integers(0, 256, (size[1], size[0], 3), np.uint8)
        if content is None:
            Image.fromarray(noise).save(path)
        elif content:
            path.write_bytes(content)
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for category, segmentation in shapes:
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": number,
                    "category_id": {"cat": 1, "dog": 5, "cow": 9}[category],
                    "segmentation": segmentation,
                    "iscrowd": 0,
                }
            )

    def write(self) -> None:
        categories = [{"id": i, "name": n} for i, n in ((1, "cat"), (5, "dog"), (9, "cow"))]
        document = {"images": self.images, "annotations": self.annotations, "categories": categories}
        (self.folder / "instances.json").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("edges"))
    source = Source(made.folder / "photos")
    for number in range(6):
        source.add(f"plain{number}.png", ("cat", [box(4, 4, 20, 12)]))
    source.add("overlap.png", ("dog", [box(8, 8, 8, 8)]), ("cat", [box(2, 2, 30, 20)]), ("dog", [box(12, 8, 8, 8)]))
    source.add("missing_annotation.png", ("cat", [box(0, 0, 9, 9)]), ("cat", []))
    source.add("other_class.png", ("cat", [box(0, 0, 9, 9)]), ("cow", [box(20, 20, 9, 9)]))
    source.add("no_match.png", ("cow", [box(20, 20, 9, 9)]))
    source.add("bare.png")
    source.add("empty_mask.png", ("cat", [box(5, 5, 0.2, 20)]))
    source.add("cut_short.png", ("cat", [box(0, 0, 9, 9)]), content=b"\x89PNG\r\n\x1a\n and then nothing")
    source.add("absent.png", ("cat", [box(0, 0, 9, 9)]), content=b"")
    source.add("tall.png", ("cat", [box(0, 0, 10, 60)]), size=(20, 64))
    source.add("bow_tie.png", ("cat", [BOW_TIE]))
    source.add("drawing.svg", ("cat", [box(0, 0, 9, 9)]), content=b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    for number in range(7):
        source.add(f"empty_mask{number}.png", ("cat", [box(5, 5, 0.2, 20)]))
    source.add("wrong_size.png", ("cat", [box(0, 0, 9, 9)]))
    source.images[-1] |= {"width": 400, "height": 320}
    source.write()
    made.set("ingest.source", "photos")
    made.set("ingest.classes", ["cat", "dog"])
    made.set("validate.limits", {"dropped_images": 0.5, "dropped_annotations": 0.5})
    made.output = {
        stage: made.run("python", "-m", f"stages.{stage}") for stage in ("ingest", "validate", "rasterize", "split")
    }
    return made


def mask(project: Project, key: str) -> np.ndarray:
    with Image.open(project.folder / f"data/masks/images__{key}.png") as image:
        return np.asarray(image)


def reasons(project: Project, kind: str, stage: str = "validate") -> dict[str, int]:
    return project.metrics(stage)[kind]["reasons"]


def split_rows(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.folder / "data/splits.csv", keep_default_na=False).set_index("key")


def test_1_overlaps_belong_to_the_smaller_object_or_else_to_the_later(project):
    drawn = mask(project, "overlap")
    assert drawn[10, 14] == 2  # both dogs over the cat
    assert drawn[3, 3] == 1
    ledger = pd.read_parquet(project.folder / "data/ledger.parquet")
    dogs = ledger[(ledger.image_key == "images__overlap") & (ledger.category == "dog")]
    assert dogs.px_after.tolist() == [32, 64]  # the later dog keeps its 8 x 8 pixels, the earlier loses half


def test_2_missing_annotations_are_ignored_with_a_warning(project):
    assert reasons(project, "annotations")["bad_record"] == 1
    assert "1 annotation dropped: bad_record" in project.output["validate"]
    assert (mask(project, "missing_annotation") == 1).sum() == 81  # the valid annotation is drawn


def test_3_classes_that_are_not_listed_are_discarded(project):
    assert reasons(project, "annotations")["class_not_selected"] == 2
    assert set(np.unique(mask(project, "other_class"))) == {0, 1}


def test_4_images_without_a_matching_annotation_are_skipped(project):
    assert reasons(project, "images")["no_matching_annotation"] == 2
    assert not {"images__no_match", "images__bare"} & set(split_rows(project).index)


def test_5_empty_masks_are_left_out_of_training_and_stay_in_val_and_test(project):
    rows = split_rows(project)
    empty = rows[rows.index.str.startswith("images__empty_mask")]
    assert set(empty.reason) == {"empty_mask"}
    assert set(empty.split) == {"", "val", "test"}  # "" instead of train
    assert project.metrics("rasterize")["empty_masks"] == len(empty)
    assert project.metrics("split")["left_out"] == {"empty_mask": (empty.split == "").sum()}


def test_6_files_with_io_errors_are_logged_and_skipped(project):
    counted = reasons(project, "images")
    assert (counted["unreadable"], counted["missing_file"]) == (1, 1)
    assert (
        "1 image dropped: unreadable (first: instances.json: images[12] (id 13): is not an image file"
        in project.output["validate"]
    )
    assert reasons(project, "annotations")["image_lost"] == 4  # with the svg and the wrong size


def test_7_images_of_any_shape_are_padded_to_the_training_size(project):
    opened = project.store()
    assert opened.labels.shape[1:] == (64, 64)
    tall = opened.labels[opened.keys.index("images__tall")]  # 20 x 64 fits into 64 x 64 without scaling
    assert (tall[:, :22] == 255).all()
    assert (tall[:, 42:] == 255).all()
    assert (tall[:60, 22:32] == 1).all()


def test_8_invalid_polygons_are_corrected_and_recorded(project):
    assert reasons(project, "annotations")["self_crossing"] == 1
    ledger = pd.read_parquet(project.folder / "data/checked/ledger.parquet")
    (row,) = ledger[ledger.reason == "self_crossing"].itertuples()
    assert (row.verdict, row.area_before, row.area_after) == ("repaired", 0, 128)  # two triangles of 16 x 8 / 2
    assert abs(row.px_before - 128) <= 16


def test_9_unsupported_formats_are_filtered(project):
    assert reasons(project, "images")["unsupported_format"] == 1


def test_10_integrity_is_checked_before_anything_is_saved(project):
    assert reasons(project, "images")["size_mismatch"] == 1
    photos = pd.read_parquet(project.folder / "data/checked/images.parquet")
    masks = {path.stem for path in (project.folder / "data/masks").glob("*.png")}
    assert masks == set(photos.key)  # every photo has a mask
    assert photos.key.is_unique
    for photo in photos.itertuples():
        drawn = mask(project, photo.key.removeprefix("images__"))
        assert drawn.shape == (photo.height, photo.width)
        assert set(np.unique(drawn)) <= {0, 1, 2, 255}
