"""Sets of independent images with one layout: cells, radiographs, pages of text, roads, lines of text, filled-in forms.

No image is a copy of another, but all images of a set look the same at low resolution and may be mistaken for copies.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.ndimage import gaussian_filter

COUNT = 300
_LETTERS = list("eeeeetttaaaooinnsshhrdlcumwfgypbvk")
Random = np.random.Generator


def cells(rng: Random) -> Image.Image:
    """Round cells of different sizes and colours on a rough ground."""
    ground = 120 + gaussian_filter(rng.normal(0, 1, (320, 320)), rng.uniform(2, 6)) * rng.uniform(60, 200)
    image = _image(ground)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(8, 40)):
        x, y, radius = rng.uniform(0, 320), rng.uniform(0, 320), rng.uniform(6, 28)
        red, blue, height = int(rng.integers(30, 230)), int(rng.integers(60, 200)), radius * rng.uniform(0.7, 1.4)
        draw.ellipse((x - radius, y - height, x + radius, y + height), fill=(red, red // 2, blue))
    return _noisy(image, rng, 6)


def radiograph(rng: Random) -> Image.Image:
    """A chest with body, lungs, spine, heart, ribs and some spots, each a little displaced."""
    side = 384
    body, ribs = Image.new("L", (side, side)), Image.new("L", (side, side))
    draw, level, middle = ImageDraw.Draw(body), 170 + rng.normal(0, 12), 0.5 + rng.normal(0, 0.015)

    def oval(x: float, y: float, width: float, height: float, shade: float, spread: float) -> None:
        x, y, width, height = np.array([x, y, width, height]) + rng.normal(0, spread, 4)
        box = np.array([x - width, y - height, x + width, y + height]) * side
        draw.ellipse(tuple(box), fill=int(np.clip(shade, 0, 255)))

    oval(middle, 0.58, 0.40, 0.50, level, 0.015)
    oval(middle, 0.10, 0.13, 0.20, level, 0.015)
    for flank in (-1, 1):
        oval(middle + flank * 0.18, 0.5, 0.13, 0.27, 60 + rng.normal(0, 10), 0.012)
    draw.rectangle(((middle - 0.03) * side, 0, (middle + 0.03) * side, side), fill=int(level + 30))
    oval(middle + 0.06, 0.62, 0.12, 0.12, level + 10, 0.015)
    step, start, slope = 0.055 + rng.normal(0, 0.003), 0.24 + rng.normal(0, 0.015), 0.35 + rng.normal(0, 0.02)
    for top in start + step * np.arange(9):
        for flank in (-1, 1):
            box = np.array([middle + flank * 0.2 - 0.22, top, middle + flank * 0.2 + 0.22, top + slope]) * side
            width = int(5 + abs(rng.normal()))
            ImageDraw.Draw(ribs).arc(tuple(box), 190, 350, fill=int(40 + rng.normal(0, 4)), width=width)
    shades = np.asarray(body.filter(ImageFilter.GaussianBlur(6)), float)
    shades += np.asarray(ribs.filter(ImageFilter.GaussianBlur(2)), float)
    y, x = np.mgrid[:side, :side]
    for _ in range(rng.integers(0, 4)):
        spot_x, spot_y, radius = rng.uniform(0.25, 0.75) * side, rng.uniform(0.3, 0.75) * side, rng.uniform(4, 16)
        shades += rng.uniform(10, 45) * np.exp(-((x - spot_x) ** 2 + (y - spot_y) ** 2) / 2 / radius**2)
    tissue = gaussian_filter(rng.normal(0, 1, (side, side)), 3) * rng.uniform(20, 40)
    return _noisy(_image(shades + tissue * (shades > 15)), rng, 4)


def page(rng: Random) -> Image.Image:
    """A page with a heading and paragraphs of random words."""
    width, height, margin = 420, 594, 50
    image, font = Image.new("RGB", (width, height), (250, 250, 248)), ImageFont.load_default(11)
    draw = ImageDraw.Draw(image)
    heading = " ".join(_word(rng) for _ in range(rng.integers(2, 5)))
    draw.text((margin, 28), heading, (20, 20, 20), font=ImageFont.load_default(16))
    y = margin + 10
    while y < height - margin:
        for _ in range(rng.integers(3, 9)):
            text = _words(rng, font, width - 2 * margin)
            draw.text((margin, y), text, (30, 30, 30), font=font)
            y += 15
            if y > height - margin:
                break
        y += int(rng.integers(4, 12))
    return _noisy(image, rng, 3)


def road(rng: Random) -> Image.Image:
    """A road to the horizon, with random cars and trees."""
    width, height = 480, 300
    horizon, far = int(height * (0.45 + rng.normal(0, 0.03))), width * (0.5 + rng.normal(0, 0.03))
    shades = np.empty((height, width, 3))
    shades[:horizon] = np.linspace(rng.uniform(120, 200), 230, horizon)[:, None, None] * [0.8, 0.9, 1]
    shades[horizon:] = np.array([80, 110, 70]) * rng.uniform(0.7, 1.2)
    image, below = _image(shades), height - horizon
    draw, grey, sides = ImageDraw.Draw(image), int(rng.integers(70, 110)), rng.normal(0, 0.05, 2) * width
    corners = [(far - 8, horizon), (far + 8, horizon), (width + sides[0], height), (sides[1], height)]
    draw.polygon(corners, fill=(grey, grey, grey + 4))
    for part in np.arange(rng.uniform(0, 0.2), 1, 0.2):
        ends = [(far + (width / 2 - far) * p, horizon + below * p**1.5) for p in (part, part + 0.08)]
        draw.line(ends, fill=(230, 230, 220), width=int(2 + 5 * part))
    for _ in range(rng.integers(1, 6)):
        near = rng.uniform(0.05, 0.7)
        x, y, size = far + rng.uniform(-0.8, 0.8) * width / 2 * near, horizon + below * near, 10 + 70 * near
        draw.rectangle((x - size / 2, y - size * 0.7, x + size / 2, y), fill=_colour(rng, 10, 250))
    for _ in range(rng.integers(2, 12)):
        x, size = rng.uniform(0, width), rng.uniform(10, 70)
        draw.ellipse((x - size / 2, horizon - size, x + size / 2, horizon + 4), fill=_colour(rng, 20, 120))
    return _noisy(image, rng, 6)


def line(rng: Random) -> Image.Image:
    """One line of text, cut out of a page for text recognition."""
    width, font = int(rng.integers(500, 900)), ImageFont.load_default(int(rng.integers(22, 34)))
    image = Image.new("RGB", (width, 48), (245, 243, 238))
    place = (8, 8 + int(rng.integers(-3, 4)))
    ImageDraw.Draw(image).text(place, _words(rng, font, width - 16), (25, 25, 30), font=font)
    return _noisy(image, rng, 5)


def form(rng: Random) -> Image.Image:
    """One printed form, filled in with random words: most pixels of the images are equal."""
    image, font = Image.new("RGB", (420, 594), (250, 250, 248)), ImageFont.load_default(11)
    draw, printed = ImageDraw.Draw(image), np.random.default_rng(0)
    draw.text((50, 28), _words(printed, font, 250), (20, 20, 20), font=ImageFont.load_default(16))
    for y in range(70, 550, 27):
        draw.text((50, y), f"{_word(printed)}:", (30, 30, 30), font=font)
        draw.line((150, y + 14, 370, y + 14), fill=(60, 60, 60))
        pen = ImageFont.load_default(12)
        draw.text((152, y - 2), _words(rng, pen, rng.uniform(60, 210)), (20, 20, 120), font=pen)
    return _noisy(image, rng, 3)


SETS: dict[str, Callable[[Random], Image.Image]] = {
    "cells": cells,
    "radiographs": radiograph,
    "pages": page,
    "roads": road,
    "lines": line,
    "forms": form,
}


def draw(of: tuple[str, int]) -> Image.Image:
    """The image of a set with a number; of: the name of the set and the number."""
    name, number = of
    return SETS[name](np.random.default_rng([number, list(SETS).index(name)]))


def _image(shades: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8)).convert("RGB")


def _noisy(image: Image.Image, rng: Random, deviation: float) -> Image.Image:
    shades = np.asarray(image, float)
    return _image(shades + rng.normal(0, deviation, (*shades.shape[:2], 1)))


def _colour(rng: Random, low: int, high: int) -> tuple[int, ...]:
    return tuple(rng.integers(low, high, 3).tolist())


def _word(rng: Random) -> str:
    return "".join(rng.choice(_LETTERS, rng.integers(1, 11)))


def _words(rng: Random, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """As many words as fit."""
    text = _word(rng)
    while font.getlength(longer := f"{text} {_word(rng)}") <= width:
        text = longer
    return text
