"""Augmentation: one random affine map and one random colour map per image, applied to a batch and its label maps.

`draw` runs on the CPU, next to the network; `apply` runs on the network's device and never waits for the CPU.

Not torchvision.transforms.v2: it draws from the global generator, one image after another. Here all numbers of a step
come from a generator seeded by the step, so a resumed training augments as an uninterrupted one, and a whole batch is
transformed at once on the device.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from segpipe.data.classes import IGNORE_INDEX
from segpipe.data.preprocessing import PADDING
from segpipe.train.recipe import Augment

TRIES = 4  # draws per image at most, until a crop has a labelled pixel
_PROBES = 32  # a crop is checked for labels on a grid of 32 x 32 points
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


@dataclass(frozen=True, slots=True)
class Variations:
    """The random transforms of a batch of N images."""

    theta: Tensor  # float32 (N, 2, 3), crop to image, in the -1..1 coordinates of torch.nn.functional.affine_grid
    colour: Tensor  # float32 (N, 3, 3), to multiply RGB by
    contrast: Tensor  # float32 (N,), factors
    redrawn: int  # crops drawn again because no pixel in them was labelled

    def select(self, rows: "slice | np.ndarray") -> "Variations":
        """The variations of some images. rows: slice or int (k,)."""
        return Variations(self.theta[rows], self.colour[rows], self.contrast[rows], self.redrawn)

    def to(self, device: torch.device) -> "Variations":
        """The variations on another device."""
        theta, colour, contrast = (t.to(device, non_blocking=True) for t in (self.theta, self.colour, self.contrast))
        return Variations(theta, colour, contrast, self.redrawn)


def draw(
    labels: Tensor, crop_hw: tuple[int, int], augment: Augment, generator: Generator, points: Tensor | None = None
) -> Variations:
    """Draw a random transform for each image.

    labels: uint8 (N, H, W) on the CPU; a crop without a label is drawn again, up to TRIES draws per image.
    points: float64 (N, 2), (x, y) in -1..1 to be shown in the middle half of the crop; NaN for no preference.
    """
    count = len(labels)
    points = torch.full((count, 2), torch.nan, dtype=torch.float64) if points is None else points
    thetas = _affine_maps(labels.shape, crop_hw, augment, generator, points)
    colour, contrast = _colour_maps(count, augment, generator)
    theta, redrawn = thetas[0], 0
    for next_theta in thetas[1:]:
        empty = _is_unlabelled(labels, theta)
        if not empty.any():
            break
        redrawn += int(empty.sum())
        theta = torch.where(empty.view(-1, 1, 1), next_theta, theta)
    return Variations(theta, colour, contrast, redrawn)


def apply(images: Tensor, labels: Tensor, variations: Variations, crop_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Transform a batch: images float32 (N, 3, h, w) in 0..255, bilinear; labels uint8 (N, h, w), nearest.

    Outside an image, the result has the grey of preprocessing.PADDING and IGNORE_INDEX.
    images: uint8 (N, 3, H, W); labels: uint8 (N, H, W); variations: on the same device.
    """
    grid = F.affine_grid(variations.theta, [len(images), 3, *crop_hw], align_corners=False)
    # PADDING is subtracted first: then zeros outside the image are the grey that the store pads with.
    offset = images.float().sub_(PADDING)
    sampled = F.grid_sample(offset, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _change_colours(sampled, variations), _sample_labels(labels, grid)


def _affine_maps(
    shape: torch.Size, crop_hw: tuple[int, int], augment: Augment, generator: Generator, points: Tensor
) -> Tensor:
    """TRIES random maps per image, float32 (TRIES, count, 2, 3), from crop to image: zoom, rotation, mirror, position.

    shape: (count, H, W) of the images.
    """
    count, *size_hw = shape
    uniform = torch.rand(TRIES, 6, count, generator=generator, dtype=torch.float64).unbind(dim=1)
    zoom = torch.exp((2 * uniform[0] - 1) * math.log1p(augment.scale))  # crop pixels per image pixel
    angle = (2 * uniform[1] - 1) * math.radians(augment.rotate_deg)
    mirror_x = 1 - 2 * (uniform[2] < augment.flip).double()
    mirror_y = 1 - 2 * (uniform[3] < augment.flip_vertical).double()
    (height, width), (h, w) = size_hw, crop_hw
    centre_x = _crop_centre(2 * uniform[4] - 1, w / zoom / width, points[:, 0])
    centre_y = _crop_centre(2 * uniform[5] - 1, h / zoom / height, points[:, 1])
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    row_x = torch.stack([mirror_x * cos * w / width, -mirror_y * sin * h / width, centre_x], dim=-1)
    row_y = torch.stack([mirror_x * sin * w / height, mirror_y * cos * h / height, centre_y], dim=-1)
    return torch.stack([row_x, row_y], dim=-2).float()


def _crop_centre(uniform: Tensor, extent: Tensor, point: Tensor) -> Tensor:
    """The centre of the crop along one axis, -1..1: the crop is inside the image, or the image inside the crop.

    uniform: random in -1..1; extent: side of the crop / side of the image; point: -1..1 or NaN, as in `draw`.
    """
    reach = (1 - extent).abs()
    near_point = torch.minimum(torch.maximum(point + uniform * extent / 2, -reach), reach)
    return torch.where(point.isnan(), uniform * reach, near_point)


def _colour_maps(count: int, augment: Augment, generator: Generator) -> tuple[Tensor, Tensor]:
    """RGB matrices float32 (count, 3, 3) for brightness, saturation and hue, and contrast factors (count,)."""
    uniform = 2 * torch.rand(4, count, generator=generator, dtype=torch.float64) - 1
    brightness, contrast, saturation = (
        1 + amount * u
        for amount, u in zip((augment.brightness, augment.contrast, augment.saturation), uniform[:3], strict=True)
    )
    angle = 2 * math.pi * augment.hue * uniform[3]
    to_yiq = torch.tensor(_TO_YIQ, dtype=torch.float64)
    rotation = torch.zeros(count, 3, 3, dtype=torch.float64)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = saturation * torch.cos(angle)
    rotation[:, 1, 2] = -saturation * torch.sin(angle)
    rotation[:, 2, 1] = saturation * torch.sin(angle)
    matrix = brightness.view(-1, 1, 1) * (torch.linalg.inv(to_yiq) @ rotation @ to_yiq)
    return matrix.float(), contrast.float()


def _change_colours(sampled: Tensor, variations: Variations) -> Tensor:
    """Multiply the colours, then stretch each image around its mean brightness, in one matrix product.

    sampled: float32 (N, 3, h, w), minus PADDING. Returns float32 (N, 3, h, w) in 0..255.
    """
    count, _, height, width = sampled.shape
    pixels, padding = sampled.flatten(2), variations.colour.sum(dim=2, keepdim=True) * PADDING  # (N, 3, hw), (N, 3, 1)
    luma = torch.tensor(_LUMA, device=sampled.device)
    mean = luma @ (variations.colour @ pixels.mean(dim=2, keepdim=True) + padding)  # (N, 1)
    contrast = variations.contrast.view(-1, 1, 1)
    shift = padding * contrast + mean.unsqueeze(2) * (1 - contrast)
    matrix = variations.colour * contrast
    return torch.baddbmm(shift, matrix, pixels).clamp_(0, 255).view(count, 3, height, width)


def _sample_labels(labels: Tensor, grid: Tensor) -> Tensor:
    """The nearest label at each grid point. Labels are subtracted from IGNORE_INDEX: zeros outside become ignored."""
    inverted = (IGNORE_INDEX - labels.float()).unsqueeze(1)
    sampled = F.grid_sample(inverted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return (IGNORE_INDEX - sampled.squeeze(1)).to(torch.uint8)


def _is_unlabelled(labels: Tensor, theta: Tensor) -> Tensor:
    """bool (N,): no probed point of the crop has a label."""
    grid = F.affine_grid(theta, [len(labels), 1, _PROBES, _PROBES], align_corners=False)
    return (_sample_labels(labels, grid) == IGNORE_INDEX).flatten(1).all(dim=1)
