"""One picture's scores: which pictures are worst, and which classes were missed or invented in them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from segpipe.evaluate.scores import class_iou, mean_iou, pixel_accuracy


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageScore:
    """Scores of one picture from its own confusion matrix.

    pixels: counted (not ignored) pixels; mean_iou: over the classes in this picture's truth or prediction, None where
    every pixel is ignored, as is pixel_accuracy; iou: by name, absent classes left out; found: classes in truth with at
    least one pixel right; missed: classes in truth with none; invented: classes predicted that truth has nowhere.
    """

    key: str
    split: str
    pixels: int
    mean_iou: float | None
    pixel_accuracy: float | None
    iou: dict[str, float] = field(default_factory=dict)
    found: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()


def score_image(key: str, split: str, matrix: np.ndarray, class_names: Sequence[str]) -> ImageScore:
    """Score one picture; matrix: int64 (C, C), rows target."""
    in_truth, predicted = matrix.sum(axis=1) > 0, matrix.sum(axis=0) > 0
    hit = np.diagonal(matrix) > 0
    iou = class_iou(matrix)
    return ImageScore(
        key=key,
        split=split,
        pixels=int(matrix.sum()),
        mean_iou=_or_none(mean_iou(matrix)),
        pixel_accuracy=_or_none(pixel_accuracy(matrix)),
        iou={name: float(value) for name, value in zip(class_names, iou, strict=True) if not math.isnan(value)},
        found=_names(in_truth & hit, class_names),
        missed=_names(in_truth & ~hit, class_names),
        invented=_names(predicted & ~in_truth, class_names),
    )


def detection(rows: Iterable[ImageScore]) -> dict[str, dict[str, int]]:
    """Per class, in how many pictures it was found (a pixel right), missed (none), invented (truth has none).

    Classes that no picture has or is said to have are left out.
    """
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for verdict, names in (("found", row.found), ("missed", row.missed), ("invented", row.invented)):
            for name in names:
                counts.setdefault(name, {"found": 0, "missed": 0, "invented": 0})[verdict] += 1
    return dict(sorted(counts.items()))


def detection_scores(rows: Iterable[ImageScore]) -> dict[str, dict[str, float]]:
    """Image-level scores by class name, 0..1, beside the pixel scores, which one large object can decide.

    image_recall: of the pictures whose truth has the class, the share in which a pixel of it is right;
    image_precision: of the pictures where it is found or invented, the share where it is found. 0/0 is left out.
    """
    counts = detection(rows)
    recall = {name: _share(c["found"], c["missed"]) for name, c in counts.items() if c["found"] + c["missed"]}
    precision = {name: _share(c["found"], c["invented"]) for name, c in counts.items() if c["found"] + c["invented"]}
    return {"image_recall": recall, "image_precision": precision}


def ranked(rows: Iterable[ImageScore]) -> list[ImageScore]:
    """Worst first by mean IoU, ties by key; pictures without a counted pixel are left out."""
    scored = [row for row in rows if row.mean_iou is not None]
    return sorted(scored, key=lambda row: (row.mean_iou, row.key))


def worst_median_best(rows: Iterable[ImageScore], count: int) -> dict[str, list[ImageScore]]:
    """`count` pictures each of the lowest, the middle and the highest mean IoU; none twice, fewer if there are fewer.

    The worst come first, then the best, then what lies in the middle of the rest.
    """
    order = ranked(rows)
    worst = order[:count]
    best = order[count:][-count:] if count else []
    rest = order[len(worst) : len(order) - len(best)]
    start = max(0, (len(rest) - count) // 2)
    return {"worst": worst, "median": rest[start : start + count], "best": best[::-1]}


def caption(score: ImageScore, place: str) -> list[str]:
    """What stands above a sheet: the picture's key, then its place, such as "worst 1 of 100", and its scores."""
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
