"""torchvision's segmentation networks in the shape that the others have: an encoder, and what reads its features."""

from collections.abc import Callable
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import segmentation

# architecture -> its encoder, what builds it
NETWORKS: dict[str, tuple[str, Callable[..., nn.Module]]] = {
    "deeplabv3_resnet50": ("resnet50", segmentation.deeplabv3_resnet50),
    "deeplabv3_resnet101": ("resnet101", segmentation.deeplabv3_resnet101),
    "deeplabv3_mobilenet_v3_large": ("mobilenet_v3_large", segmentation.deeplabv3_mobilenet_v3_large),
    "lraspp_mobilenet_v3_large": ("mobilenet_v3_large", segmentation.lraspp_mobilenet_v3_large),
    "fcn_resnet50": ("resnet50", segmentation.fcn_resnet50),
}


class TorchvisionNetwork(nn.Module):
    """float32 (N, 3, h, w) -> logits (N, C, h, w), any size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.encoder = network.get_submodule("backbone")
        self.head = network.get_submodule("classifier")
        cast(Any, self.encoder).output_stride = 1  # sizes need no padding

    def forward(self, pixels: Tensor) -> Tensor:
        """As torchvision's own, without the auxiliary output."""
        features = self.encoder(pixels)
        logits = self.head(features.get("out", features))  # lraspp reads two of them
        return F.interpolate(logits, size=pixels.shape[-2:], mode="bilinear", align_corners=False)


def network(architecture: str, num_classes: int) -> TorchvisionNetwork:
    """The network called `architecture`, a key of NETWORKS, with random weights."""
    return TorchvisionNetwork(NETWORKS[architecture][1](weights=None, weights_backbone=None, num_classes=num_classes))
