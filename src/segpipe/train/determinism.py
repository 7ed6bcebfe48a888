"""Equal results from equal inputs: always on a CPU, on a GPU where it is asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segpipe.core.errors import UserError


def prepare(device: torch.device, strict: bool) -> None:
    """Choose PyTorch's algorithms for the process: deterministic on a CPU or if `strict`, else fast.

    Source: PyTorch's notes on reproducibility. cuBLAS reads its setting when it is used first.
    """
    if device.type == "cpu" or strict:
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cpu")
        # It costs time and changes no result.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if strict:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.deterministic = strict
    torch.backends.cudnn.benchmark = device.type == "cuda" and not strict


@contextmanager
def explained() -> Iterator[None]:
    """Raise a UserError in place of PyTorch's for an operation that has no deterministic version."""
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        name = str(error).split(" ", 1)[0]
        raise UserError(
            f"{name} has no deterministic version on this device; choose another train.architecture, "
            "or set train.strict: false"
        ) from error
