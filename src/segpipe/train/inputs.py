"""A name for everything that decides a training's result, so that a checkpoint is only ever continued by its own."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from segpipe.core.files import sha256_of
from segpipe.core.versions import code_hash

# All that segpipe.train.loop imports, but for what only draws pictures; the network and its first weights.
CODE = (
    *("models", "train", "evaluate/scores.py"),
    *("core/csv_files.py", "core/errors.py", "core/files.py", "core/machine.py", "core/settings.py"),
    "core/versions.py",
    *("data/classes.py", "data/preprocessing.py", "data/split_table.py", "data/store.py"),
)
LIBRARIES = ("numpy", "segmentation-models-pytorch", "timm", "torch", "torchvision")


def inputs_hash(files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the files' contents, the settings, and the code that trains. Raises OSError."""
    contents = [sha256_of(path) for path in files]
    document = json.dumps([contents, settings, code_hash(CODE, LIBRARIES)], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()
