"""The check that a model file exists, apart from model_file.py, which imports PyTorch: seconds."""

import os
from pathlib import Path

from segpipe.core.errors import UserError


def check_model_path(path: Path) -> None:
    """Raise UserError if there is no file."""
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        problem = "is not a file" if os.path.exists(path) else "no such model file"  # noqa: PTH110
        raise UserError(f"{path}: {problem}; train one with `dvc repro` or name another")
