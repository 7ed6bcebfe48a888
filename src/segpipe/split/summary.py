"""What a split is like: how many images where, and how far each side's share of each class is off."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from segpipe.core import csv_files
from segpipe.data.split_table import LEFT_OUT, SIDES, TEST, VAL, Assignment

_LARGE_GROUP = 0.2  # of all images
_FAR_OFF = 0.25  # of a class's share
_COMMON = 10  # images of a class that can be shared out well


def summary(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Images by side, fold and reason to be left out, groups, and how far shares of classes are off (`shares_off`)."""
    sizes = Counter(row.group for row in placed)
    folds = Counter(row.fold for row in placed if row.fold)
    off = shares_off(placed, class_pixels)
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
            for kind, table in off.items()
        },
        "worst_share_off": {kind: round(float(np.nanmax(np.abs(table), initial=0)), 4) for kind, table in off.items()},
    } | ({"folds": dict(sorted(folds.items()))} if folds else {})


def shares_off(placed: Sequence[Assignment], class_pixels: np.ndarray) -> dict[str, np.ndarray]:
    """How far each side's share of each class is off, float (3, C) by `images` that show it and by `pixels`.

    0.5: half as much again as in all images that are used; -1: nothing of it; NaN: the side or the class is empty.
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
    """A row for each class and side: its images, its pixels, and how far both are off in percent ("" where neither)."""
    split = np.array([row.split for row in placed])
    off = shares_off(placed, class_pixels)
    images, pixels = _sums(split, class_pixels > 0), _sums(split, class_pixels)
    rows = [
        [name, side, images[row, index], pixels[row, index]]
        + [_percent(off[kind][row, index]) for kind in ("images", "pixels")]
        for index, name in enumerate(names)
        for row, side in enumerate(SIDES)
    ]
    return csv_files.text(["class", "split", "images", "pixels", "images_off_percent", "pixels_off_percent"], rows)


def share_table(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """The same to be read: a line for each class."""
    off = shares_off(placed, class_pixels)
    width = max(map(len, names))
    lines = ["how far each side's share of a class is off, by images / by pixels, in percent:"]
    lines.append(" ".join([" " * width, *(f"{side:>13}" for side in SIDES)]))
    for index, name in enumerate(names):
        cells = [
            " / ".join(f"{_percent(off[kind][row, index]) or '-':>5}" for kind in ("images", "pixels"))
            for row in range(len(SIDES))
        ]
        lines.append(" ".join([f"{name:{width}}", *cells]))
    return lines


def warnings(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """What a split lacks: a side without images, a class without pixels on one; or a group that outweighs the rest."""
    split = np.array([row.split for row in placed])
    lines = [f"no image is left for {side}" for side in SIDES if not (split == side).any()]
    if not np.isin(split, (VAL, TEST)).any():
        lines.append("nothing can be scored: evaluate needs an image in val or test")
    empty = sum(bool(row.reason) for row in placed if row.split)
    if empty:
        lines.append(f"{empty} images of val and test have a mask without an object: what is found on them is wrong")
    for index, name in enumerate(names):
        bare = [side for side in SIDES if (split == side).any() and not class_pixels[split == side, index].any()]
        if bare and class_pixels[split != LEFT_OUT, index].any():
            lines.append(f"class {name} has no pixel in {', '.join(bare)}")
    largest, size = Counter(row.group for row in placed).most_common(1)[0]
    if 1 < size > _LARGE_GROUP * len(placed):
        lines.append(
            f"{size} of {len(placed)} images are one group (with {largest}): one scene, or copies by name or look, "
            "directly or over others; results/data_report.html shows what looks alike: if it is not, lower "
            "split.near_duplicate_bits in params.yaml"
        )
    return lines


def advice(placed: Sequence[Assignment], class_pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """Where shares of classes that can be shared out are far off: which is worst, and what evens them out.

    Images that are not trained on do not count: no method brings their share into train.
    """
    trainable = np.array([not row.reason for row in placed])
    pixels = class_pixels[trainable]
    common = (pixels > 0).sum(axis=0) >= _COMMON
    off = np.where(common, np.nan_to_num(shares_off([row for row in placed if not row.reason], pixels)["pixels"]), 0)
    side, index = divmod(int(np.abs(off).argmax()), len(names))
    if abs(off[side, index]) <= _FAR_OFF:
        return []
    worst = f"{SIDES[side]} has {100 * off[side, index]:+.0f} % of its share of {names[index]}"
    return [f"{worst}; split.method: balanced in params.yaml evens shares out"]


def _sums(split: np.ndarray, of_images: np.ndarray) -> np.ndarray:
    return np.stack([of_images[split == side].sum(axis=0) for side in SIDES])


def _percent(off: float) -> str:
    return f"{100 * off:+.0f}" if np.isfinite(off) else ""
