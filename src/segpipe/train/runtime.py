"""The execution of a training on a device: network and loss, number format, determinism, memory."""

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.optim import Optimizer

from segpipe.core.errors import UserError
from segpipe.models.segmenter import Segmenter
from segpipe.train.data import TrainingData, crop_hw
from segpipe.train.distributed import SINGLE, Group
from segpipe.train.epoch import TrainSetup
from segpipe.train.losses import Criterion, class_weights
from segpipe.train.recipe import RunRecipe

MIB = 2**20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_NEVER, _LARGEST = -1, 32 << 20


def place(segmenter: Segmenter, device: torch.device, group: Group = SINGLE) -> Segmenter:
    """Move the segmenter to the device, in the memory format that trains fastest. Returns the same object."""
    keep_freed_memory()
    group.sync_batch_norm(segmenter, device)
    segmenter.to(device)
    segmenter.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
    return segmenter


def train_setup(
    segmenter: Segmenter,
    optimizer: Optimizer,
    data: TrainingData,
    recipe: RunRecipe,
    device: torch.device,
    group: Group = SINGLE,
) -> TrainSetup:
    """The setup of the training steps, not compiled. segmenter: on `device`."""
    return TrainSetup(
        network=segmenter,
        criterion=criterion(segmenter, data, recipe, device),
        optimizer=optimizer,
        crop_hw=crop_hw(data, recipe),
        clip_norm=recipe.clip_norm,
        parts=recipe.accumulate,
        autocast=autocast(device, recipe.amp),
        group=group,
    )


def criterion(segmenter: Segmenter, data: TrainingData, recipe: RunRecipe, device: torch.device) -> Criterion:
    """The loss function of the recipe. segmenter: on `device`."""
    weights = class_weights(recipe.class_weights, data.class_pixels[data.train_index])
    on_device = None if weights is None else torch.from_numpy(weights).to(device)
    return Criterion(recipe.loss, segmenter.seen, on_device, recipe.label_smoothing)


def autocast(device: torch.device, amp: bool) -> torch.autocast:
    """A context of bfloat16 on a GPU with bfloat16 hardware, of float32 elsewhere (a CPU is slower in bfloat16).

    Older GPUs (T4, V100) only emulate bfloat16, and their convolutions gain nothing from it. Their float16 would need a
    scaled loss, which is not implemented.
    """
    is_on = amp and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_on)


def set_determinism(device: torch.device, strict: bool) -> None:
    """Choose PyTorch's algorithms for this process: deterministic on a CPU or if `strict`, else the fastest.

    Source: PyTorch's notes on reproducibility. cuBLAS reads its variable at its first use.
    """
    if device.type == "cpu" or strict:
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cpu")
        # Filling memory takes time and changes no result.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if strict:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.deterministic = strict
    torch.backends.cudnn.benchmark = device.type == "cuda" and not strict


@contextmanager
def explain_nondeterminism() -> Iterator[None]:
    """Raise UserError instead of PyTorch's error for an operation without a deterministic version."""
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        operation = str(error).split(" ", 1)[0]
        raise UserError(
            f"{operation} has no deterministic version on this device; choose another train.architecture, "
            "or set train.strict: false"
        ) from error


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next step, instead of returning it to the system.

    The system clears every returned page before it provides it again, which takes time in each step. With other C
    libraries this function does nothing.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_TRIM_THRESHOLD, _NEVER)
    mallopt(_MMAP_THRESHOLD, _LARGEST)


def peak_memory_bytes(device: torch.device) -> int:
    """The peak memory so far: of the GPU if `device` is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
