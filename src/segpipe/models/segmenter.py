"""Segmentation networks: an architecture with an encoder, from an image's pixels to logits of its size."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, cast

import segmentation_models_pytorch as smp
import timm
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.encoders.timm_vit import TimmViTEncoder
from torch import Tensor, nn

from segpipe.core.errors import UserError, at
from segpipe.models import torchvision_nets

# name in segmentation_models_pytorch -> options of its constructor
SMP_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "unet": {},
    "unetplusplus": {},
    "fpn": {},
    "deeplabv3": {},
    "deeplabv3plus": {},
    "pspnet": {},
    "segformer": {},
    "upernet": {},
    "dpt": {"dynamic_img_size": True},  # without it, a vision transformer accepts one image size only
}
ARCHITECTURES = (*SMP_ARCHITECTURES, *torchvision_nets.NETWORKS)
UNSEEN_LOGIT = -1e4  # its softmax is exactly 0 in float32, and half precision can represent it
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)
_HALF_ENCODERS = ("inceptionv4", "inceptionresnetv2", "xception")  # encoders of smp that were trained on -1..1
# Errors of a network's constructor for an encoder that it cannot use.
_ENCODER_ERRORS = (ValueError, TypeError, RuntimeError, NotImplementedError, KeyError, AssertionError, AttributeError)


class Segmenter(nn.Module):
    """A network from the pixels of an image to one logit per class and pixel.

    seen: one bool per class, whether it occurs in training. Other classes are never predicted: their logits are
    UNSEEN_LOGIT. mean, std: normalisation that the encoder expects, per RGB channel, for pixels in 0..1.
    """

    _mean: Tensor  # float32 (1, 3, 1, 1), for pixels in 0..255
    _std: Tensor  # float32 (1, 3, 1, 1), for pixels in 0..255
    seen: Tensor  # bool (C,)

    def __init__(
        self, network: nn.Module, seen: Sequence[bool], mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.network = network
        self.mean, self.std = mean, std
        stride = int(cast(Any, self.encoder).output_stride)
        self.stride = 2 * stride if isinstance(self.encoder, TimmViTEncoder) else stride  # dpt needs twice the stride
        # Not persistent: they are in the model card, and the state dict has only learnt tensors.
        self.register_buffer("_mean", 255.0 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", 255.0 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("seen", torch.tensor(tuple(seen), dtype=torch.bool), persistent=False)

    @property
    def encoder(self) -> nn.Module:
        """The part of the network that is pretrained."""
        return self.network.get_submodule("encoder")

    def forward(self, images: Tensor) -> Tensor:
        """The logits of a batch, float32 (N, C, h, w).

        images: uint8 or float32 (N, 3, h, w) RGB in 0..255, any size.
        """
        height, width = images.shape[-2:]
        pixels = (images.float() - self._mean) / self._std
        pixels = F.pad(pixels, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        logits: Tensor = self.network(pixels)[..., :height, :width].float()
        return torch.where(self.seen.view(1, -1, 1, 1), logits, UNSEEN_LOGIT)


def build_segmenter(
    architecture: str, encoder: str, num_classes: int, seen: Sequence[bool], seed: int = 0
) -> Segmenter:
    """A network with random weights. Equal arguments give equal weights; PyTorch's random state does not change.

    architecture: one of ARCHITECTURES; encoder: a timm name ("tf_efficientnet_lite0", "tu-resnet18") or, where timm
    has none, one of segmentation_models_pytorch ("mit_b0"); seen: num_classes bools. Raises UserError for an unknown
    name, or an encoder that the architecture cannot use.
    """
    if len(seen) != num_classes:
        raise ValueError(f"there are {num_classes} classes, but seen has {len(seen)} entries")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build_network(architecture, encoder, num_classes)
    return Segmenter(net, seen, *normalisation(encoder))


def build_network(architecture: str, encoder: str, num_classes: int) -> nn.Module:
    """A network with random weights, for normalised images of a size that its stride divides. Raises UserError.

    It maps float32 (N, 3, h, w) to logits (N, num_classes, h, w).
    """
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"unknown architecture '{architecture}'; set train.architecture to one of {_join(ARCHITECTURES)}"
        )
    if architecture in torchvision_nets.NETWORKS:
        return _torchvision(architecture, encoder, num_classes)
    name, options = smp_encoder_name(encoder), SMP_ARCHITECTURES[architecture]
    with at(f"architecture '{architecture}' with encoder '{encoder}'"):
        try:
            return smp.create_model(
                architecture, encoder_name=name, encoder_weights=None, classes=num_classes, **options
            )
        except _ENCODER_ERRORS as error:
            reason = " ".join(str(error).split())
            raise UserError(f"cannot be combined ({reason}); choose another train.encoder") from error


def _torchvision(architecture: str, encoder: str, num_classes: int) -> nn.Module:
    required = torchvision_nets.NETWORKS[architecture][0]
    if encoder != required:
        raise UserError(
            f"architecture '{architecture}' cannot have the encoder '{encoder}'; set train.encoder: {required}"
        )
    return torchvision_nets.network(architecture, num_classes)


def smp_encoder_name(encoder: str) -> str:
    """The name of an encoder in segmentation_models_pytorch: "tu-<name>" for an encoder of timm. Raises UserError.

    >>> smp_encoder_name("resnet18"), smp_encoder_name("mit_b0")
    ('tu-resnet18', 'mit_b0')
    """
    name = encoder.removeprefix("tu-")
    if timm.is_model(name):
        return f"tu-{name}"
    if encoder in smp.encoders.get_encoder_names():
        return encoder
    names = [*timm.list_models(), *smp.encoders.get_encoder_names()]
    close = get_close_matches(name, names, n=3)
    hint = f"; did you mean {_join(close)}?" if close else "; timm.list_models() lists all encoders of timm"
    raise UserError(f"unknown encoder '{encoder}' in train.encoder{hint}")


@cache
def normalisation(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) per RGB channel, for pixels in 0..1, that the pretrained weights of an encoder expect."""
    bare = encoder.removeprefix("tu-")
    if timm.is_model(bare):
        cfg = timm.get_pretrained_cfg(bare)
        return (tuple(cfg.mean), tuple(cfg.std)) if cfg else (_IMAGENET_MEAN, _IMAGENET_STD)
    return (_HALF, _HALF) if bare in _HALF_ENCODERS else (_IMAGENET_MEAN, _IMAGENET_STD)


def _join(names: Sequence[str]) -> str:
    return ", ".join(names)
