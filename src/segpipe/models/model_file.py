"""The model file: weights, and a card with everything that is needed to use them, in one file."""

import dataclasses
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from segpipe.core import files, machine
from segpipe.core.errors import UserError, at
from segpipe.data.classes import MAX_CLASSES
from segpipe.data.preprocessing import Fit, Mode
from segpipe.models import sealed
from segpipe.models.model_path import check_model_path
from segpipe.models.segmenter import Segmenter, build_network

VERSION = 2
FORMAT = f"segpipe model {VERSION}"
_CONTIGUOUS = torch.contiguous_format  # standard strides, also for a dimension of size 1
_Name = Annotated[str, Field(min_length=1)]
_Side = Annotated[int, Field(ge=1, le=4096)]
_Channels = Field(min_length=3, max_length=3)
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Pixels = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """The architecture of a model, the preparation of its images, and its origin."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # pydantic checks the cards that `load` reads

    architecture: str  # of build_segmenter
    encoder: str  # of build_segmenter
    classes: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=MAX_CLASSES)]  # names by class_index
    seen: tuple[bool, ...]  # by class_index, whether the class occurs in training

    fit_mode: Mode  # with size_hw, tile_side and tile_overlap: how an image is resized and cut into tiles
    size_hw: tuple[_Side, _Side]
    mean: Annotated[tuple[_Finite, ...], _Channels]  # normalisation per RGB channel, for pixels in 0..1
    std: Annotated[tuple[_Scale, ...], _Channels]
    tile_side: _Pixels = 0
    tile_overlap: _Pixels = 0
    flip_test: bool = False  # predict each image mirrored as well

    facts: dict[str, str | int | float] = dataclasses.field(default_factory=dict)  # origin and scores

    @property
    def fit(self) -> Fit:
        """The conversion of an image to the input of the network."""
        return Fit(self.fit_mode, self.size_hw, self.tile_side, self.tile_overlap)


_CARD = TypeAdapter(ModelCard)


def save(path: Path, segmenter: Segmenter, card: ModelCard) -> None:
    """Write the model file, whole or not at all. Equal weights and an equal card give equal bytes.

    Raises UserError if the file cannot be written, or the weights are not finite.
    """
    # The card is one JSON string and the tensors are contiguous copies: pickle writes shared objects and strides, which
    # must not depend on how the content was created.
    state = {name: tensor.cpu().clone(memory_format=_CONTIGUOUS) for name, tensor in segmenter.state_dict().items()}
    with at(str(path)):
        _check_numbers(state)
    document = {"format": FORMAT, "card": json.dumps(dataclasses.asdict(card), sort_keys=True), "state": state}
    try:
        files.write_bytes(path, sealed.pack(document))
    except OSError as error:
        reason = error.strerror
        raise UserError(
            f"{path}: cannot be written ({reason}); free some space or change the permissions, then run again"
        ) from error


def load(path: Path, device: torch.device | str = "cpu") -> tuple[Segmenter, ModelCard]:
    """The network of a model file, in eval mode on `device`, and its card.

    Raises UserError if the file is missing, damaged, of another version, or not a segpipe model.
    """
    check_model_path(path)
    with at(str(path)):
        try:
            document = sealed.read(path, FORMAT)
            card = _CARD.validate_json(document["card"])
            _check_card(card)
            segmenter = _build(card, document["state"])
        except sealed.OtherFormatError as error:
            raise UserError(_other_format(error)) from error
        except (UserError, *sealed.UNREADABLE) as error:
            problem = f"damaged, or not a segpipe model file ({_brief(error)})"
            raise UserError(f"{problem}; copy it again, or train one with `dvc repro`") from error
        except MemoryError as error:
            raise UserError(machine.OUT_OF_MEMORY) from error
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror}); check the file and its permissions") from error
        _check_numbers(document["state"])
    return segmenter.to(device).eval(), card


def _check_card(card: ModelCard) -> None:
    """Raise ValueError if the fields of a card contradict each other."""
    if len(set(card.classes)) < len(card.classes):
        raise ValueError("classes: two classes have the same name")
    if len(card.seen) != len(card.classes) or not any(card.seen):
        raise ValueError(
            f"seen: {len(card.seen)} entries for {len(card.classes)} classes, {sum(card.seen)} of them true"
        )
    if card.tile_side and card.tile_overlap >= min(card.fit.tile_hw):
        raise ValueError(f"tile_overlap: {card.tile_overlap} pixels are not less than a tile of {card.fit.tile_hw}")


def _check_numbers(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise UserError(f"its weights are not finite ({name}); train with a lower train.lr")


def _other_format(error: sealed.OtherFormatError) -> str:
    version = re.fullmatch("segpipe model ([0-9]+)", str(error.found_format))
    if version is None:
        return f"not a segpipe model file ({error}); name a file like models/model.pt"
    if int(version[1]) > VERSION:
        return f"written by a newer version of segpipe ({error}); update segpipe"
    return f"written by an older version of segpipe ({error}); train it again with `dvc repro`"


def _build(card: ModelCard, state: dict[str, Tensor]) -> Segmenter:
    with torch.random.fork_rng(devices=[]):
        network = build_network(card.architecture, card.encoder, len(card.classes))
    segmenter = Segmenter(network, card.seen, card.mean, card.std)
    segmenter.load_state_dict(state)
    return segmenter


def _brief(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it has other content than weights"  # PyTorch's text is a paragraph on its loader
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"card: {'.'.join(map(str, first['loc']))}: {first['msg']}"[:120]
    return (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0][:120]
