"""Figures of a split: images per split, and the deviation of each split's class shares from those of all images."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from segpipe.core import csv_files
from segpipe.core.plurals import counted
from segpipe.data.split_table import LEFT_OUT, SIDES, TEST, VAL, Assignment

_LARGE_GROUP = 0.2  # of all images
_LARGE_DEVIATION = 0.25
_MIN_IMAGES = 10  # of a class that can be divided well


def summary(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """The content of metrics/split.json: images by split, fold and reason, groups, and deviations of class shares.

    class_pixels: int64 (N, C) in the order of `placed`; names: of the classes.
    """
    sizes = Counter(row.group for row in placed)
    folds = Counter(row.fold for row in placed if row.fold)
    deviation = share_deviation(placed, class_pixels)
    return {
        "images": {side: sum(row.split == side for row in placed) for side in SIDES},
        "left_out": dict(Counter(row.reason for row in placed if row.split == LEFT_OUT)),
        "groups": {"count": len(sizes), "largest": max(sizes.values(), default=0)},
        "share_off": {
            kind: {
                side: {
                    name: round(float(value), 4) for name, value in zip(names, row, strict=True) if np.isfinite(value)
                }
                for side, row in zip(SIDES, table, strict=True)
            }
            for kind, table in deviation.items()
        },
        "worst_share_off": {
            kind: round(float(np.nanmax(np.abs(table), initial=0)), 4) for kind, table in deviation.items()
        },
    } | ({"folds": dict(sorted(folds.items()))} if folds else {})


def share_deviation(placed: Sequence[Assignment], class_pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The relative deviation of each split's class shares, float (3, C), by `images` that show the class and `pixels`.

    0.5: half as much again as in all images that are used; -1: none of it; NaN: an empty split or class.
    class_pixels: int64 (N, C) in the order of `placed`.
    """
    split = np.array([row.split for row in placed], str)
    counts = {"images": _sums(split, class_pixels > 0), "pixels": _sums(split, class_pixels)}
    sizes = {"images": np.array([(split == side).sum() for side in SIDES]), "pixels": counts["pixels"].sum(axis=1)}
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            kind: (counts[kind] / sizes[kind][:, None]) / (counts[kind].sum(axis=0) / sizes[kind].sum()) - 1
            for kind in counts
        }


def class_csv(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> str:
    """A CSV row for each class and split: its images, its pixels, and the deviations of both in percent, or ""."""
    split = np.array([row.split for row in placed])
    deviation = share_deviation(placed, class_pixels)
    images, pixels = _sums(split, class_pixels > 0), _sums(split, class_pixels)
    rows = [
        [name, side, images[row, index], pixels[row, index]]
        + [_percent(deviation[kind][row, index]) for kind in ("images", "pixels")]
        for index, name in enumerate(names)
        for row, side in enumerate(SIDES)
    ]
    return csv_files.text(["class", "split", "images", "pixels", "images_off_percent", "pixels_off_percent"], rows)


def share_table(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """The deviations of `class_csv` as a text table, one line per class."""
    deviation = share_deviation(placed, class_pixels)
    width = max(map(len, names))
    lines = ["deviation of each split's share of a class, by images / by pixels, in percent:"]
    lines.append(" ".join([" " * width, *(f"{side:>13}" for side in SIDES)]))
    for index, name in enumerate(names):
        cells = [
            " / ".join(f"{_percent(deviation[kind][row, index]) or '-':>5}" for kind in ("images", "pixels"))
            for row in range(len(SIDES))
        ]
        lines.append(" ".join([f"{name:{width}}", *cells]))
    return lines


def warnings(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """Lines about empty splits, classes that a split lacks, images without objects, and a very large group."""
    split = np.array([row.split for row in placed])
    lines = [f"{side} has no image" for side in SIDES if not (split == side).any()]
    if not np.isin(split, (VAL, TEST)).any():
        lines.append("nothing can be scored: evaluate needs an image in val or test")
    empty = sum(bool(row.reason) for row in placed if row.split)
    if empty:
        lines.append(f"val and test: {counted(empty, 'image')} without an object; anything predicted there is an error")
    for index, name in enumerate(names):
        missing = [side for side in SIDES if (split == side).any() and not class_pixels[split == side, index].any()]
        if missing and class_pixels[split != LEFT_OUT, index].any():
            lines.append(f"class {name} has no pixel in {', '.join(missing)}")
    largest, size = Counter(row.group for row in placed).most_common(1)[0]
    if 1 < size > _LARGE_GROUP * len(placed):
        lines.append(
            f"{size} of {len(placed)} images are in one group (with {largest}): one scene, or copies by name or by "
            "content, directly or through other images; if images that results/data_report.html calls nearly equal are "
            "not, lower split.near_duplicate_bits in params.yaml"
        )
    return lines


def advice(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """A line about the largest deviation of a class with enough images, and its remedy; none if it is small.

    Images that are not trained on do not count: no method brings them into train.
    """
    trainable = np.array([not row.reason for row in placed])
    pixels = class_pixels[trainable]
    common = (pixels > 0).sum(axis=0) >= _MIN_IMAGES
    deviation = share_deviation([row for row in placed if not row.reason], pixels)["pixels"]
    deviation = np.where(common, np.nan_to_num(deviation), 0)
    side, index = divmod(int(np.abs(deviation).argmax()), len(names))
    if abs(deviation[side, index]) <= _LARGE_DEVIATION:
        return []
    worst = f"the share of class {names[index]} in {SIDES[side]} deviates by {100 * deviation[side, index]:+.0f} %"
    return [f"{worst}; set split.method: balanced in params.yaml for equal shares"]


def _sums(split: np.ndarray, of_images: np.ndarray) -> np.ndarray:
    return np.stack([of_images[split == side].sum(axis=0) for side in SIDES])


def _percent(deviation: float) -> str:
    return f"{100 * deviation:+.0f}" if np.isfinite(deviation) else ""
