"""A name for everything that decides a training's result, so that a checkpoint is only ever continued by its own."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from segpipe.files import sha256_of
from segpipe.versions import code_hash

# All that segpipe.training.loop imports, but for what only draws pictures; the network and its first weights.
CODE = (
    *("models", "training", "__init__.py", "classes.py", "csv_files.py", "errors.py", "files.py", "machine.py"),
    "versions.py",
    *("dataset/__init__.py", "dataset/split_table.py", "dataset/store.py", "dataset/transforms.py"),
    *("evaluation/__init__.py", "evaluation/scores.py"),
)
LIBRARIES = ("numpy", "segmentation-models-pytorch", "timm", "torch", "torchvision")


def inputs_hash(files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the files' contents, the settings, and the code that trains. Raises OSError."""
    contents = [sha256_of(path) for path in files]
    document = json.dumps([contents, settings, code_hash(CODE, LIBRARIES)], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()
