"""Files of torch.save with a hash of their content, because torch.load does not detect damaged bytes."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Errors of torch.load, and of the code that reads a document, for a damaged file or a file of another program.
UNREADABLE = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError, ArithmeticError, AssertionError),
    pickle.UnpicklingError,
)
_HASH = "sha256"


class OtherFormatError(ValueError):
    """The file has another format than expected."""

    def __init__(self, found_format: object) -> None:
        super().__init__(f"its format is {found_format!r}")
        self.found_format = found_format


def pack(document: Mapping[str, Any]) -> memoryview:
    """The bytes of a file with `document`: a "format", and plain values, tensors, and lists or dicts of them."""
    buffer = io.BytesIO()
    torch.save({**document, _HASH: content_hash(document)}, buffer)
    return buffer.getbuffer()


def read(path: Path, expected: str) -> dict[str, Any]:
    """The document of a file that `pack` made, with its tensors on the CPU. expected: the format.

    Raises OtherFormatError, OSError, MemoryError, or one of UNREADABLE.
    """
    try:
        document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except RuntimeError:
        bytearray(path.stat().st_size)  # raises MemoryError if memory is short: then torch raises RuntimeError, too
        raise
    if document["format"] != expected:
        raise OtherFormatError(document["format"])
    if document.pop(_HASH) != content_hash(document):
        raise ValueError("its content does not match its hash")
    return document


def content_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 in hex over all names and values, and over the dtype, shape and numbers of each tensor, not its strides.

    >>> content_hash({"a": torch.zeros(2)}) == content_hash({"a": torch.zeros(2, 1)})
    False
    """
    return hashlib.sha256(ascii(_with_hashes(document)).encode()).hexdigest()


def _with_hashes(part: Any) -> Any:
    """The document, or a part of it, with each tensor replaced by its hash."""
    if isinstance(part, Tensor):
        numbers = part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return [str(part.dtype), tuple(part.shape), hashlib.sha256(numbers.data).hexdigest()]
    if isinstance(part, Mapping):
        return {key: _with_hashes(value) for key, value in part.items()}
    return type(part)(map(_with_hashes, part)) if isinstance(part, list | tuple) else part
