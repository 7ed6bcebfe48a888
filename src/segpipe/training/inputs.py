"""A name for everything that decides a training's result, so that a checkpoint is only ever continued by its own."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from segpipe.files import sha256_of
from segpipe.versions import code_hash

_PACKAGES = ("models", "training")
_LIBRARIES = ("segmentation-models-pytorch", "timm", "torch")


def inputs_hash(files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the files' contents, the settings, and the code that trains. Raises OSError."""
    contents = [sha256_of(path) for path in files]
    document = json.dumps([contents, settings, code_hash(_PACKAGES, _LIBRARIES)], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()
