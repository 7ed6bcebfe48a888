"""CSV files of scores, which evaluate writes for render and for `dvc plots`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segpipe.core import csv_files
from segpipe.evaluate.per_image import ImageScore
from segpipe.evaluate.scores import class_dice, class_iou, present_classes

_PER_IMAGE = ["key", "split", "pixels", "mean_iou", "pixel_accuracy", "found", "missed", "invented"]
_IOU = "iou "  # prefix of the columns with the IoU of a class


def write_confusion(path: Path, matrices: Mapping[str, np.ndarray], class_names: Sequence[str]) -> None:
    """Write the confusion matrices: split, target, pred, pixels, one row per split and pair of classes.

    matrices: int64 (C, C) by split, rows target.
    """
    rows = [
        [split, target, pred, int(matrix[i, j])]
        for split, matrix in matrices.items()
        for i, target in enumerate(class_names)
        for j, pred in enumerate(class_names)
    ]
    csv_files.write(path, ["split", "target", "pred", "pixels"], rows)


def read_confusion(path: Path, class_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the file of write_confusion: int64 (C, C) by split."""
    index = {name: i for i, name in enumerate(class_names)}
    matrices: dict[str, np.ndarray] = {}
    for row in csv_files.read(path):
        matrix = matrices.setdefault(row["split"], np.zeros((len(index), len(index)), np.int64))
        matrix[index[row["target"]], index[row["pred"]]] = int(row["pixels"])
    return matrices


def write_per_image(path: Path, images: Iterable[ImageScore], class_names: Sequence[str]) -> None:
    """Write one row per image; the cell of an absent class is empty."""
    header = [*_PER_IMAGE, *(_IOU + name for name in class_names)]
    rows = [
        [
            *(image.key, image.split, image.pixels, _number(image.mean_iou), _number(image.pixel_accuracy)),
            *(csv_files.join_names(names) for names in (image.found, image.missed, image.invented)),
            *(_number(image.iou.get(name)) for name in class_names),
        ]
        for image in images
    ]
    csv_files.write(path, header, rows)


def read_per_image(path: Path) -> list[ImageScore]:
    """Read the file of write_per_image; scores have six decimals."""
    return [
        ImageScore(
            key=row["key"],
            split=row["split"],
            pixels=int(row["pixels"]),
            mean_iou=_number_or_none(row["mean_iou"]),
            pixel_accuracy=_number_or_none(row["pixel_accuracy"]),
            iou={name.removeprefix(_IOU): float(row[name]) for name in row if name.startswith(_IOU) and row[name]},
            found=csv_files.split_names(row["found"]),
            missed=csv_files.split_names(row["missed"]),
            invented=csv_files.split_names(row["invented"]),
        )
        for row in csv_files.read(path)
    ]


def write_class_plot(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Write the data of a bar plot: class, iou, dice, one row per present class. matrix: int64 (C, C), rows target."""
    values = zip(class_names, class_iou(matrix), class_dice(matrix), strict=True)
    rows = [[n, _number(i), _number(d)] for n, i, d in values if not np.isnan(i)]
    csv_files.write(path, ["class", "iou", "dice"], rows)


def write_confusion_plot(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Write the data of a heat map: target, pred, share of the target's pixels, pixels, one row per pair.

    matrix: int64 (C, C), rows target.
    """
    truth = matrix.sum(axis=1)
    present = [int(i) for i in np.flatnonzero(present_classes(matrix))]
    rows = [
        [class_names[i], class_names[j], _number(matrix[i, j] / truth[i]), int(matrix[i, j])]
        for i in present
        for j in present
        if truth[i]
    ]
    csv_files.write(path, ["target", "pred", "share", "pixels"], rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _number_or_none(cell: str) -> float | None:
    return float(cell) if cell else None
