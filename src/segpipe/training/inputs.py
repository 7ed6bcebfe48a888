"""A name for everything that decides a training's result, so that a checkpoint is only ever continued by its own."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

import segpipe
from segpipe.files import sha256_of

_CODE = ("models", "training")


def inputs_hash(files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the files' contents, the settings, this library's own training code and PyTorch's version.

    Raises OSError.
    """
    library = Path(segpipe.__file__).parent
    code = sorted(path for package in _CODE for path in (library / package).glob("*.py"))
    contents = [sha256_of(path) for path in [*files, *code]]
    document = json.dumps([contents, settings, torch.__version__], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()
