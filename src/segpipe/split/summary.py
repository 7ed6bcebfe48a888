"""Figures of a split: images per split, and the deviation of each split's class shares from those of all images."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from segpipe.core import csv_files
from segpipe.core.plurals import counted
from segpipe.data.split_table import LEFT_OUT, SIDES, TEST, VAL, Assignment

_KINDS = ("images", "pixels")  # units of a share
_OFF = [f"{kind}_off" for kind in _KINDS]
_LARGE_GROUP = 0.2  # of all images
_LARGE_DEVIATION = 0.25
_MIN_IMAGES = 10  # of a class that can be divided well


def summary(placed: Sequence[Assignment], table: pd.DataFrame) -> dict[str, Any]:
    """The content of metrics/split.json: images by split, fold and reason, groups, and deviations of class shares.

    table: of `shares`.
    """
    sizes = Counter(row.group for row in placed)
    folds = Counter(row.fold for row in placed if row.fold)
    off = {kind: table[f"{kind}_off"] for kind in _KINDS}
    return {
        "images": {side: sum(row.split == side for row in placed) for side in SIDES},
        "left_out": dict(Counter(row.reason for row in placed if row.split == LEFT_OUT)),
        "groups": {"count": len(sizes), "largest": max(sizes.values(), default=0)},
        "share_off": {
            kind: {side: values.xs(side, level="split").dropna().round(4).to_dict() for side in SIDES}
            for kind, values in off.items()
        },
        "worst_share_off": {kind: round(float(values.abs().fillna(0).max()), 4) for kind, values in off.items()},
    } | ({"folds": dict(sorted(folds.items()))} if folds else {})


def shares(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """One row per class and split: `images` that show the class, its `pixels`, and `images_off`, `pixels_off`.

    The last two: the deviation of the split's share from the share in all images that are used. 0.5: half as much
    again; -1: none of it; NaN: an empty split or class. class_pixels: int64 (N, C) in the order of `placed`.
    """
    split = pd.Series([row.split for row in placed], dtype=object)
    columns: dict[str, Any] = {}  # pandas-stubs: stack may return a table, too
    for kind, values in zip(_KINDS, (class_pixels > 0, class_pixels), strict=True):
        counts = pd.DataFrame(values, columns=[*names]).groupby(split).sum().reindex(SIDES, fill_value=0)
        sizes = counts.sum(axis=1) if kind == "pixels" else split.value_counts().reindex(SIDES, fill_value=0)
        off = counts.div(sizes, axis=0) / (counts.sum() / sizes.sum()) - 1
        columns |= {kind: counts.T.stack(), f"{kind}_off": off.T.stack()}
    return pd.DataFrame(columns).rename_axis(["class", "split"])


def class_csv(table: pd.DataFrame) -> str:
    """A CSV row for each class and split: its images, its pixels, and the deviations of both in percent, or "".

    table: of `shares`.
    """
    cells = table[[*_KINDS]].join(table[_OFF].map(_percent))
    return csv_files.text(
        ["class", "split", *_KINDS, *(f"{name}_percent" for name in _OFF)], cells.reset_index().itertuples(index=False)
    )


def share_table(table: pd.DataFrame) -> list[str]:
    """The deviations of `class_csv` as a text table, one line per class. table: of `shares`."""
    cells = (
        table[_OFF].map(_percent).apply(lambda row: " / ".join(f"{text or '-':>5}" for text in row), axis=1).unstack()
    )
    names = table.index.unique("class")
    width = max(map(len, names))
    lines = ["deviation of each split's share of a class, by images / by pixels, in percent:"]
    lines.append(" ".join([" " * width, *(f"{side:>13}" for side in SIDES)]))
    return lines + [" ".join([f"{name:{width}}", *cells.loc[name, [*SIDES]]]) for name in names]


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
    table = shares([row for row in placed if not row.reason], pixels, names)
    off = table["pixels_off"].fillna(0) * np.repeat(common, len(SIDES))
    if not len(off) or off.abs().max() <= _LARGE_DEVIATION:
        return []
    name, side = off.abs().idxmax()
    worst = f"the share of class {name} in {side} deviates by {100 * off[name, side]:+.0f} %"
    return [f"{worst}; set split.method: balanced in params.yaml for equal shares"]


def _percent(deviation: float) -> str:
    return f"{100 * deviation:+.0f}" if np.isfinite(deviation) else ""
