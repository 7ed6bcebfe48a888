"""Vary a batch of pictures and label maps together: one affine map and one colour map per picture.

The numbers are drawn on the CPU (`draw`, cheap, may run beside the network), the pixels are moved on the device of
the network (`apply`), so a GPU never waits to learn what was drawn.
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

TRIES = 4
_PROBES = 32  # a crop is looked at on so many points each way before it is kept
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


@dataclass(frozen=True, slots=True)
class Draws:
    """What was drawn for one batch. theta: float32 (N, 2, 3), output to input in the -1..1 coordinates of
    torch.nn.functional.affine_grid; colour: float32 (N, 3, 3) by which RGB is multiplied; contrast: float32 (N,);
    redrawn: crops that were drawn again because nothing in them was labelled."""

    theta: Tensor
    colour: Tensor
    contrast: Tensor
    redrawn: int

    def rows(self, rows: "slice | np.ndarray") -> "Draws":
        """Those of some of the pictures."""
        return Draws(self.theta[rows], self.colour[rows], self.contrast[rows], self.redrawn)

    def to(self, device: torch.device) -> "Draws":
        """The same on another device."""
        theta, colour, contrast = (t.to(device, non_blocking=True) for t in (self.theta, self.colour, self.contrast))
        return Draws(theta, colour, contrast, self.redrawn)


def draw(
    labels: Tensor, crop_hw: tuple[int, int], augment: Augment, generator: Generator, aims: Tensor | None = None
) -> Draws:
    """Draw for each picture how it will be varied.

    labels: uint8 (N, H, W) on the CPU, only looked at to leave out crops without any label (at most TRIES draws each);
    aims: float64 (N, 2), a point (x, y) in -1..1 that the crop should show in its middle half, NaN for any place.
    """
    count = len(labels)
    aims = torch.full((count, 2), torch.nan, dtype=torch.float64) if aims is None else aims
    thetas = _geometries(labels.shape, crop_hw, augment, generator, aims)
    colour, contrast = _colour(count, augment, generator)
    theta, redrawn = thetas[0], 0
    for other in thetas[1:]:
        empty = _shows_nothing(labels, theta)
        if not empty.any():
            break
        redrawn += int(empty.sum())
        theta = torch.where(empty.view(-1, 1, 1), other, theta)
    return Draws(theta, colour, contrast, redrawn)


def apply(images: Tensor, labels: Tensor, draws: Draws, crop_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Carry out what was drawn.

    images: uint8 (N, 3, H, W); labels: uint8 (N, H, W); draws: on the same device. Returns images float32
    (N, 3, h, w) in 0..255, grey (transforms.PADDING) outside the picture, and labels uint8 (N, h, w), nearest,
    IGNORE_INDEX outside.
    """
    grid = F.affine_grid(draws.theta, [len(images), 3, *crop_hw], align_corners=False)
    # Outside the picture comes what the store has around it, before the colours are varied: counted from there, 0.
    offset = images.float().sub_(PADDING)
    sampled = F.grid_sample(offset, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _coloured(sampled, draws), _label_sample(labels, grid)


def _geometries(
    shape: torch.Size, crop_hw: tuple[int, int], augment: Augment, generator: Generator, aims: Tensor
) -> Tensor:
    """Affine maps float32 (TRIES, count, 2, 3) from the crop to the picture of `shape` (count, H, W): zoom, turn,
    mirror, place."""
    count, *size_hw = shape
    uniform = torch.rand(TRIES, 6, count, generator=generator, dtype=torch.float64).unbind(dim=1)
    zoom = torch.exp((2 * uniform[0] - 1) * math.log1p(augment.scale))  # crop pixels per picture pixel
    angle = (2 * uniform[1] - 1) * math.radians(augment.rotate_deg)
    mirror_x = 1 - 2 * (uniform[2] < augment.flip).double()
    mirror_y = 1 - 2 * (uniform[3] < augment.flip_vertical).double()
    (height, width), (h, w) = size_hw, crop_hw
    # The crop's centre may be anywhere where the crop lies inside the picture, or the picture inside the crop.
    centre_x = _centre(2 * uniform[4] - 1, w / zoom / width, aims[:, 0])
    centre_y = _centre(2 * uniform[5] - 1, h / zoom / height, aims[:, 1])
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    row_x = torch.stack([mirror_x * cos * w / width, -mirror_y * sin * h / width, centre_x], dim=-1)
    row_y = torch.stack([mirror_x * sin * w / height, mirror_y * cos * h / height, centre_y], dim=-1)
    return torch.stack([row_x, row_y], dim=-2).float()


def _centre(place: Tensor, part: Tensor, aim: Tensor) -> Tensor:
    """Where the crop's centre lies along one axis, -1..1; place: -1..1 of where it may be, part: of the picture's side
    that the crop covers."""
    reach = (1 - part).abs()
    aimed = torch.minimum(torch.maximum(aim + place * part / 2, -reach), reach)
    return torch.where(aim.isnan(), place * reach, aimed)


def _colour(count: int, augment: Augment, generator: Generator) -> tuple[Tensor, Tensor]:
    """RGB matrices float32 (count, 3, 3) for brightness, saturation and hue, and contrast factors (count,)."""
    uniform = 2 * torch.rand(4, count, generator=generator, dtype=torch.float64) - 1
    brightness, contrast, saturation = (
        1 + amount * u
        for amount, u in zip((augment.brightness, augment.contrast, augment.saturation), uniform[:3], strict=True)
    )
    angle = 2 * math.pi * augment.hue * uniform[3]
    to_yiq = torch.tensor(_TO_YIQ, dtype=torch.float64)
    turn = torch.zeros(count, 3, 3, dtype=torch.float64)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * torch.cos(angle)
    turn[:, 1, 2] = -saturation * torch.sin(angle)
    turn[:, 2, 1] = saturation * torch.sin(angle)
    matrix = brightness.view(-1, 1, 1) * (torch.linalg.inv(to_yiq) @ turn @ to_yiq)
    return matrix.float(), contrast.float()


def _coloured(sampled: Tensor, draws: Draws) -> Tensor:
    """Multiply the colours, then stretch each picture around its mean brightness; all in one product.

    sampled: float32 (N, 3, h, w), counted from PADDING. Returns such, 0..255.
    """
    count, _, height, width = sampled.shape
    pixels, padding = sampled.flatten(2), draws.colour.sum(dim=2, keepdim=True) * PADDING  # (N, 3, h * w), (N, 3, 1)
    luma = torch.tensor(_LUMA, device=sampled.device)
    mean = luma @ (draws.colour @ pixels.mean(dim=2, keepdim=True) + padding)  # (N, 1)
    contrast = draws.contrast.view(-1, 1, 1)
    shift = padding * contrast + mean.unsqueeze(2) * (1 - contrast)
    matrix = draws.colour * contrast
    return torch.baddbmm(shift, matrix, pixels).clamp_(0, 255).view(count, 3, height, width)


def _label_sample(labels: Tensor, grid: Tensor) -> Tensor:
    """Nearest label at each grid point. Counted from IGNORE_INDEX down, the zeros outside the picture are ignore."""
    turned = (IGNORE_INDEX - labels.float()).unsqueeze(1)
    sampled = F.grid_sample(turned, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return (IGNORE_INDEX - sampled.squeeze(1)).to(torch.uint8)


def _shows_nothing(labels: Tensor, theta: Tensor) -> Tensor:
    """bool (N,): every probed point of the crop is ignored."""
    grid = F.affine_grid(theta, [len(labels), 1, _PROBES, _PROBES], align_corners=False)
    return (_label_sample(labels, grid) == IGNORE_INDEX).flatten(1).all(dim=1)
