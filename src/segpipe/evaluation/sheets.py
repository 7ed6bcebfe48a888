"""Sample sheets: photograph, truth, prediction and errors of one picture side by side, with a legend."""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segpipe.classes import BACKGROUND_INDEX, IGNORE_INDEX, ClassTable
from segpipe.evaluation.per_image import ImageScore

Colour = tuple[int, int, int]

_PANEL = 440  # the long side of a panel, in pixels
_NARROWEST = 1000  # a sheet of narrow panels still has room for its text
_MARGIN, _GAP, _LINE, _SWATCH = 20, 12, 26, 16
_TEXT, _TITLE = 15, 19
_PAPER, _INK, _FAINT = (255, 255, 255), (24, 28, 36), (96, 104, 118)
_HATCH_LIGHT, _HATCH_DARK, _HATCH_PERIOD = (232, 232, 232), (190, 190, 190), 8
# Told apart by people with any colour vision (Okabe and Ito, Color Universal Design, 2008).
_ERRORS: dict[str, Colour] = {"missed": (213, 94, 0), "invented": (0, 114, 178), "confused": (240, 60, 180)}


def sheet(
    image: np.ndarray, truth: np.ndarray, pred: np.ndarray, classes: ClassTable, caption: Sequence[str]
) -> Image.Image:
    """Draw one sheet, an RGB picture.

    image: uint8 (H, W, 3); truth, pred: uint8 (H, W), class_index, truth also IGNORE_INDEX; caption: a title, then
    lines below it. Errors are told apart: an object taken for background is missed, background taken for an object
    is invented, one object taken for another is confused. Right pixels show the photograph in grey.
    """
    panels = _panels(image, truth, pred, classes)
    height, width = panels["Photograph"].shape[:2]
    full_width = max(_NARROWEST, 2 * _MARGIN + 4 * width + 3 * _GAP)
    legend = _rows_of_legend(_legend(truth, pred, classes), full_width - 2 * _MARGIN)
    top = _MARGIN + _LINE * len(caption) + _GAP
    full_height = top + _LINE + height + _GAP + _LINE * len(legend) + _MARGIN
    paper = Image.new("RGB", (full_width, full_height), _PAPER)
    draw = ImageDraw.Draw(paper)
    for number, line in enumerate(caption):
        font, ink = (_font(_TITLE, bold=True), _INK) if number == 0 else (_font(_TEXT), _FAINT)
        draw.text((_MARGIN, _MARGIN + number * _LINE), _shortened(line, font, full_width - 2 * _MARGIN), ink, font)
    for number, (name, pixels) in enumerate(panels.items()):
        left = _MARGIN + number * (width + _GAP)
        draw.text((left, top), name, _FAINT, _font(_TEXT))
        paper.paste(Image.fromarray(pixels), (left, top + _LINE))
    for number, row in enumerate(legend):
        _draw_legend_row(paper, row, top + _LINE + height + _GAP + number * _LINE)
    return paper


def caption(score: ImageScore, place: str) -> list[str]:
    """What stands above a sheet: the picture's key, then its place, such as "worst 1 of 100", and its scores."""
    parts = [place, f"mean IoU {score.mean_iou:.3f}", f"pixel accuracy {score.pixel_accuracy:.3f}"]
    for verdict, names in (("missed", score.missed), ("invented", score.invented)):
        if names:
            parts.append(f"{verdict}: {', '.join(names)}")
    return [score.key, " · ".join(parts)]


def error_kinds(truth: np.ndarray, pred: np.ndarray) -> dict[str, np.ndarray]:
    """Where and how the prediction is wrong: bool (H, W) by kind (missed, invented, confused); ignored: nowhere."""
    wrong = (truth != pred) & (truth != IGNORE_INDEX)
    from_background, to_background = truth == BACKGROUND_INDEX, pred == BACKGROUND_INDEX
    return {
        "missed": wrong & to_background,
        "invented": wrong & from_background,
        "confused": wrong & ~from_background & ~to_background,
    }


def _panels(image: np.ndarray, truth: np.ndarray, pred: np.ndarray, classes: ClassTable) -> dict[str, np.ndarray]:
    """The four panels by title, uint8 (h, w, 3), all of one size."""
    size_hw = _panel_hw(truth.shape[:2])
    photo = _resized(image, size_hw)
    truth, pred = _nearest(truth, size_hw), _nearest(pred, size_hw)
    colours = np.array(classes.colours, np.uint8)
    grey = photo.mean(axis=2, keepdims=True).astype(np.uint8)
    errors = np.repeat(grey // 2 + 96, 3, axis=2)
    for kind, where in error_kinds(truth, pred).items():
        errors[where] = _ERRORS[kind]
    hatched, ignored = _hatching(size_hw), truth == IGNORE_INDEX
    shown_truth = colours[truth]
    shown_truth[ignored] = hatched[ignored]
    errors[ignored] = hatched[ignored]
    return {"Photograph": photo, "Truth": shown_truth, "Prediction": colours[pred], "Errors": errors}


def _panel_hw(native_hw: tuple[int, int]) -> tuple[int, int]:
    """Small pictures grow by a whole factor, so that each pixel stays a square; large ones shrink."""
    factor = _PANEL / max(native_hw)
    if factor >= 1:
        factor = int(factor)
    return max(1, round(native_hw[0] * factor)), max(1, round(native_hw[1] * factor))


def _resized(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    filter_ = Image.Resampling.NEAREST if size_hw[0] > image.shape[0] else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(image).resize(size_hw[::-1], filter_))


def _nearest(label_map: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    rows, columns = (((2 * np.arange(n) + 1) * m) // (2 * n) for n, m in zip(size_hw, label_map.shape, strict=True))
    return label_map[rows[:, None], columns]


def _hatching(size_hw: tuple[int, int]) -> np.ndarray:
    rows, columns = np.indices(size_hw)
    dark = (rows + columns) % _HATCH_PERIOD < _HATCH_PERIOD // 2
    return np.where(dark[..., None], _HATCH_DARK, _HATCH_LIGHT).astype(np.uint8)


def _legend(truth: np.ndarray, pred: np.ndarray, classes: ClassTable) -> list[tuple[str, Image.Image]]:
    """What each colour on this sheet means: its classes, ignored pixels, kinds of error with their share."""
    present = np.union1d(truth, pred)
    entries = [(name, _plain(classes.colours[i])) for i, name in enumerate(classes.names) if i in present]
    if IGNORE_INDEX in truth:
        entries.append(("ignored", Image.fromarray(_hatching((_SWATCH, _SWATCH)))))
    counted = np.count_nonzero(truth != IGNORE_INDEX)
    for kind, where in error_kinds(truth, pred).items():
        if where.any():
            entries.append((f"error: {kind} {np.count_nonzero(where) / counted:.1%}", _plain(_ERRORS[kind])))
    return entries


def _plain(colour: Colour) -> Image.Image:
    return Image.new("RGB", (_SWATCH, _SWATCH), colour)


def _rows_of_legend(entries: Sequence[tuple[str, Image.Image]], width: int) -> list[list[tuple[int, str, Image.Image]]]:
    """Break the legend into rows of at most `width` pixels; each entry with its distance from the left."""
    rows: list[list[tuple[int, str, Image.Image]]] = [[]]
    x = 0
    for text, swatch in entries:
        text = _shortened(text, _font(_TEXT), width - _SWATCH - 8)
        step = _SWATCH + 8 + round(_font(_TEXT).getlength(text)) + 2 * _GAP
        if x and x + step > width:
            rows.append([])
            x = 0
        rows[-1].append((x, text, swatch))
        x += step
    return rows


def _draw_legend_row(paper: Image.Image, row: Sequence[tuple[int, str, Image.Image]], y: int) -> None:
    draw = ImageDraw.Draw(paper)
    for x, text, swatch in row:
        left, top = _MARGIN + x, y + (_LINE - _SWATCH) // 2
        paper.paste(swatch, (left, top))
        draw.rectangle((left - 1, top - 1, left + _SWATCH, top + _SWATCH), outline=_FAINT)
        draw.text((left + _SWATCH + 8, y + _LINE // 2), text, _INK, _font(_TEXT), anchor="lm")


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut the middle out of a text that is wider than `width` pixels."""
    keep = len(text)
    short = text
    while keep > 2 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: keep // 2]}…{text[len(text) - keep // 2 :]}"
    return short


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along: Latin, Greek, Cyrillic and more; Pillow's own has Latin only."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    fonts = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(fonts / name, size, layout_engine=ImageFont.Layout.BASIC)
