"""The model file: weights and everything that is needed to use them, in one file that stands alone."""

import dataclasses
import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segpipe import files
from segpipe.errors import UserError, at
from segpipe.models import build
from segpipe.models.build import Segmenter

FORMAT = "segpipe model 1"
_PLAIN = torch.contiguous_format  # canonical strides, also where a size of 1 leaves a choice
# What torch.load and the rebuilding raise for a file that is damaged or not ours.
_FOREIGN = (
    *(RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, IndexError),
    *(pickle.UnpicklingError, UserError),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """How a model is built, what it was shown and how pictures come to it.

    architecture, encoder: as in build.segmenter; classes: names by class_index; seen: by class_index, whether training
    showed it; fit_mode, size_hw, tile_side, tile_overlap: how a photograph becomes the network's input
    (dataset.transforms.Fit); mean, std: per RGB channel in 0..1 units; flip_test: whether it is predicted mirrored too;
    facts: what the model was made from and how good it is.
    """

    architecture: str
    encoder: str
    classes: tuple[str, ...]
    seen: tuple[bool, ...]
    fit_mode: str
    size_hw: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tile_side: int = 0
    tile_overlap: int = 0
    flip_test: bool = False
    facts: dict[str, str | int | float] = dataclasses.field(default_factory=dict)


def save(path: Path, segmenter: Segmenter, card: ModelCard) -> None:
    """Write the model file, whole or not at all; equal weights and card give equal bytes.

    Raises UserError where it cannot be written.
    """
    # The card is one JSON string, the tensors are fresh plain copies: pickle writes shared objects and strides, and
    # neither may depend on how the content came about.
    state = {name: tensor.cpu().clone(memory_format=_PLAIN) for name, tensor in segmenter.state_dict().items()}
    document = {"format": FORMAT, "card": json.dumps(dataclasses.asdict(card), sort_keys=True), "state": state}
    buffer = io.BytesIO()
    torch.save(document, buffer)
    try:
        files.write_bytes(path, buffer.getvalue())
    except OSError as error:
        why = error.strerror
        raise UserError(
            f"{path}: cannot be written ({why}); make room or allow writing there, then run again"
        ) from error


def load(path: Path, device: torch.device | str = "cpu") -> tuple[Segmenter, ModelCard]:
    """Read what `save` wrote: the network in eval mode on `device`, and its card.

    Raises UserError if the file is missing, damaged or not a segpipe model.
    """
    with at(str(path)):
        if not path.is_file():
            raise UserError("no such model file; train one with `dvc repro` or name another")
        try:
            document = torch.load(path, map_location="cpu", weights_only=True)
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']!r}")
            card = _card(json.loads(document["card"]))
            segmenter = _rebuilt(card, document["state"])
        except _FOREIGN as error:
            raise UserError(f"not a model file of this program ({_brief(error)}); name a models/model.pt") from error
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror}); check the file and its permissions") from error
    return segmenter.to(device).eval(), card


def _card(entry: dict[str, Any]) -> ModelCard:
    """JSON has no tuples: give the sequences their types back."""
    sequences = ("classes", "seen", "size_hw", "mean", "std")
    fields: dict[str, Any] = {key: tuple(value) if key in sequences else value for key, value in entry.items()}
    return ModelCard(**fields)


def _rebuilt(card: ModelCard, state: dict[str, torch.Tensor]) -> Segmenter:
    with torch.random.fork_rng(devices=[]):
        network = build.network(card.architecture, card.encoder, len(card.classes))
    segmenter = Segmenter(network, card.seen, card.mean, card.std)
    segmenter.load_state_dict(state)
    return segmenter


def _brief(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it holds no plain weights"  # PyTorch's own text is a paragraph on its loader
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
