import numpy as np
from PIL import Image

from segpipe.classes import ClassTable
from segpipe.masks import label_png
from tests.grids import grid


def test_a_label_map_comes_back_and_opens_in_colour(tmp_path):
    label_map = grid("..#22 x.#22")
    label_png.write(tmp_path / "a.png", label_map, ClassTable(("background", "cat", "dog")))
    np.testing.assert_array_equal(label_png.read(tmp_path / "a.png"), label_map)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        row = [image.convert("RGB").getpixel((x, 1)) for x in (0, 1, 2, 3)]
    assert row == [(224, 224, 192), (0, 0, 0), (128, 0, 0), (0, 128, 0)]  # VOC's void, background, 1, 2
