"""How much memory a training has used."""

import resource
import sys

import torch

MIB = 2**20


def peak_bytes(device: torch.device) -> int:
    """The most so far: of the GPU if that is the device, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
