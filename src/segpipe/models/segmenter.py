"""Build a segmentation network: an architecture, an encoder, and the picture's way in and out."""

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

# segmentation_models_pytorch's name -> what its constructor needs besides an encoder
SMP_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "unet": {},
    "unetplusplus": {},
    "fpn": {},
    "deeplabv3": {},
    "deeplabv3plus": {},
    "pspnet": {},
    "segformer": {},
    "upernet": {},
    "dpt": {"dynamic_img_size": True},  # a vision transformer's encoder takes one size only otherwise
}
ARCHITECTURES = (*SMP_ARCHITECTURES, *torchvision_nets.NETWORKS)
UNSEEN_LOGIT = -1e4  # softmax gives exactly 0 in float32, and half precision can still hold it
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)
_HALF_ENCODERS = ("inceptionv4", "inceptionresnetv2", "xception")  # smp's own ones trained on -1..1
# What a network's constructor raises for an encoder that cannot serve it.
_UNFIT = (ValueError, TypeError, RuntimeError, NotImplementedError, KeyError, AssertionError, AttributeError)


class Segmenter(nn.Module):
    """A photograph's pixels in, one logit per class and pixel out.

    seen: one bool per class; a class that training never showed is never predicted (its logits are UNSEEN_LOGIT).
    mean, std: what the encoder was trained with, per RGB channel, for pixels scaled to 0..1.
    """

    _mean: Tensor
    _std: Tensor
    seen: Tensor

    def __init__(
        self, network: nn.Module, seen: Sequence[bool], mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.network = network
        self.mean, self.std = mean, std
        stride = int(cast(Any, self.encoder).output_stride)
        self.stride = 2 * stride if isinstance(self.encoder, TimmViTEncoder) else stride  # dpt halves it once more
        # Not persistent: the model card holds them, the state dict only what is learnt.
        self.register_buffer("_mean", 255.0 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", 255.0 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("seen", torch.tensor(tuple(seen), dtype=torch.bool), persistent=False)

    @property
    def encoder(self) -> nn.Module:
        """The part of the network that pretrained weights are for."""
        return self.network.get_submodule("encoder")

    def forward(self, images: Tensor) -> Tensor:
        """images: uint8 or float32 (N, 3, h, w) RGB in 0..255, any size. Returns logits float32 (N, C, h, w)."""
        height, width = images.shape[-2:]
        pixels = (images.float() - self._mean) / self._std
        pixels = F.pad(pixels, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        logits: Tensor = self.network(pixels)[..., :height, :width].float()
        return torch.where(self.seen.view(1, -1, 1, 1), logits, UNSEEN_LOGIT)


def build_segmenter(
    architecture: str, encoder: str, num_classes: int, seen: Sequence[bool], seed: int = 0
) -> Segmenter:
    """A network with random weights, the same for the same arguments; PyTorch's own random state is left as it was.

    architecture: one of ARCHITECTURES; encoder: a timm name ("tf_efficientnet_lite0", "tu-resnet18") or, where timm
    has none, segmentation_models_pytorch's own ("mit_b0"); seen: num_classes bools. Raises UserError for a name that
    does not exist or a pair that does not fit together.
    """
    if len(seen) != num_classes:
        raise ValueError(f"{num_classes} classes but {len(seen)} entries in seen")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build_network(architecture, encoder, num_classes)
    return Segmenter(net, seen, *normalisation(encoder))


def build_network(architecture: str, encoder: str, num_classes: int) -> nn.Module:
    """The bare network, weights random: float32 (N, 3, h, w) -> logits (N, num_classes, h, w). Raises UserError."""
    if architecture not in ARCHITECTURES:
        raise UserError(f"unknown architecture '{architecture}'; train.architecture is one of {_listed(ARCHITECTURES)}")
    if architecture in torchvision_nets.NETWORKS:
        return _torchvision(architecture, encoder, num_classes)
    name, options = smp_encoder_name(encoder), SMP_ARCHITECTURES[architecture]
    with at(f"architecture '{architecture}' with encoder '{encoder}'"):
        try:
            return smp.create_model(
                architecture, encoder_name=name, encoder_weights=None, classes=num_classes, **options
            )
        except _UNFIT as error:
            reason = " ".join(str(error).split())
            raise UserError(f"do not fit together ({reason}); choose another train.encoder") from error


def _torchvision(architecture: str, encoder: str, num_classes: int) -> nn.Module:
    own = torchvision_nets.NETWORKS[architecture][0]
    if encoder != own:
        raise UserError(f"architecture '{architecture}' has its own encoder; set train.encoder: {own}, not {encoder}")
    return torchvision_nets.network(architecture, num_classes)


def smp_encoder_name(encoder: str) -> str:
    """The name under which segmentation_models_pytorch knows `encoder`: "tu-<name>" for timm's. Raises UserError."""
    bare = encoder.removeprefix("tu-")
    if timm.is_model(bare):
        return f"tu-{bare}"
    if encoder in smp.encoders.get_encoder_names():
        return encoder
    known = [*timm.list_models(), *smp.encoders.get_encoder_names()]
    close = get_close_matches(bare, known, n=3)
    hint = f"; did you mean {_listed(close)}?" if close else "; timm.list_models() names what there is"
    raise UserError(f"unknown encoder '{encoder}' in train.encoder{hint}")


@cache
def normalisation(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) per RGB channel in 0..1 units that `encoder`'s pretrained weights expect."""
    bare = encoder.removeprefix("tu-")
    if timm.is_model(bare):
        cfg = timm.get_pretrained_cfg(bare)
        return (tuple(cfg.mean), tuple(cfg.std)) if cfg else (_IMAGENET_MEAN, _IMAGENET_STD)
    return (_HALF, _HALF) if bare in _HALF_ENCODERS else (_IMAGENET_MEAN, _IMAGENET_STD)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
