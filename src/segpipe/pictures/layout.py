"""The layout of a sheet: a caption, rows of titled panels, and a legend of colours."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Panel = tuple[str, np.ndarray]  # its title and its pixels, uint8 (h, w, 3)
Entry = tuple[str, Image.Image]  # of a legend: the meaning of a swatch, and the swatch

# DejaVu Sans covers Latin, Greek, Cyrillic, Arabic and more; the font inside Pillow covers Latin only.
_FONTS = Path(__file__).parent / "fonts"
_MIN_WIDTH = 1000  # a sheet of narrow panels still has room for its text
_MARGIN, _GAP, _LINE, _SWATCH = 20, 12, 26, 16
_TEXT, _TITLE = 15, 19
_PAPER, _INK, _FAINT = (255, 255, 255), (24, 28, 36), (96, 104, 118)
_HATCH_LIGHT, _HATCH_DARK, _HATCH_PERIOD = (232, 232, 232), (190, 190, 190), 8


def lay_out(caption: Sequence[str], rows: Sequence[Sequence[Panel]], legend: Sequence[Entry]) -> Image.Image:
    """An RGB image of a whole sheet.

    caption: a title, then lines below it; rows: one or more rows of panels, all panels of one size.
    """
    height, width = rows[0][0][1].shape[:2]
    full_width = max(_MIN_WIDTH, 2 * _MARGIN + max(len(row) for row in rows) * (width + _GAP) - _GAP)
    legend_rows = _legend_rows(legend, full_width - 2 * _MARGIN)
    top, step = _MARGIN + _LINE * len(caption) + _GAP, _LINE + height + _GAP
    bottom = top + step * len(rows)
    paper = Image.new("RGB", (full_width, bottom + _LINE * len(legend_rows) + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(paper)
    for number, line in enumerate(caption):
        font, ink = (_font(_TITLE, bold=True), _INK) if number == 0 else (_font(_TEXT), _FAINT)
        draw.text((_MARGIN, _MARGIN + number * _LINE), _shortened(line, font, full_width - 2 * _MARGIN), ink, font)
    for number, row in enumerate(rows):
        for place, (title, pixels) in enumerate(row):
            left, above = _MARGIN + place * (width + _GAP), top + number * step
            draw.text((left, above), _shortened(title, _font(_TEXT), width), _FAINT, _font(_TEXT))
            paper.paste(Image.fromarray(pixels), (left, above + _LINE))
    for number, entries in enumerate(legend_rows):
        _draw_legend_row(paper, entries, bottom + number * _LINE)
    return paper


def swatch(colour: Colour) -> Image.Image:
    """A legend's swatch of one colour."""
    return Image.new("RGB", (_SWATCH, _SWATCH), colour)


def hatched_swatch() -> Image.Image:
    """A legend's swatch for ignored pixels."""
    return Image.fromarray(hatching((_SWATCH, _SWATCH)))


def hatching(size_hw: tuple[int, int]) -> np.ndarray:
    """Grey diagonal stripes for ignored pixels, uint8 (h, w, 3)."""
    return np.where(stripes(size_hw)[..., None], _HATCH_DARK, _HATCH_LIGHT).astype(np.uint8)


def stripes(size_hw: tuple[int, int]) -> np.ndarray:
    """The pixels of every second diagonal stripe, bool (h, w)."""
    rows, columns = np.indices(size_hw, sparse=True)
    covered: np.ndarray = (rows + columns) % _HATCH_PERIOD < _HATCH_PERIOD // 2
    return covered


def _legend_rows(entries: Sequence[Entry], width: int) -> list[list[tuple[int, str, Image.Image]]]:
    """Break the legend into rows of at most `width` pixels; each entry with its distance from the left."""
    rows: list[list[tuple[int, str, Image.Image]]] = [[]]
    x = 0
    for text, colour in entries:
        text = _shortened(text, _font(_TEXT), width - _SWATCH - 8)
        step = _SWATCH + 8 + round(_font(_TEXT).getlength(text)) + 2 * _GAP
        if x and x + step > width:
            rows.append([])
            x = 0
        rows[-1].append((x, text, colour))
        x += step
    return rows


def _draw_legend_row(paper: Image.Image, row: Sequence[tuple[int, str, Image.Image]], y: int) -> None:
    draw = ImageDraw.Draw(paper)
    for x, text, colour in row:
        left, top = _MARGIN + x, y + (_LINE - _SWATCH) // 2
        paper.paste(colour, (left, top))
        draw.rectangle((left - 1, top - 1, left + _SWATCH, top + _SWATCH), outline=_FAINT)
        draw.text((left + _SWATCH + 8, y + _LINE // 2), text, _INK, _font(_TEXT), anchor="lm")


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, its middle replaced by "…" if it is wider than `width` pixels."""
    keep = len(text)
    short = text
    while keep > 2 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: keep // 2]}…{text[len(text) - keep // 2 :]}"
    return short


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(_FONTS / name, size, layout_engine=ImageFont.Layout.BASIC)
