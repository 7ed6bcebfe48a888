import numpy as np
import pytest
from PIL import Image, ImageOps

from segpipe.core.errors import AnnotationError
from segpipe.data import photos
from segpipe.data.photos import viewed_wh


@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_every_exif_orientation_is_applied(real_data, name):
    upright = photos.read_rgb(real_data / f"exif/{name}_1.jpg").astype(int)
    for orientation in range(2, 9):
        seen = photos.read_rgb(real_data / f"exif/{name}_{orientation}.jpg").astype(int)
        assert seen.shape == upright.shape
        assert np.abs(seen - upright).mean() < 12, f"orientation {orientation}"  # each file is a separate JPEG


def test_stored_size_and_orientation_come_from_the_header(real_data):
    size_hw, orientation = photos.read_size(real_data / "exif/Portrait_6.jpg")
    assert (size_hw, orientation) == ((1200, 1800), 6)
    assert photos.viewed_hw(size_hw, orientation) == (1800, 1200)


@pytest.mark.parametrize(
    ("mode", "pixel", "rgb"),
    [
        ("L", 9, (9, 9, 9)),
        ("1", 255, (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (10, 20, 30)),  # a fourth band without an opaque pixel is not transparency
        ("I;16", 99, (99, 99, 99)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, pixel, rgb):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (3, 2), pixel).save(path)
    image = photos.read_rgb(path)
    assert image.shape == (2, 3, 3)
    assert tuple(image[0, 0]) == rgb


@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_frames_of_a_tiff_equal_those_of_a_png(tmp_path, orientation):
    # Pillow turns a TIFF while it loads it, and no other format
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.png", "a.tif"):
        Image.fromarray(stored).save(tmp_path / name, exif=exif)
        assert photos.read_size(tmp_path / name) == ((4, 6), orientation)
        assert viewed_wh(tmp_path / name) == ((4, 6) if orientation > 4 else (6, 4))
        np.testing.assert_array_equal(photos.read_rgb(tmp_path / name, "stored")[..., 0], stored)
    with Image.open(tmp_path / "a.png") as image:
        viewed = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(photos.read_rgb(tmp_path / "a.png"), viewed)
    np.testing.assert_array_equal(photos.read_rgb(tmp_path / "a.tif"), viewed)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing_file"),
        (b"", "unreadable"),
        (b"<svg/>", "unreadable"),
        ("HEIC", "unsupported_format"),
        ("GIF", "unsupported_format"),
    ],
)
def test_an_unusable_file_is_an_error_with_its_reason(tmp_path, content, reason):
    path = tmp_path / ("a.heic" if content == "HEIC" else "a.jpg")
    if content == "HEIC":
        path.write_bytes(b"....ftypheic")
    elif content == "GIF":
        Image.new("L", (4, 4)).save(path, "GIF")
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(AnnotationError) as caught:
        photos.read_rgb(path)
    assert caught.value.reason == reason


def test_a_truncated_jpeg_is_unreadable(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    assert photos.read_size(path) == ((64, 64), 1)  # the header is whole
    with pytest.raises(AnnotationError, match="cannot be decoded"):
        photos.read_rgb(path)
