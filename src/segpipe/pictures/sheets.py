"""Sample sheets: images with truth, prediction and errors side by side, and a legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image

from segpipe.data.classes import BACKGROUND_INDEX, IGNORE_INDEX, ClassTable
from segpipe.pictures import layout
from segpipe.pictures.layout import Colour, Entry, Panel

_PANEL, _SMALL_PANEL = 440, 200  # the long side of a panel, in pixels
_COLUMNS = 8  # small panels in a row
# People with any colour vision can distinguish these (Okabe and Ito, Color Universal Design, 2008).
_ERRORS: dict[str, Colour] = {"missed": (213, 94, 0), "invented": (0, 114, 178), "confused": (240, 60, 180)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One image of a contact sheet. All samples of a sheet have one size."""

    key: str
    image: np.ndarray  # uint8 (H, W, 3)
    truth: np.ndarray  # uint8 (H, W), class_index or IGNORE_INDEX
    pred: np.ndarray | None = None  # uint8 (H, W), class_index


def sheet(
    image: np.ndarray, truth: np.ndarray, pred: np.ndarray, classes: ClassTable, caption: Sequence[str]
) -> Image.Image:
    """An RGB image of one photo, its truth, its prediction and the errors.

    image: uint8 (H, W, 3); truth, pred: uint8 (H, W), class_index, truth also IGNORE_INDEX; caption: a title, then
    lines below it. An object predicted as background is missed, background predicted as an object is invented, an
    object predicted as another is confused. Where the prediction is right, the error panel shows the photo in grey.
    """
    sample = Sample(key="Photo", image=image, truth=truth, pred=pred)
    return layout.lay_out(caption, [_panels(sample, classes, _PANEL)], _legend(truth, pred, classes))


def contact_sheet(samples: Sequence[Sample], classes: ClassTable, caption: Sequence[str]) -> Image.Image:
    """An RGB image of several samples: each with its truth and, if it has a prediction, that and the errors."""
    panels = [_panels(sample, classes, _SMALL_PANEL) for sample in samples]
    across = _COLUMNS // len(panels[0])
    rows = [list(chain(*panels[start : start + across])) for start in range(0, len(panels), across)]
    truth = np.stack([sample.truth for sample in samples])
    preds = [truth if sample.pred is None else sample.pred for sample in samples]
    return layout.lay_out(caption, rows, _legend(truth, np.stack(preds), classes))


def error_kinds(truth: np.ndarray, pred: np.ndarray) -> dict[str, np.ndarray]:
    """The wrong pixels by kind of error ("missed", "invented", "confused"), bool (H, W) each; ignored pixels in none.

    truth, pred: uint8 (H, W), class_index, truth also IGNORE_INDEX.
    """
    wrong = (truth != pred) & (truth != IGNORE_INDEX)
    from_background, to_background = truth == BACKGROUND_INDEX, pred == BACKGROUND_INDEX
    return {
        "missed": wrong & to_background,
        "invented": wrong & from_background,
        "confused": wrong & ~from_background & ~to_background,
    }


def _panels(sample: Sample, classes: ClassTable, long_side: int) -> list[Panel]:
    """The image with the sample's key as its title, the truth, and the prediction with its errors if there is one."""
    size_hw = _panel_hw(sample.truth.shape[:2], long_side)
    image, truth = _resized(sample.image, size_hw), _nearest(sample.truth, size_hw)
    colours, hatched, ignored = np.array(classes.colours, np.uint8), layout.hatching(size_hw), truth == IGNORE_INDEX
    shown_truth = colours[truth]
    shown_truth[ignored] = hatched[ignored]
    panels = [(sample.key, image), ("Truth", shown_truth)]
    if sample.pred is not None:
        pred = _nearest(sample.pred, size_hw)
        errors = _errors(image, truth, pred)
        errors[ignored] = hatched[ignored]
        panels += [("Prediction", colours[pred]), ("Errors", errors)]
    return panels


def _errors(image: np.ndarray, truth: np.ndarray, pred: np.ndarray) -> np.ndarray:
    grey = image.mean(axis=2, keepdims=True).astype(np.uint8)
    errors = np.repeat(grey // 2 + 96, 3, axis=2)
    for kind, where in error_kinds(truth, pred).items():
        errors[where] = _ERRORS[kind]
    return errors


def _panel_hw(native_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Small images grow by a whole factor, so that each pixel stays a square; large images shrink."""
    factor = long_side / max(native_hw)
    if factor >= 1:
        factor = int(factor)
    return max(1, round(native_hw[0] * factor)), max(1, round(native_hw[1] * factor))


def _resized(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    filter_ = Image.Resampling.NEAREST if size_hw[0] > image.shape[0] else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(image).resize(size_hw[::-1], filter_))


def _nearest(label_map: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    rows, columns = (((2 * np.arange(n) + 1) * m) // (2 * n) for n, m in zip(size_hw, label_map.shape, strict=True))
    return label_map[rows[:, None], columns]


def _legend(truth: np.ndarray, pred: np.ndarray, classes: ClassTable) -> list[Entry]:
    """The classes on this sheet, ignored pixels, and the kinds of error with their share of the pixels."""
    present = {*_values(truth), *_values(pred)}
    entries = [(name, layout.swatch(classes.colours[i])) for i, name in enumerate(classes.names) if i in present]
    if IGNORE_INDEX in truth:
        entries.append(("ignored", layout.hatched_swatch()))
    counted = np.count_nonzero(truth != IGNORE_INDEX)
    for kind, where in error_kinds(truth, pred).items():
        if where.any():
            entries.append((f"error: {kind} {np.count_nonzero(where) / counted:.1%}", layout.swatch(_ERRORS[kind])))
    return entries


def _values(label_map: np.ndarray) -> list[int]:
    counts = Image.fromarray(label_map.reshape(len(label_map), -1)).histogram()
    return [value for value, count in enumerate(counts) if count]
