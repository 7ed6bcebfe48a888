import pytest
import torch

from segpipe.data.classes import IGNORE_INDEX
from segpipe.data.preprocessing import PADDING
from segpipe.train import augment
from segpipe.train.recipe import Augment

NOTHING = Augment(scale=0, rotate_deg=0, flip=0, flip_vertical=0, brightness=0, contrast=0, saturation=0, hue=0)
SHAPE_ONLY = NOTHING.model_copy(update={"scale": 0.6, "rotate_deg": 15, "flip": 0.5, "flip_vertical": 0.5})


def varied(images, labels, crop_hw, strength, seed=0):
    draws = augment.draw(labels, crop_hw, strength, torch.Generator().manual_seed(seed))
    return augment.apply(images, labels, draws, crop_hw)


def ramp(count, height, width, step=4):
    """Pictures whose red is 4 x, green 4 y, blue 200; labels that number their squares of 8 x 8 pixels."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    picture = torch.stack([step * x, step * y, torch.full_like(x, 200)]).to(torch.uint8)
    labels = ((y // 8) * (width // 8) + x // 8).to(torch.uint8)
    return picture.repeat(count, 1, 1, 1), labels.repeat(count, 1, 1)


def test_with_nothing_to_do_pictures_and_labels_stay_as_they_are():
    images, labels = ramp(2, 48, 56)
    pixels, truth = varied(images, labels, (48, 56), NOTHING)
    assert torch.allclose(pixels, images.float(), atol=1e-2)
    assert torch.equal(truth, labels)


@pytest.mark.parametrize(("flip", "axis"), [("flip", 2), ("flip_vertical", 1)])
def test_a_mirrored_picture_has_mirrored_labels(flip, axis):
    images, labels = ramp(1, 40, 48)
    pixels, truth = varied(images, labels, (40, 48), NOTHING.model_copy(update={flip: 1.0}))
    assert torch.equal(truth, labels.flip(axis))
    assert torch.allclose(pixels, images.flip(axis + 1).float(), atol=1e-2)


def test_a_crop_without_zoom_is_a_piece_of_the_picture():
    images, labels = ramp(1, 40, 40)
    pixels, _ = varied(images, labels, (16, 16), NOTHING)
    assert torch.allclose(pixels[0, 0, :, 1:] - pixels[0, 0, :, :-1], torch.tensor(4.0), atol=1e-2)
    assert torch.allclose(pixels[0, 1, 1:] - pixels[0, 1, :-1], torch.tensor(4.0), atol=1e-2)


@pytest.mark.parametrize("seed", range(4))
def test_pictures_and_labels_move_together(seed):
    images, labels = ramp(8, 48, 56)
    pixels, truth = varied(images, labels, (40, 40), SHAPE_ONLY, seed)
    x, y = pixels[:, 0] / 4, pixels[:, 1] / 4  # where in the picture this pixel was taken
    well_within_a_square = (x % 8 > 0.5) & (x % 8 < 6.5) & (y % 8 > 0.5) & (y % 8 < 6.5)
    sure = well_within_a_square & (pixels[:, 2] > 199.9)  # less blue: mixed with the grey outside
    assert sure.sum() > 3000
    assert torch.equal(truth[sure].float(), ((y // 8) * 7 + x // 8)[sure])


def test_no_new_label_value_appears_and_outside_is_ignored():
    generator = torch.Generator().manual_seed(1)
    values = torch.tensor([0, 3, 7, 254, 255], dtype=torch.uint8)
    labels = values[torch.randint(5, (6, 32, 32), generator=generator)]
    images = torch.full((6, 3, 32, 32), 200, dtype=torch.uint8)
    for seed in range(5):
        _, truth = varied(images, labels, (48, 48), SHAPE_ONLY, seed)
        assert set(truth.unique().tolist()) <= set(values.tolist())


def test_a_crop_larger_than_the_picture_is_grey_and_ignored_around_it():
    images = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    labels = torch.full((1, 16, 16), 7, dtype=torch.uint8)
    pixels, truth = varied(images, labels, (32, 32), NOTHING)
    assert int((truth == 7).sum()) == 16 * 16  # all of it, somewhere
    assert int((truth == IGNORE_INDEX).sum()) == 32 * 32 - 16 * 16
    outside = torch.nn.functional.max_pool2d((truth == 7).float(), 3, 1, 1)[0] == 0
    assert torch.allclose(pixels[0, :, outside], torch.tensor(float(PADDING)), atol=1e-3)  # as the store pads


def test_crops_that_show_nothing_labelled_are_drawn_again():
    labels = torch.full((64, 64, 64), IGNORE_INDEX, dtype=torch.uint8)
    labels[:, :32] = 1  # the upper half
    images = torch.zeros(64, 3, 64, 64, dtype=torch.uint8)
    draws = augment.draw(labels, (16, 16), NOTHING, torch.Generator().manual_seed(0))
    _, truth = augment.apply(images, labels, draws, (16, 16))
    empty = (truth == IGNORE_INDEX).flatten(1).all(dim=1).sum()
    # A crop of 16 has 48 places, of which 16 show only ignored pixels: a third at first, 1 in 81 after four draws.
    assert draws.redrawn >= 12
    assert empty <= 4


def test_a_picture_without_any_label_is_given_up_after_a_few_tries():
    labels = torch.full((2, 32, 32), IGNORE_INDEX, dtype=torch.uint8)
    draws = augment.draw(labels, (16, 16), SHAPE_ONLY, torch.Generator().manual_seed(0))
    assert draws.redrawn == 2 * (augment.TRIES - 1)


def test_grey_stays_grey_when_hue_and_saturation_change():
    images = torch.full((4, 3, 8, 8), 100, dtype=torch.uint8)
    strength = NOTHING.model_copy(update={"saturation": 0.9, "hue": 0.5})
    pixels, _ = varied(images, torch.zeros(4, 8, 8, dtype=torch.uint8), (8, 8), strength)
    assert torch.allclose(pixels, torch.tensor(100.0), atol=0.05)


def test_brightness_multiplies_and_contrast_keeps_the_mean():
    images, labels = ramp(6, 16, 16)
    bright, _ = varied(images, labels, (16, 16), NOTHING.model_copy(update={"brightness": 0.4}))
    factors = bright.flatten(1).sum(dim=1) / images.float().flatten(1).sum(dim=1)
    assert factors.min() > 0.6
    assert factors.max() < 1.4
    assert factors.unique().numel() == 6
    middling = images // 2 + 60  # stays within 0..255 when stretched
    stretched, _ = varied(middling, labels, (16, 16), NOTHING.model_copy(update={"contrast": 0.4}))
    luma = torch.tensor([0.299, 0.587, 0.114])
    means = [p.float().flatten(2).mean(dim=2) @ luma for p in (stretched, middling)]
    assert torch.allclose(*means, atol=0.1)


def test_the_same_place_in_the_training_gives_the_same_pictures_and_another_gives_others():
    images, labels = ramp(3, 40, 40)
    first, again, other = (varied(images, labels, (24, 24), Augment(), seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_value_stays_a_pixel_value():
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    strong = Augment(brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5)
    pixels, _ = varied(images, torch.zeros(8, 32, 32, dtype=torch.uint8), (32, 32), strong)
    assert pixels.min() >= 0
    assert pixels.max() <= 255
