"""results/index.html: one page with the scores and the sample sheets. It opens from disk without a network."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.data import split_table
from segpipe.data.classes import ClassTable
from segpipe.data.split_table import SIDES
from segpipe.evaluate import score_tables
from segpipe.evaluate.per_image import ImageScore, detection
from segpipe.evaluate.scores import class_dice, class_iou, class_precision, class_recall, present_classes
from segpipe.report import pages
from segpipe.report.samples import SampleSheet

_WORST_PAIRS = 8
_BINS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelReport:
    """The contents of the page."""

    split: str  # the headline's; everything but `scores` is about it
    scores: Mapping[str, Mapping[str, Any]]  # scores.summary by split
    matrix: np.ndarray  # confusion, int64 (C, C), rows target
    classes: ClassTable
    images: Sequence[ImageScore]
    split_sizes: Mapping[str, int]  # images by split
    facts: Mapping[str, str | int | float]  # about the model, by name


def read(metrics: Path, classes: Path, splits: Path, facts: Mapping[str, str | int | float]) -> ModelReport:
    """The contents of the page from the files that evaluate and split wrote. facts: about the model.

    metrics: the folder of confusion.csv, per_image.csv and evaluate.json; classes: classes.json; splits: splits.csv.
    """
    table = ClassTable.read(classes)
    matrices = score_tables.read_confusion(metrics / "confusion.csv", table.names)
    headline = next(iter(matrices))
    sizes = Counter(split or "left out" for split in split_table.read_splits(splits).values())
    return ModelReport(
        split=headline,
        scores=json.loads((metrics / "evaluate.json").read_text(encoding="utf-8")),
        matrix=matrices[headline],
        classes=table,
        images=[image for image in score_tables.read_per_image(metrics / "per_image.csv") if image.split == headline],
        split_sizes={name: sizes[name] for name in (*SIDES, "left out") if sizes[name]},
        facts=facts,
    )


def html(report: ModelReport, samples: Mapping[str, Sequence[SampleSheet]]) -> str:
    """The page: UTF-8 text. It contains no date and no path, so equal results make an equal page.

    samples: the sheets in the folder `samples` beside the page, by group, in the order of the page.
    """
    present = present_classes(report.matrix)
    return pages.render(
        "model_report.html.j2",
        report=report,
        samples=samples,
        headline=report.scores[report.split],
        others={split: scores for split, scores in report.scores.items() if split != report.split},
        classes=_class_rows(report),
        absent=[name for name, is_present in zip(report.classes.names, present, strict=True) if not is_present],
        confusion=_confusion_rows(report.matrix, report.classes.names),
        worst_pairs=_worst_pairs(report.matrix, report.classes.names),
        histogram=_histogram(report.images),
    )


def _class_rows(report: ModelReport) -> list[dict[str, Any]]:
    """A row for each present class; a score that does not exist is None."""
    matrix = report.matrix
    images_by_class = detection(report.images)
    shares = matrix.sum(axis=1) / max(1, matrix.sum())
    scores = (class_iou(matrix), class_dice(matrix), class_recall(matrix), class_precision(matrix))
    present = present_classes(matrix)
    columns = zip(report.classes.names, report.classes.colours, present, shares, *scores, strict=False)  # 256 colours
    return [
        {
            "name": name,
            "colour": "rgb({}, {}, {})".format(*colour),
            "share": float(share),
            "iou": float(iou),
            "dice": float(dice),
            "recall": None if np.isnan(recall) else float(recall),
            "precision": None if np.isnan(precision) else float(precision),
            "images": images_by_class.get(name, {"found": 0, "missed": 0, "invented": 0}),
        }
        for name, colour, is_present, share, iou, dice, recall, precision in columns
        if is_present
    ]


def _confusion_rows(matrix: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """The present classes: predictions as shares of the class's true pixels, None if it has no true pixel."""
    shown = [int(i) for i in np.flatnonzero(present_classes(matrix))]
    return [
        {
            "name": names[i],
            "cells": [
                {
                    "pred": names[j],
                    "share": float(matrix[i, j] / matrix[i].sum()) if matrix[i].sum() else None,
                    "pixels": int(matrix[i, j]),
                    "right": i == j,
                }
                for j in shown
            ],
        }
        for i in shown
    ]


def _worst_pairs(matrix: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """The most frequently confused pairs of classes, by pixels."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_WORST_PAIRS]
    cells = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return [
        {
            "target": names[i],
            "pred": names[j],
            "of_target": float(wrong[i, j] / matrix[i].sum()),
            "of_errors": float(wrong[i, j] / wrong.sum()),
        }
        for i, j in cells
        if wrong[i, j]
    ]


def _histogram(images: Sequence[ImageScore]) -> list[dict[str, Any]]:
    """The number of images by tenths of their mean IoU; the height of a bar is relative to the highest."""
    values = [image.mean_iou for image in images if image.mean_iou is not None]
    counts, edges = np.histogram(values, bins=_BINS, range=(0, 1))
    highest = max(1, int(counts.max()))
    return [
        {"count": int(count), "height": int(count) / highest, "low": float(low), "high": float(high)}
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    ]
