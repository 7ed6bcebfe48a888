import math

import pytest
import torch
from torchvision.transforms import v2

from segpipe.data.classes import IGNORE_INDEX
from segpipe.data.preprocessing import PADDING
from segpipe.train import augment
from segpipe.train.recipe import Augment

IDENTITY = Augment(scale=0, rotate_deg=0, flip=0, flip_vertical=0, brightness=0, contrast=0, saturation=0, hue=0)
SHAPE_ONLY = IDENTITY.model_copy(update={"scale": 0.6, "rotate_deg": 15, "flip": 0.5, "flip_vertical": 0.5})


def varied(images, labels, crop_hw, strength, seed=0):
    variations = augment.draw(labels, crop_hw, strength, torch.Generator().manual_seed(seed))
    return augment.apply(images, labels, variations, crop_hw)


def ramp(count, height, width, step=4):
    """Images with red = 4 x, green = 4 y, blue = 200, and labels that number the squares of 8 x 8 pixels."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([step * x, step * y, torch.full_like(x, 200)]).to(torch.uint8)
    labels = ((y // 8) * (width // 8) + x // 8).to(torch.uint8)
    return image.repeat(count, 1, 1, 1), labels.repeat(count, 1, 1)


def test_the_identity_changes_neither_images_nor_labels():
    images, labels = ramp(2, 48, 56)
    pixels, truth = varied(images, labels, (48, 56), IDENTITY)
    assert torch.allclose(pixels, images.float(), atol=1e-2)
    assert torch.equal(truth, labels)


@pytest.mark.parametrize(("flip", "axis"), [("flip", 2), ("flip_vertical", 1)])
def test_a_mirrored_image_has_mirrored_labels(flip, axis):
    images, labels = ramp(1, 40, 48)
    pixels, truth = varied(images, labels, (40, 48), IDENTITY.model_copy(update={flip: 1.0}))
    assert torch.equal(truth, labels.flip(axis))
    assert torch.allclose(pixels, images.flip(axis + 1).float(), atol=1e-2)


def test_a_crop_without_zoom_is_a_part_of_the_image():
    images, labels = ramp(1, 40, 40)
    pixels, _ = varied(images, labels, (16, 16), IDENTITY)
    assert torch.allclose(pixels[0, 0, :, 1:] - pixels[0, 0, :, :-1], torch.tensor(4.0), atol=1e-2)
    assert torch.allclose(pixels[0, 1, 1:] - pixels[0, 1, :-1], torch.tensor(4.0), atol=1e-2)


@pytest.mark.parametrize("seed", range(4))
def test_images_and_labels_move_together(seed):
    images, labels = ramp(8, 48, 56)
    pixels, truth = varied(images, labels, (40, 40), SHAPE_ONLY, seed)
    x, y = pixels[:, 0] / 4, pixels[:, 1] / 4  # the position in the image that was sampled
    is_inside_a_square = (x % 8 > 0.5) & (x % 8 < 6.5) & (y % 8 > 0.5) & (y % 8 < 6.5)
    is_known = is_inside_a_square & (pixels[:, 2] > 199.9)  # less blue: mixed with the grey outside
    assert is_known.sum() > 3000
    assert torch.equal(truth[is_known].float(), ((y // 8) * 7 + x // 8)[is_known])


@pytest.mark.parametrize("seed", range(3))
def test_rotation_and_zoom_are_those_of_torchvisions_affine(seed):
    images, labels = ramp(1, 64, 64, step=3)
    strength = IDENTITY.model_copy(update={"scale": 0.3, "rotate_deg": 20})
    generator = torch.Generator().manual_seed(seed)
    variations = augment.draw(labels, (64, 64), strength, generator, torch.zeros(1, 2, dtype=torch.float64))
    theta = variations.theta[0].double()  # of a square image: the inverse of zoom and rotation, then a shift
    zoom = 1 / float(theta[:, :2].det().sqrt())
    angle = math.degrees(math.atan2(float(theta[1, 0]), float(theta[0, 0])))
    shift = (-torch.linalg.inv(theta[:, :2]) @ theta[:, 2] * 32).tolist()  # (x, y) in pixels of the crop
    expected, expected_labels = (
        v2.functional.affine(tensor, -angle, shift, zoom, [0.0, 0.0], mode, fill=fill)
        for tensor, mode, fill in (
            (images.float(), v2.InterpolationMode.BILINEAR, PADDING),
            (labels, v2.InterpolationMode.NEAREST, IGNORE_INDEX),
        )
    )
    pixels, truth = augment.apply(images, labels, variations, (64, 64))
    ignored = torch.nn.functional.pad((truth == IGNORE_INDEX).float(), (1, 1, 1, 1), value=1.0)
    inside = torch.nn.functional.max_pool2d(ignored, 3, 1)[0] == 0  # the edges are mixed with the fill in another way
    assert inside.sum() > 2000
    assert (pixels - expected).abs()[0, :, inside].max() < 0.1
    assert (truth == expected_labels)[0, inside].float().mean() > 0.999  # borders between labels are rounded


def test_no_new_label_value_appears_and_outside_is_ignored():
    generator = torch.Generator().manual_seed(1)
    values = torch.tensor([0, 3, 7, 254, 255], dtype=torch.uint8)
    labels = values[torch.randint(5, (6, 32, 32), generator=generator)]
    images = torch.full((6, 3, 32, 32), 200, dtype=torch.uint8)
    for seed in range(5):
        _, truth = varied(images, labels, (48, 48), SHAPE_ONLY, seed)
        assert set(truth.unique().tolist()) <= set(values.tolist())


def test_a_crop_larger_than_the_image_is_grey_and_ignored_around_it():
    images = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    labels = torch.full((1, 16, 16), 7, dtype=torch.uint8)
    pixels, truth = varied(images, labels, (32, 32), IDENTITY)
    assert int((truth == 7).sum()) == 16 * 16  # all of it, somewhere
    assert int((truth == IGNORE_INDEX).sum()) == 32 * 32 - 16 * 16
    outside = torch.nn.functional.max_pool2d((truth == 7).float(), 3, 1, 1)[0] == 0
    assert torch.allclose(pixels[0, :, outside], torch.tensor(float(PADDING)), atol=1e-3)  # as the store pads


def test_crops_without_a_label_are_drawn_again():
    labels = torch.full((64, 64, 64), IGNORE_INDEX, dtype=torch.uint8)
    labels[:, :32] = 1  # the upper half
    images = torch.zeros(64, 3, 64, 64, dtype=torch.uint8)
    variations = augment.draw(labels, (16, 16), IDENTITY, torch.Generator().manual_seed(0))
    _, truth = augment.apply(images, labels, variations, (16, 16))
    empty = (truth == IGNORE_INDEX).flatten(1).all(dim=1).sum()
    # A crop of 16 has 48 positions, of which 16 show only ignored pixels: a third at first, 1 in 81 after 4 draws.
    assert variations.redrawn >= 12
    assert empty <= 4


def test_an_image_without_labels_is_drawn_a_limited_number_of_times():
    labels = torch.full((2, 32, 32), IGNORE_INDEX, dtype=torch.uint8)
    variations = augment.draw(labels, (16, 16), SHAPE_ONLY, torch.Generator().manual_seed(0))
    assert variations.redrawn == 2 * (augment.TRIES - 1)


def test_grey_stays_grey_when_hue_and_saturation_change():
    images = torch.full((4, 3, 8, 8), 100, dtype=torch.uint8)
    strength = IDENTITY.model_copy(update={"saturation": 0.9, "hue": 0.5})
    pixels, _ = varied(images, torch.zeros(4, 8, 8, dtype=torch.uint8), (8, 8), strength)
    assert torch.allclose(pixels, torch.tensor(100.0), atol=0.05)


def test_brightness_multiplies_and_contrast_keeps_the_mean():
    images, labels = ramp(6, 16, 16)
    bright, _ = varied(images, labels, (16, 16), IDENTITY.model_copy(update={"brightness": 0.4}))
    factors = bright.flatten(1).sum(dim=1) / images.float().flatten(1).sum(dim=1)
    assert factors.min() > 0.6
    assert factors.max() < 1.4
    assert factors.unique().numel() == 6
    middling = images // 2 + 60  # stays within 0..255 when stretched
    stretched, _ = varied(middling, labels, (16, 16), IDENTITY.model_copy(update={"contrast": 0.4}))
    luma = torch.tensor([0.299, 0.587, 0.114])
    means = [p.float().flatten(2).mean(dim=2) @ luma for p in (stretched, middling)]
    assert torch.allclose(*means, atol=0.1)


def test_equal_seeds_give_equal_images_and_other_seeds_give_others():
    images, labels = ramp(3, 40, 40)
    first, again, other = (varied(images, labels, (24, 24), Augment(), seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_values_stay_within_0_and_255():
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    strong = Augment(brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5)
    pixels, _ = varied(images, torch.zeros(8, 32, 32, dtype=torch.uint8), (32, 32), strong)
    assert pixels.min() >= 0
    assert pixels.max() <= 255
