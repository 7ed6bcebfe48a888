"""Which device to compute on."""

import torch

from segpipe.errors import UserError


def pick(name: str) -> torch.device:
    """The device called `name`; "auto" takes an NVIDIA or AMD GPU, else Apple's, else the CPU.

    Raises UserError for a name that torch does not know or a device that this machine does not have.
    """
    if name == "auto":
        return _best()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError(f"device {name!r} is not available here; use auto, cpu, cuda or mps") from None
    return device


def _best() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
