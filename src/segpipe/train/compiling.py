"""PyTorch's compiler for a training's network, where it is tried: on one GPU, if equal bytes are not asked for.

On a CPU equal trainings must give equal bytes, so that what the clock decides may not change them, and a step of the
default network gains nothing there (`bench/compiling.py`).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from segpipe.train.distributed import Team
from segpipe.train.recipe import CompileMode, RunRecipe

MODES: tuple[CompileMode, ...] = (
    "default",
    "reduce-overhead",
)  # of torch.compile; the second replays the network's kernels as CUDA graphs
WARM_STEPS = 4  # compile, and record graphs
_WORTHWHILE_SECONDS = 600.0  # a shorter training ends before compiling it has paid
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of a training step and the share of them, 0..1, that it waits for data."""

    step_seconds: float
    data_wait_share: float


def compiled(network: nn.Module, mode: CompileMode) -> nn.Module:
    """The network with its forward and backward compiled in one of MODES; itself for any other mode.

    Weights and buffers are shared, so that what changes one changes the other.
    """
    if mode not in MODES:
        return network
    module: nn.Module = torch.compile(network, mode=mode, dynamic=False)  # type: ignore[assignment]
    return module


def candidates(recipe: RunRecipe, device: torch.device, team: Team, seconds: float) -> tuple[CompileMode, ...]:
    """The MODES worth a try in a training that takes so many seconds without."""
    may = recipe.compile_mode == "auto" and device.type == "cuda" and not recipe.strict and team.size == 1
    if not may or seconds < _WORTHWHILE_SECONDS:
        return ()
    return MODES if recipe.accumulate == 1 else MODES[:1]  # a graph's gradients do not outlive its next replay


def quickest(
    plain: Pace, modes: tuple[CompileMode, ...], steps: float, measure: Callable[[CompileMode], Pace]
) -> tuple[CompileMode, Pace]:
    """The mode, or "off", in which so many steps end first, the time to compile once more included; and its pace.

    plain: without compiling; measure: compiles in a mode and takes a few steps; whatever it raises rules the mode out.
    """
    mode: CompileMode = "off"
    best, compile_seconds = plain, 0.0
    for tried in modes:
        start = time.perf_counter()
        try:
            pace = measure(tried)
        except Exception as error:  # a compiler without its tools, or a network that it cannot compile, raises anything
            said = " ".join(str(error).split())[:200]
            _log.warning("torch.compile, mode %s, does not work here: %s: %s", tried, type(error).__name__, said)
            continue
        spent = time.perf_counter() - start
        _log.info(
            "compiled (%s) a step takes %.3f s, not compiled %.3f s; compiling took %.0f s",
            *(tried, pace.step_seconds, plain.step_seconds, spent),
        )
        if spent + steps * pace.step_seconds < compile_seconds + steps * best.step_seconds:
            mode, best, compile_seconds = tried, pace, spent
    return mode, best
