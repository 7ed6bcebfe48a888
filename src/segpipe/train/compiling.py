"""torch.compile for the network of a training: tried on one GPU, unless equal bytes are required.

On a CPU equal trainings must give equal bytes, so a choice by the clock must not change the result. Compiling gains
nothing there for the default network (`bench/compiling.py`).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from segpipe.train.distributed import Group
from segpipe.train.recipe import CompileMode, RunRecipe

MODES: tuple[CompileMode, ...] = ("default", "reduce-overhead")  # the second one replays kernels as CUDA graphs
WARM_STEPS = 4  # steps that compile and record graphs
_MIN_SECONDS = 600.0  # a shorter training ends before compiling has paid off
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of training steps."""

    step_seconds: float
    data_wait_share: float  # 0..1, the share of a step spent waiting for data


def compile_network(network: nn.Module, mode: CompileMode) -> nn.Module:
    """The network with compiled forward and backward passes; the network itself if `mode` is not one of MODES.

    Both share weights and buffers: a change of one changes the other.
    """
    if mode not in MODES:
        return network
    module: nn.Module = torch.compile(network, mode=mode, dynamic=False)  # type: ignore[assignment]
    return module


def candidate_modes(recipe: RunRecipe, device: torch.device, group: Group, seconds: float) -> tuple[CompileMode, ...]:
    """The modes worth trying. seconds: the duration of the training without compiling."""
    is_allowed = recipe.compile_mode == "auto" and device.type == "cuda" and not recipe.strict and group.world_size == 1
    if not is_allowed or seconds < _MIN_SECONDS:
        return ()
    return MODES if recipe.accumulate == 1 else MODES[:1]  # the next replay of a graph overwrites its gradients


def fastest_mode(
    plain: Pace, modes: tuple[CompileMode, ...], steps: float, measure: Callable[[CompileMode], Pace]
) -> tuple[CompileMode, Pace]:
    """The mode, or "off", with the shortest time for `steps` steps including compiling, and its pace.

    plain: the pace without compiling; measure: compiles in a mode and runs a few steps. A mode for which it raises is
    left out.
    """
    mode: CompileMode = "off"
    best, compile_seconds = plain, 0.0
    for candidate in modes:
        start = time.perf_counter()
        try:
            pace = measure(candidate)
        except Exception as error:  # a missing C++ compiler or an unsupported network may raise anything
            reason = " ".join(str(error).split())[:200]
            _log.warning("torch.compile, mode %s, does not work here: %s: %s", candidate, type(error).__name__, reason)
            continue
        seconds = time.perf_counter() - start
        _log.info(
            "a step takes %.3f s compiled (%s), %.3f s not compiled; compiling took %.0f s",
            *(pace.step_seconds, candidate, plain.step_seconds, seconds),
        )
        if seconds + steps * pace.step_seconds < compile_seconds + steps * best.step_seconds:
            mode, best, compile_seconds = candidate, pace, seconds
    return mode, best
