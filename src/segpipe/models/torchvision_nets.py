"""torchvision's segmentation networks with the structure of the others: an encoder and a head."""

from collections.abc import Callable
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import segmentation

# architecture -> (encoder, constructor)
NETWORKS: dict[str, tuple[str, Callable[..., nn.Module]]] = {
    "deeplabv3_resnet50": ("resnet50", segmentation.deeplabv3_resnet50),
    "deeplabv3_resnet101": ("resnet101", segmentation.deeplabv3_resnet101),
    "deeplabv3_mobilenet_v3_large": ("mobilenet_v3_large", segmentation.deeplabv3_mobilenet_v3_large),
    "lraspp_mobilenet_v3_large": ("mobilenet_v3_large", segmentation.lraspp_mobilenet_v3_large),
    "fcn_resnet50": ("resnet50", segmentation.fcn_resnet50),
}


class TorchvisionNetwork(nn.Module):
    """A network for images of any size: float32 (N, 3, h, w) -> logits float32 (N, C, h, w)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.encoder = network.get_submodule("backbone")
        self.head = network.get_submodule("classifier")
        cast(Any, self.encoder).output_stride = 1  # sizes need no padding

    def forward(self, pixels: Tensor) -> Tensor:
        """The main output of torchvision's network, without the auxiliary one: logits float32 (N, C, h, w).

        pixels: float32 (N, 3, h, w), normalised.
        """
        features = self.encoder(pixels)
        logits = self.head(features.get("out", features))  # lraspp uses two feature maps
        return F.interpolate(logits, size=pixels.shape[-2:], mode="bilinear", align_corners=False)


def network(architecture: str, num_classes: int) -> TorchvisionNetwork:
    """The network of this architecture, a key of NETWORKS, with random weights."""
    return TorchvisionNetwork(NETWORKS[architecture][1](weights=None, weights_backbone=None, num_classes=num_classes))
