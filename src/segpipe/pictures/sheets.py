"""Sample sheets: photographs with truth, prediction and errors side by side, and a legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image

from segpipe.data.classes import BACKGROUND_INDEX, IGNORE_INDEX, ClassTable
from segpipe.pictures import layout
from segpipe.pictures.layout import Colour, Entry, Panel

_PANEL, _SMALL_PANEL = 440, 200  # the long side of a panel, in pixels
_ACROSS = 8  # small panels in a row
# Told apart by people with any colour vision (Okabe and Ito, Color Universal Design, 2008).
_ERRORS: dict[str, Colour] = {"missed": (213, 94, 0), "invented": (0, 114, 178), "confused": (240, 60, 180)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictured:
    """One picture of a contact sheet: image uint8 (H, W, 3); truth uint8 (H, W), class_index or IGNORE_INDEX; pred the
    same or None. All of a sheet's have one size."""

    key: str
    image: np.ndarray
    truth: np.ndarray
    pred: np.ndarray | None = None


def sheet(
    image: np.ndarray, truth: np.ndarray, pred: np.ndarray, classes: ClassTable, caption: Sequence[str]
) -> Image.Image:
    """Draw one sheet, an RGB picture.

    image: uint8 (H, W, 3); truth, pred: uint8 (H, W), class_index, truth also IGNORE_INDEX; caption: a title, then
    lines below it. Errors are told apart: an object taken for background is missed, background taken for an object
    is invented, one object taken for another is confused. Right pixels show the photograph in grey.
    """
    sample = Pictured(key="Photograph", image=image, truth=truth, pred=pred)
    return layout.laid_out(caption, [_panels(sample, classes, _PANEL)], _legend(truth, pred, classes))


def contact_sheet(samples: Sequence[Pictured], classes: ClassTable, caption: Sequence[str]) -> Image.Image:
    """Draw several pictures on one sheet, each with its truth and, where there is one, prediction and errors."""
    panels = [_panels(sample, classes, _SMALL_PANEL) for sample in samples]
    across = _ACROSS // len(panels[0])
    rows = [list(chain(*panels[start : start + across])) for start in range(0, len(panels), across)]
    truth = np.stack([sample.truth for sample in samples])
    preds = [truth if sample.pred is None else sample.pred for sample in samples]
    return layout.laid_out(caption, rows, _legend(truth, np.stack(preds), classes))


def error_kinds(truth: np.ndarray, pred: np.ndarray) -> dict[str, np.ndarray]:
    """Where and how the prediction is wrong: bool (H, W) by kind (missed, invented, confused); ignored: nowhere."""
    wrong = (truth != pred) & (truth != IGNORE_INDEX)
    from_background, to_background = truth == BACKGROUND_INDEX, pred == BACKGROUND_INDEX
    return {
        "missed": wrong & to_background,
        "invented": wrong & from_background,
        "confused": wrong & ~from_background & ~to_background,
    }


def _panels(sample: Pictured, classes: ClassTable, long_side: int) -> list[Panel]:
    """The photograph, called by the sample's key, its truth, and if there is one its prediction and the errors."""
    size_hw = _panel_hw(sample.truth.shape[:2], long_side)
    photo, truth = _resized(sample.image, size_hw), _nearest(sample.truth, size_hw)
    colours, hatched, ignored = np.array(classes.colours, np.uint8), layout.hatching(size_hw), truth == IGNORE_INDEX
    shown_truth = colours[truth]
    shown_truth[ignored] = hatched[ignored]
    panels = [(sample.key, photo), ("Truth", shown_truth)]
    if sample.pred is not None:
        pred = _nearest(sample.pred, size_hw)
        errors = _errors(photo, truth, pred)
        errors[ignored] = hatched[ignored]
        panels += [("Prediction", colours[pred]), ("Errors", errors)]
    return panels


def _errors(photo: np.ndarray, truth: np.ndarray, pred: np.ndarray) -> np.ndarray:
    grey = photo.mean(axis=2, keepdims=True).astype(np.uint8)
    errors = np.repeat(grey // 2 + 96, 3, axis=2)
    for kind, where in error_kinds(truth, pred).items():
        errors[where] = _ERRORS[kind]
    return errors


def _panel_hw(native_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Small pictures grow by a whole factor, so that each pixel stays a square; large ones shrink."""
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
    """What each colour on this sheet means: its classes, ignored pixels, kinds of error with their share."""
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
    return [
        value
        for value, pixels in enumerate(Image.fromarray(label_map.reshape(len(label_map), -1)).histogram())
        if pixels
    ]
