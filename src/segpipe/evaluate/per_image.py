"""Scores of single images: which images are worst, and which classes are missed or invented in them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from segpipe.evaluate.scores import class_iou, mean_iou, pixel_accuracy


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageScore:
    """Scores of one image, from its confusion matrix."""

    key: str
    split: str
    pixels: int  # number of pixels that are not ignored
    mean_iou: float | None  # of the classes in its truth or prediction; None if every pixel is ignored
    pixel_accuracy: float | None  # None if every pixel is ignored
    iou: dict[str, float] = field(default_factory=dict)  # by class name, without absent classes
    found: tuple[str, ...] = ()  # classes in the truth with at least one correct pixel
    missed: tuple[str, ...] = ()  # classes in the truth without a correct pixel
    invented: tuple[str, ...] = ()  # predicted classes that are not in the truth


def score_image(key: str, split: str, matrix: np.ndarray, class_names: Sequence[str]) -> ImageScore:
    """The scores of one image; matrix: int64 (C, C), rows target."""
    in_truth, predicted = matrix.sum(axis=1) > 0, matrix.sum(axis=0) > 0
    is_hit = np.diagonal(matrix) > 0
    iou = class_iou(matrix)
    return ImageScore(
        key=key,
        split=split,
        pixels=int(matrix.sum()),
        mean_iou=_or_none(mean_iou(matrix)),
        pixel_accuracy=_or_none(pixel_accuracy(matrix)),
        iou={name: float(value) for name, value in zip(class_names, iou, strict=True) if not math.isnan(value)},
        found=_names(in_truth & is_hit, class_names),
        missed=_names(in_truth & ~is_hit, class_names),
        invented=_names(predicted & ~in_truth, class_names),
    )


def detection(rows: Iterable[ImageScore]) -> dict[str, dict[str, int]]:
    """For each class, the number of images in which it is found, missed and invented, as ImageScore defines it.

    Classes that occur in no truth and no prediction are left out.
    """
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for verdict, names in (("found", row.found), ("missed", row.missed), ("invented", row.invented)):
            for name in names:
                counts.setdefault(name, {"found": 0, "missed": 0, "invented": 0})[verdict] += 1
    return dict(sorted(counts.items()))


def detection_scores(rows: Iterable[ImageScore]) -> dict[str, dict[str, float]]:
    """Recall and precision of whole images, 0..1, by class name; one large object can decide the pixel scores.

    image_recall: the share of images with the class in the truth in which at least one of its pixels is correct.
    image_precision: the share of images in which the class is found, of those in which it is found or invented.
    A score that would be 0/0 is left out.
    """
    counts = detection(rows)
    recall = {name: _share(c["found"], c["missed"]) for name, c in counts.items() if c["found"] + c["missed"]}
    precision = {name: _share(c["found"], c["invented"]) for name, c in counts.items() if c["found"] + c["invented"]}
    return {"image_recall": recall, "image_precision": precision}


def ranked(rows: Iterable[ImageScore]) -> list[ImageScore]:
    """The images by mean IoU, the worst first, then by key; images without a counted pixel are left out."""
    scored = [row for row in rows if row.mean_iou is not None]
    return sorted(scored, key=lambda row: (row.mean_iou, row.key))


def worst_median_best(rows: Iterable[ImageScore], count: int) -> dict[str, list[ImageScore]]:
    """Up to `count` images each with the lowest, the middle and the highest mean IoU; no image is chosen twice.

    With few images the worst are chosen first, then the best, then the middle of the rest.
    """
    order = ranked(rows)
    worst = order[:count]
    best = order[count:][-count:] if count else []
    rest = order[len(worst) : len(order) - len(best)]
    start = max(0, (len(rest) - count) // 2)
    return {"worst": worst, "median": rest[start : start + count], "best": best[::-1]}


def caption(score: ImageScore, place: str) -> list[str]:
    """The two lines above a sheet: the key of the image; its place, such as "worst 1 of 100", and its scores."""
    parts = [place, f"mean IoU {score.mean_iou:.3f}", f"pixel accuracy {score.pixel_accuracy:.3f}"]
    for verdict, names in (("missed", score.missed), ("invented", score.invented)):
        if names:
            parts.append(f"{verdict}: {', '.join(names)}")
    return [score.key, " · ".join(parts)]


def _share(part: int, rest: int) -> float:
    return part / (part + rest)


def _names(chosen: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, is_chosen in zip(class_names, chosen, strict=True) if is_chosen)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
