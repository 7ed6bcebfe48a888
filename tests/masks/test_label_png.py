import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segpipe.data.classes import ClassTable
from segpipe.masks import label_png
from tests.grids import grid


def test_a_label_map_is_read_as_written_and_has_colours(tmp_path):
    label_map = grid("..#22 x.#22")
    label_png.write(tmp_path / "a.png", label_map, ClassTable(("background", "cat", "dog")))
    np.testing.assert_array_equal(label_png.read(tmp_path / "a.png"), label_map)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        row = [image.convert("RGB").getpixel((x, 1)) for x in (0, 1, 2, 3)]
    assert row == [(224, 224, 192), (0, 0, 0), (128, 0, 0), (0, 128, 0)]  # VOC's void, background, 1, 2


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_pillow_reads_any_label_map_in_either_memory_order(height, width, seed):
    label_map = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    packed = label_png.encode(label_map, ClassTable(("background",)))
    assert label_png.encode(np.asfortranarray(label_map), ClassTable(("background",))) == packed
    with Image.open(io.BytesIO(packed)) as image:
        image.verify()  # every chunk's checksum
    with Image.open(io.BytesIO(packed)) as image:
        np.testing.assert_array_equal(np.asarray(image), label_map)


def test_the_file_is_not_larger_than_pillows():
    label_map = np.zeros((480, 640), np.uint8)
    y, x = np.mgrid[:480, :640]
    label_map[(y - 200) ** 2 + (x - 300) ** 2 < 150**2] = 1
    plain = io.BytesIO()
    image = Image.fromarray(label_map)
    image.putpalette(ClassTable(("background", "cat")).png_palette)
    image.save(plain, "PNG")
    assert len(label_png.encode(label_map, ClassTable(("background", "cat")))) <= plain.tell()
