import numpy as np
import pytest
from PIL import ImageFont

from segpipe.pictures import layout
from tests.grids import grid


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("name", ["Käfer", "жук", "σκαθάρι", "Bọ cánh cứng", "خنفساء", "ბზუალი"])
def test_class_names_in_common_alphabets_have_a_glyph_for_each_letter(name, bold):
    font = layout._font(15, bold)
    missing = pixels(font, "\uffff")
    assert all(pixels(font, letter) != missing for letter in name if letter != " ")


def pixels(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    return bytes(font.getmask(letter))


def test_stripes_are_diagonal_and_four_pixels_wide():
    expected = grid("""
        ####....####
        ###....####.
        ##....####..
    """).astype(bool)
    assert np.array_equal(layout.stripes((3, 12)), expected)
    assert {tuple(pixel) for pixel in layout.hatching((3, 12))[expected]} == {(190, 190, 190)}
