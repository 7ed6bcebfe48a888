import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import AnnotationError
from segpipe.masks.mask_files import colour_of, read_stored, read_values
from tests.ingest.folders import put_mask

ROWS = [[0, 1, 2], [3, 11, 255]]


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_values_are_palette_indices_or_stored_grey_values(tmp_path, mode):
    np.testing.assert_array_equal(read_values(put_mask(tmp_path / "m.png", ROWS, mode)), ROWS)


def test_a_palette_with_a_transparent_entry_changes_no_index(tmp_path):
    path = put_mask(tmp_path / "m.png", ROWS, "P")
    with Image.open(path) as image:
        image.save(tmp_path / "clear.png", transparency=0)
    np.testing.assert_array_equal(read_values(tmp_path / "clear.png"), ROWS)


def test_16_bits_are_kept(tmp_path):
    np.testing.assert_array_equal(read_values(put_mask(tmp_path / "m.png", [[0, 300]], "I;16")), [[0, 300]])


@pytest.mark.parametrize(
    ("depth", "byte", "values"),
    [
        (1, 0b10100110, [1, 0, 1, 0, 0, 1, 1, 0]),
        (2, 0b00011011, [0, 1, 2, 3]),  # Pillow returns 0, 85, 170, 255
        (4, 0b00011011, [1, 11]),  # Pillow returns 17, 187
    ],
)
def test_grey_of_few_bits_is_not_stretched(tmp_path, depth, byte, values):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(values), 1, depth, 0, 0, 0, 0)  # PNG specification, 11.2.2 IHDR
    rows = zlib.compress(bytes([0, byte]))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "m.png").write_bytes(png)
    np.testing.assert_array_equal(read_values(tmp_path / "m.png"), [values])


def problem(path):
    with pytest.raises(AnnotationError) as error:
        read_values(path)
    assert error.value.reason == "bad_record"
    return str(error.value)


def test_a_colour_is_one_number_of_24_bits(tmp_path):
    pixels = np.array([[[1, 2, 3], [255, 255, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    stored = read_stored(tmp_path / "m.png")
    assert (stored.coloured, stored.values.tolist()) == (True, [[1 + 2 * 256 + 3 * 65536, 2**24 - 1]])
    assert colour_of(1 + 2 * 256 + 3 * 65536) == (1, 2, 3)


def test_transparent_pixels_are_0(tmp_path):
    Image.fromarray(np.array([[[9, 9, 9, 0], [9, 0, 0, 1]]], np.uint8)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_values(tmp_path / "m.png"), [[0, 9]])


def test_the_colours_of_a_palette_are_returned(tmp_path):
    stored = read_stored(put_mask(tmp_path / "m.png", ROWS, "P"))  # index i has the colour (255 - i, i, 0)
    assert (stored.coloured, stored.palette[:2]) == (False, (255, 254 + 256))


def test_grey_with_alpha_is_refused(tmp_path):
    Image.new("LA", (2, 2)).save(tmp_path / "m.png")
    assert problem(tmp_path / "m.png") == (
        "an image of mode LA contains neither class numbers nor colours; export the mask as a palette, grey or RGB PNG"
    )


def test_a_jpeg_is_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "m.jpg")
    assert problem(tmp_path / "m.jpg") == "JPEG does not keep class numbers exact; export the mask as PNG"


@pytest.mark.parametrize("kept", [0, 20, 60])
def test_a_truncated_file_cannot_be_decoded(tmp_path, kept):
    path = put_mask(tmp_path / "m.png", np.arange(600).reshape(20, 30) % 7)
    path.write_bytes(path.read_bytes()[:kept])
    assert problem(path).startswith("cannot be decoded (")


def test_a_missing_file_cannot_be_decoded(tmp_path):
    assert problem(tmp_path / "none.png") == "cannot be decoded (FileNotFoundError); export the mask again"
