"""Files of torch.save that carry a hash of their content: torch.load does not check the bytes that it reads."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# What torch.load and a document's reader raise for a file that is damaged or of another program.
UNREADABLE = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError, ArithmeticError, AssertionError),
    pickle.UnpicklingError,
)
_HASH = "sha256"


class OtherFormatError(ValueError):
    """The file is of another format than the one asked for."""

    def __init__(self, found: object) -> None:
        super().__init__(f"its format is {found!r}")
        self.found = found


def pack(document: Mapping[str, Any]) -> memoryview:
    """The bytes of a file with `document`: "format" and plain values, tensors, lists and dicts of them."""
    buffer = io.BytesIO()
    torch.save({**document, _HASH: content_hash(document)}, buffer)
    return buffer.getbuffer()


def read(path: Path, expected: str) -> dict[str, Any]:
    """The document of a file of `pack`, on the CPU, exactly as it was written; expected: its format.

    Raises OtherFormatError, OSError, MemoryError, or one of UNREADABLE.
    """
    try:
        document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except RuntimeError:
        bytearray(path.stat().st_size)  # torch raises this where memory is short, too: that is no damage
        raise
    if document["format"] != expected:
        raise OtherFormatError(document["format"])
    if document.pop(_HASH) != content_hash(document):
        raise ValueError("its content is not what was written")
    return document


def content_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 in hex over all names and values, and over each tensor's type, shape and numbers, whatever its strides.

    >>> content_hash({"a": torch.zeros(2)}) == content_hash({"a": torch.zeros(2, 1)})
    False
    """
    return hashlib.sha256(ascii(_described(document)).encode()).hexdigest()


def _described(part: Any) -> Any:
    """The part with a hash in each tensor's place."""
    if isinstance(part, Tensor):
        numbers = part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return [str(part.dtype), tuple(part.shape), hashlib.sha256(numbers.data).hexdigest()]
    if isinstance(part, Mapping):
        return {key: _described(value) for key, value in part.items()}
    return type(part)(map(_described, part)) if isinstance(part, list | tuple) else part
