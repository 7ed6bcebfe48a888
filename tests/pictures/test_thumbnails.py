import base64
import io

import numpy as np
import pytest
from PIL import Image

from segpipe.data.records import Instance, Rle
from segpipe.pictures import thumbnails
from segpipe.pictures.thumbnails import View, of_annotation, of_photo, outlined, view_of
from tests.grids import grid

PINK = (255, 40, 130)


def photo(folder, size_wh=(600, 300), name="a.png", orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    pixels = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    pixels[:, : size_wh[0] // 2] = (0, 200, 0)  # green on the left
    Image.fromarray(pixels).save(folder / name, exif=exif)
    return name


def decoded(uri):
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))).astype(int)


def square(left, top, side, **fields):
    ring = (left, top, left + side, top, left + side, top + side, left, top + side)
    return Instance(**{"id": "1", "image_key": "a", "category": "cat", "rings": (ring,)} | fields)


def pink(pixels):
    """The pixels that have the outline's colour, as exactly as JPEG keeps it."""
    return np.abs(pixels - PINK).sum(axis=-1) < 150


def test_a_whole_photo_keeps_its_shape(tmp_path):
    photo(tmp_path)
    assert decoded(of_photo(tmp_path, "a.png", "viewed", ())).shape == (160, 320, 3)  # 600 x 300 in 320 x 240


def test_the_frame_decides_the_orientation(tmp_path):
    photo(tmp_path, name="a.jpg", orientation=6)  # a viewer rotates it by 90 degrees clockwise
    upright = decoded(of_photo(tmp_path, "a.jpg", "viewed", ()))
    assert upright.shape == (240, 120, 3)
    assert upright[20, 60, 1] > 150 > upright[220, 60, 1]  # its left is on top now
    assert decoded(of_photo(tmp_path, "a.jpg", "stored", ())).shape == (160, 320, 3)


def test_the_view_around_an_annotation_stays_inside_the_photo():
    assert view_of((300, 600), (300, 100, 340, 120)).box == (220, 60, 420, 160)  # a third of the width and height
    assert view_of((300, 600), (0, 0, 100, 90)).box == (0, 0, 300, 290)  # its longer side around it, moved inside


def test_the_view_around_an_annotation_past_the_border_includes_the_outside():
    assert view_of((300, 600), (590, 100, 640, 120)).box == (0, 0, 670, 300)  # and a margin, a twentieth of 600
    left, top, right, bottom = view_of((300, 600), (1e9, 50, 2e9, 60)).box
    assert (left, top, right, bottom) == (0, 0, 900, 300)  # at most half a photo beyond the border


def test_the_size_and_the_smallest_part_of_a_view_can_be_set():
    view = view_of((300, 600), (300, 100, 302, 102), max_hw=(900, 900), max_zoom=16, min_part_hw=(64, 64))
    assert view == View((269, 69, 333, 133), 900 / 64)
    assert view.on_pixels() == View((269, 69, 333, 133), 14)


def test_a_view_on_pixels_shows_each_pixel_as_one_square():
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    view = View((0.6, 1.2, 2.5, 2.5), 3.9).on_pixels()
    shown = view.cut(image, (4, 5), Image.Resampling.NEAREST)
    assert np.array_equal(shown, np.kron(image[1:3, :3], np.ones((3, 3, 1), np.uint8)))
    assert view.scaled((1.5, 1.0, 2.0, 3.0)) == (4.5, 0.0, 6.0, 6.0)


def test_the_outline_is_just_outside_the_region():
    mask, line = (
        grid(drawing).astype(bool)
        for drawing in (
            """
            .......
            .......
            .......
            ...#...
            .......
            .......
            .......
            """,
            """
            .......
            ...#...
            ..###..
            .##.##.
            ..###..
            ...#...
            .......
            """,
        )
    )
    drawn = outlined(np.zeros((7, 7, 3), np.uint8), mask)
    assert np.array_equal((drawn == PINK).all(axis=-1), line)
    assert (drawn[3, 3] == np.round(0.22 * np.array(PINK))).all()  # tinted
    assert (drawn[0, 3] == 255).all()  # a light halo around the line


def run_lengths(left, top, side, size_hw):
    """COCO's column-major runs of a square, zeros first."""
    height, width = size_hw
    runs = [left * height + top, side, *[height - side, side] * (side - 1)]
    return Rle(size_hw=size_hw, counts=(*runs, height * width - sum(runs)))


@pytest.mark.parametrize("shape", [{}, {"rings": (), "rle": run_lengths(100, 100, 50, (300, 600))}])
def test_rings_and_run_lengths_are_outlined_at_their_place(tmp_path, shape):
    photo(tmp_path)
    shown = decoded(of_annotation(tmp_path, "a.png", "viewed", square(100, 100, 50, **shape)))
    # 200 x 150 of its pixels are shown, from (25, 50) on, at 1.6 times their size
    rows, columns = np.nonzero(pink(shown))
    assert shown.shape == (240, 320, 3)
    assert [columns.min(), columns.max()] == pytest.approx([75 * 1.6, 125 * 1.6], abs=3)
    assert [rows.min(), rows.max()] == pytest.approx([50 * 1.6, 100 * 1.6], abs=3)


def test_a_hole_is_not_tinted(tmp_path):
    photo(tmp_path)
    hole = square(330, 80, 140).rings
    shown = decoded(of_annotation(tmp_path, "a.png", "viewed", square(300, 50, 200, holes=hole)))
    middle = round(150 * 320 / 600), round(400 * 320 / 600)  # the whole photo is shown
    assert shown[middle].tolist() == pytest.approx([90, 90, 90], abs=4)


def test_an_annotation_that_covers_no_pixel_is_marked_by_a_box(tmp_path):
    photo(tmp_path)
    line = square(0, 0, 0, rings=((300.0, 100.0, 340.0, 100.0, 320.0, 100.0),))
    assert pink(decoded(of_annotation(tmp_path, "a.png", "viewed", line))).any()


def test_an_annotation_that_cannot_be_drawn_leaves_the_whole_photo(tmp_path):
    photo(tmp_path)
    bare = of_photo(tmp_path, "a.png", "viewed", ())
    wrong = Rle(size_hw=(5, 5), counts=(25,))
    for fields in ({"rings": ()}, {"rings": (), "rle": wrong}, {"rings": (), "mask_file": "none.png", "mask_value": 1}):
        assert of_annotation(tmp_path, "a.png", "viewed", square(0, 0, 1, **fields)) == bare


def test_unreadable_files_have_no_thumbnail(tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"no image")
    assert of_photo(tmp_path, "b.jpg", "viewed", ()) == ""
    assert of_annotation(tmp_path, "none.jpg", "viewed", square(0, 0, 5)) == ""


def test_points_far_outside_are_cut_off(tmp_path):
    photo(tmp_path)
    assert of_annotation(tmp_path, "a.png", "viewed", square(-1e12, 5, 2e12)).startswith("data:")


def test_thumbnails_are_small_and_repeatable(tmp_path):
    photo(tmp_path, (3000, 2000), "a.jpg")
    first = of_annotation(tmp_path, "a.jpg", "viewed", square(1000, 1000, 700))
    assert decoded(first).shape[0] <= thumbnails.HEIGHT
    assert decoded(first).shape[1] <= thumbnails.WIDTH
    assert first == of_annotation(tmp_path, "a.jpg", "viewed", square(1000, 1000, 700))


def test_an_image_of_noise_has_a_thumbnail(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    assert decoded(of_photo(tmp_path, "a.png", "viewed", ())).shape == (240, 320, 3)
