"""Choice of the device for computation."""

import torch

from segpipe.core.errors import UserError


def pick_device(name: str) -> torch.device:
    """The device of this name; "auto" is an NVIDIA or AMD GPU, else an Apple GPU, else the CPU.

    Raises UserError for a name that torch does not know, or a device that this machine does not have.
    """
    if name == "auto":
        return _best_device()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError(f"device {name!r} is not available here; use auto, cpu, cuda or mps") from None
    return device


def device_kind(device: torch.device) -> str:
    """The name of an NVIDIA or AMD GPU, else the type of the device, like "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
