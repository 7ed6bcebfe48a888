import pytest
import torch
from torch import nn
from torchvision.models import segmentation

from segpipe.core.errors import UserError
from segpipe.models import torchvision_nets
from segpipe.models.segmenter import (
    SMP_ARCHITECTURES,
    UNSEEN_LOGIT,
    Segmenter,
    build_segmenter,
    normalisation,
    smp_encoder_name,
)

TINY = "mobilenetv3_small_050"
# architecture -> a small encoder for it
ALL = (
    dict.fromkeys(SMP_ARCHITECTURES, TINY)
    | {"dpt": "test_vit"}
    | {name: encoder for name, (encoder, _) in torchvision_nets.NETWORKS.items()}
)


class Echo(nn.Module):
    """A network that returns its input, three channels as three classes, with a stride of 32."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Identity()
        self.encoder.output_stride = 32
        self.sizes = []

    def forward(self, pixels):
        self.sizes.append(tuple(pixels.shape[-2:]))
        return pixels


def echo(seen=(True, True, True), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.25)):
    return Segmenter(Echo(), seen, mean, std)


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [*ALL.items(), ("segformer", "mit_b0"), ("unet", "tu-resnet18")],
)
def test_every_architecture_returns_one_logit_per_class_and_pixel_at_any_size(architecture, encoder):
    network = build_segmenter(architecture, encoder, 5, [True] * 5).eval()
    with torch.no_grad():
        logits = network(torch.zeros(2, 3, 50, 70, dtype=torch.uint8))
    assert logits.shape == (2, 5, 50, 70)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_pixels_are_normalised_for_the_encoder():
    logits = echo()(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8))
    assert torch.allclose(logits[0, :, 0, 0], torch.tensor([1.0, 1.0, 2.0]))  # (1 - 0.5) / 0.5, and / 0.25
    assert torch.equal(echo()(torch.full((1, 3, 32, 32), 255.0)), logits)  # float32 in 0..255 gives the same


def test_an_image_is_padded_to_the_stride_and_the_logits_are_cropped():
    segmenter = echo()
    image = torch.arange(3 * 33 * 20, dtype=torch.float32).view(1, 3, 33, 20) % 256
    logits = segmenter(image)
    assert segmenter.network.sizes == [(64, 32)]
    assert torch.equal(logits[0, 0], (image[0, 0] - 127.5) / 127.5)


def test_a_class_that_does_not_occur_in_training_is_never_predicted():
    segmenter = echo(seen=(False, True, True))
    image = torch.zeros(1, 3, 32, 32)
    image[:, 0] = 255  # makes class 0 the most likely one otherwise
    logits = segmenter(image)
    assert (logits[:, 0] == UNSEEN_LOGIT).all()
    assert (logits.argmax(dim=1) != 0).all()
    assert (logits.softmax(dim=1)[:, 0] == 0).all()


def test_the_seed_decides_the_weights_and_the_random_state_does_not_change():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second, other = (build_segmenter("fpn", TINY, 2, [True] * 2, seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_state_dict_has_only_tensors_of_the_network():
    names = build_segmenter("fpn", TINY, 2, [True] * 2).state_dict()
    assert all(name.startswith("network.") for name in names)


def test_encoders_of_timm_are_preferred_to_those_of_smp():
    assert smp_encoder_name("resnet18") == "tu-resnet18"
    assert smp_encoder_name("tu-resnet18") == "tu-resnet18"
    assert smp_encoder_name("mit_b0") == "mit_b0"


def test_the_normalisation_depends_on_the_encoder():
    assert normalisation("tf_efficientnet_lite0") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normalisation("tu-resnet18") == imagenet
    assert normalisation("mit_b0") == imagenet


def test_an_unknown_architecture_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match=r"^unknown architecture 'uunet'; set train.architecture to one of unet, "):
        build_segmenter("uunet", TINY, 2, [True] * 2)


def test_an_unknown_encoder_is_an_error_with_a_suggestion():
    with pytest.raises(UserError, match=r"^unknown encoder 'resnet_18' in train.encoder; did you mean .*resnet18"):
        build_segmenter("unet", "resnet_18", 2, [True] * 2)


def test_an_encoder_that_the_architecture_cannot_use_is_an_error_of_one_line():
    with pytest.raises(UserError) as caught:
        build_segmenter("unetplusplus", "mit_b0", 2, [True] * 2)
    assert str(caught.value).startswith("architecture 'unetplusplus' with encoder 'mit_b0': cannot be combined (")
    assert "\n" not in str(caught.value)


def test_torchvisions_networks_have_a_fixed_encoder():
    with pytest.raises(UserError) as caught:
        build_segmenter("fcn_resnet50", TINY, 2, [True] * 2)
    assert str(caught.value) == (
        f"architecture 'fcn_resnet50' cannot have the encoder '{TINY}'; set train.encoder: resnet50"
    )


def test_torchvisions_networks_have_torchvisions_output():
    original = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3).eval()
    image = torch.rand(1, 3, 45, 70)
    with torch.no_grad():
        assert torch.equal(torchvision_nets.TorchvisionNetwork(original)(image), original(image)["out"])
