"""A hash of named tensors: equal for equal names, kinds and values, whatever file they came from."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 in hex over the tensors, in the order of their names; where they are in memory does not matter."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
