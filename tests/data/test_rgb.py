"""Images that are not 8-bit grey or RGB: their pixels, worked out here, and the recorded changes."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import AnnotationError
from segpipe.data import photos
from tests import tiffs

RANDOM = np.random.default_rng(0)
GREY_12 = RANDOM.integers(320, 3195, (40, 60), np.uint16)
RGB_12 = RANDOM.integers(0, 4096, (40, 60, 3), np.uint16)
FOUR = RANDOM.integers(1, 255, (40, 60, 4), np.uint8)
MASKED = np.where([True, True, True, False], FOUR, np.where(FOUR > 99, 255, 0)).astype(np.uint8)


def read(path):
    """The pixels, and the codes of the changes."""
    photo = photos.decode(path)
    return np.asarray(photo.image), [change.code for change in photo.changes]


def in_8_bits(values):
    low, high = int(values.min()), int(values.max())
    return ((values.astype(float) - low) * 255 / (high - low) + 0.5).astype(np.uint8)


def grey(values):
    return np.repeat(values[..., None], 3, axis=2)


def png_16(path, values, colour_type):
    """Write a 16-bit PNG of colours, which Pillow cannot write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    )


LAYOUTS = [{"order": order, "deflated": deflated} for order in "<>" for deflated in (False, True)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_12_bit_grey_keeps_its_contrast(tmp_path, layout):
    tiffs.put(tmp_path / "a.tif", GREY_12, photometric=1, **layout)
    pixels, codes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels, grey(in_8_bits(GREY_12)))
    assert len(np.unique(pixels)) > 200  # the upper byte alone has 12
    assert codes == ["scaled_to_8_bit"]


def test_changes_name_the_range_of_values_and_the_pages(tmp_path):
    Image.fromarray(GREY_12).save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("L", (60, 40))])
    assert [change.detail for change in photos.decode(tmp_path / "a.tif").changes] == [
        "only page 1 of 2 is used",
        f"its 16-bit values from {GREY_12.min()} to {GREY_12.max()} are scaled to 0 to 255",
    ]


@pytest.mark.parametrize("layout", [*LAYOUTS, {"planar": True}, {"planar": True, "order": ">"}])
def test_12_bit_colours_keep_their_contrast(tmp_path, layout):
    tiffs.put(tmp_path / "a.tif", RGB_12, photometric=2, **layout)
    pixels, codes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels, in_8_bits(RGB_12))
    assert codes == ["scaled_to_8_bit"]


def test_12_bit_pngs_keep_their_contrast(tmp_path):
    Image.fromarray(GREY_12).save(tmp_path / "grey.png")
    png_16(tmp_path / "rgb.png", RGB_12, 2)
    opaque = np.full((40, 60, 1), 65535, np.uint16)
    png_16(tmp_path / "rgba.png", np.concatenate([RGB_12, opaque], axis=2), 6)
    assert read(tmp_path / "grey.png")[1] == ["scaled_to_8_bit"]
    for name, right in (("grey", grey(in_8_bits(GREY_12))), ("rgb", in_8_bits(RGB_12)), ("rgba", in_8_bits(RGB_12))):
        np.testing.assert_array_equal(read(tmp_path / f"{name}.png")[0], right)


def test_negative_values_and_values_above_2_to_the_31_are_scaled(tmp_path):
    for values in ((GREY_12.astype(np.int16) - 1000), GREY_12.astype(np.uint32) << 20):
        tiffs.put(tmp_path / "a.tif", values, photometric=1)
        np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], grey(in_8_bits(values)))


def test_grey_is_inverted_where_0_is_white(tmp_path):
    tiffs.put(tmp_path / "a.tif", GREY_12, photometric=0)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], grey(255 - in_8_bits(GREY_12)))


def test_hot_and_dead_pixels_do_not_reduce_the_contrast(tmp_path):
    values = np.tile(GREY_12, (10, 10)) + 1000
    values[7, 7], values[9, 9] = 65535, 0
    Image.fromarray(values).save(tmp_path / "a.png")
    assert len(np.unique(read(tmp_path / "a.png")[0])) > 200


def test_a_narrow_range_of_values_is_not_stretched(tmp_path):
    Image.fromarray((5000 + RANDOM.integers(0, 9, (40, 60))).astype(np.uint16)).save(tmp_path / "a.png")
    assert np.unique(read(tmp_path / "a.png")[0]).tolist() == list(range(9))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("extra", [(), (1,), (2,)])
def test_a_fourth_band_that_may_be_data_is_not_transparency(tmp_path, extra, planar):
    tiffs.put(tmp_path / "a.tif", FOUR, photometric=2, extra=extra, planar=planar)
    pixels, codes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels, FOUR[..., :3])
    assert codes == ["bands_not_used"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("extra", [(), (0,)])
def test_a_mask_that_is_not_declared_as_transparency_is_data(tmp_path, extra, layout):
    tiffs.put(tmp_path / "a.tif", MASKED, photometric=2, extra=extra, **layout)
    pixels, codes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels, MASKED[..., :3])
    assert codes == ["bands_not_used"]


@pytest.mark.parametrize("extra", [(1,), (2,)])
def test_a_declared_mask_is_transparency(tmp_path, extra):
    tiffs.put(tmp_path / "a.tif", MASKED, photometric=2, extra=extra)
    pixels, codes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels, np.where(MASKED[..., 3:] == 255, MASKED[..., :3], 255))
    assert codes == ["laid_on_white"]


def test_16_bit_bands_beside_the_colours_are_data(tmp_path):
    values = np.concatenate([RGB_12, RGB_12[..., :1]], axis=2)
    for extra in ((), (0,), (1,), (2,)):
        tiffs.put(tmp_path / "a.tif", values, photometric=2, extra=extra)
        pixels, codes = read(tmp_path / "a.tif")
        np.testing.assert_array_equal(pixels, in_8_bits(RGB_12))
        assert codes == ["scaled_to_8_bit", "bands_not_used"]


def test_grey_with_another_band_is_grey(tmp_path):
    for extra in ((0,), (1,), (2,)):
        tiffs.put(tmp_path / "a.tif", FOUR[..., :2], photometric=1, extra=extra)
        pixels, codes = read(tmp_path / "a.tif")
        np.testing.assert_array_equal(pixels, grey(FOUR[..., 0]))
        assert codes == ["bands_not_used"]


@pytest.mark.parametrize(("mode", "pixel"), [("RGBA", (1, 2, 3)), ("LA", (9,))])
def test_transparent_pixels_of_a_png_are_a_change_and_opaque_ones_are_not(tmp_path, mode, pixel):
    for alpha, codes in ((0, ["laid_on_white"]), (128, ["laid_on_white"]), (255, [])):
        image = Image.new(mode, (4, 3), (*pixel, 255))
        image.putpixel((0, 0), (*pixel, alpha))
        image.save(tmp_path / "a.png")
        pixels, changes = read(tmp_path / "a.png")
        assert changes == codes
        assert (tuple(pixels[0, 0]) == (255, 255, 255)) == (alpha == 0)


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
@pytest.mark.parametrize("band", [FOUR[..., 3], np.zeros((40, 60), np.uint8), np.full((40, 60), 128, np.uint8)])
def test_a_fourth_band_of_other_formats_that_may_be_data_is_not_transparency(tmp_path, name, band):
    values = np.dstack([FOUR[..., :3], band])
    Image.fromarray(values).save(tmp_path / name, lossless=True, exact=True)
    pixels, codes = read(tmp_path / name)
    np.testing.assert_array_equal(pixels, values[..., :3])
    assert codes == ["bands_not_used"]


def test_a_fourth_band_of_16_bit_pngs_that_may_be_data_is_not_transparency(tmp_path):
    png_16(tmp_path / "a.png", np.dstack([RGB_12, RGB_12[..., 0]]), 6)
    pixels, codes = read(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels, in_8_bits(RGB_12))
    assert codes == ["scaled_to_8_bit", "bands_not_used"]


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.tif"])
def test_only_the_first_of_several_pages_is_used_and_this_is_a_change(tmp_path, name):
    first, second = (Image.fromarray(FOUR[..., side]) for side in (slice(0, 3), slice(1, 4)))
    first.save(tmp_path / name, save_all=True, append_images=[second], lossless=True)
    pixels, codes = read(tmp_path / name)
    np.testing.assert_array_equal(pixels, FOUR[..., :3])
    assert codes == ["first_page_only"]


def test_smaller_versions_of_the_first_page_are_not_counted(tmp_path):
    small = Image.new("RGB", (30, 20))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    Image.fromarray(FOUR[..., :3]).save(tmp_path / "a.tif", save_all=True, append_images=[small, small])
    assert read(tmp_path / "a.tif")[1] == []


def test_a_first_page_that_is_a_smaller_version_of_another_is_a_change(tmp_path):
    small, large = Image.new("RGB", (30, 20)), Image.new("RGB", (60, 40))
    large.encoderinfo = {"tiffinfo": {}}
    small.save(tmp_path / "a.tif", tiffinfo={254: 1}, save_all=True, append_images=[large])
    photo = photos.decode(tmp_path / "a.tif")
    assert (photo.image.size, [change.detail for change in photo.changes]) == ((30, 20), ["only page 1 of 2 is used"])


@pytest.mark.parametrize(("kind", "codes"), [(b"\2\0\2\0", ["first_page_only"]), (b"\0\0\0\0", [])])
def test_a_second_view_of_a_camera_is_a_change_and_a_preview_is_not(tmp_path, kind, codes):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.mpo", save_all=True, append_images=[Image.new("RGB", (60, 40))])
    content = (tmp_path / "a.mpo").read_bytes()
    entries = content.index(b"\0\0\3\0", content.index(b"MPF\0") + 20)  # the first image's type: baseline primary
    written = kind if codes else b"\0\0\3\0"
    content = content[:entries] + written + content[entries + 4 : entries + 16] + kind + content[entries + 20 :]
    (tmp_path / "a.mpo").write_bytes(content)
    assert read(tmp_path / "a.mpo")[1] == codes


@pytest.mark.parametrize(
    ("values", "layout", "words"),
    [
        (FOUR.astype(np.uint16), {"extra": (0, 0, 0)}, "16-bit values in 4 bands, none declared as a colour,"),
        (FOUR, {"extra": (0, 0, 0)}, "8-bit values in 4 bands, none declared as a colour,"),
        (GREY_12.astype(np.float64), {}, "64-bit floating-point values in one band"),
        (
            RGB_12,
            {"photometric": 2, "planar": True, "deflated": True},
            "16-bit values in 3 bands, the first three red, green and blue and stored band after band,",
        ),
    ],
)
def test_the_error_of_an_unsupported_tiff_names_its_layout(tmp_path, values, layout, words):
    tiffs.put(tmp_path / "a.tif", values, **{"photometric": 1} | layout)
    with pytest.raises(AnnotationError, match=f"^TIFF images of {words} are not supported; write") as caught:
        photos.decode(tmp_path / "a.tif")
    assert caught.value.reason == "unsupported_format"
