"""Optimisers, and the learning rate as a function of the step.

Not torch.optim.lr_scheduler: a function of the step has no state to save, so a resumed training continues exactly.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from segpipe.models.segmenter import Segmenter

FINAL_FACTOR = 0.01
_MOMENTUM = 0.9
_POWER = 0.9


def adamw(segmenter: Segmenter, lr: float, weight_decay: float, encoder_lr_factor: float) -> AdamW:
    """AdamW over all trainable parameters, in groups whose `peak_lr` is scaled by `set_lr`.

    The encoder's learning rate is lr * encoder_lr_factor. Biases and norms have no weight decay.
    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
    """
    return AdamW(_parameter_groups(segmenter, lr, weight_decay, encoder_lr_factor), fused=True)


def sgd(segmenter: Segmenter, lr: float, weight_decay: float, encoder_lr_factor: float) -> SGD:
    """SGD with Nesterov momentum, over the parameter groups of `adamw`.

    Source: Sutskever et al., On the Importance of Initialization and Momentum in Deep Learning, ICML 2013.
    """
    groups = _parameter_groups(segmenter, lr, weight_decay, encoder_lr_factor)
    return SGD(groups, momentum=_MOMENTUM, nesterov=True)


OPTIMIZERS: dict[str, Callable[[Segmenter, float, float, float], Optimizer]] = {"adamw": adamw, "sgd": sgd}


def _parameter_groups(
    segmenter: Segmenter, lr: float, weight_decay: float, encoder_lr_factor: float
) -> list[dict[str, Any]]:
    encoder = {id(parameter) for parameter in segmenter.encoder.parameters()}
    groups = []
    for in_encoder in (True, False):
        for has_decay in (True, False):
            parameters = [
                p
                for p in segmenter.parameters()
                if p.requires_grad and (id(p) in encoder) == in_encoder and (p.ndim > 1) == has_decay
            ]
            peak = lr * encoder_lr_factor if in_encoder else lr
            decay = weight_decay if has_decay else 0.0
            groups.append({"params": parameters, "lr": peak, "peak_lr": peak, "weight_decay": decay})
    return [group for group in groups if group["params"]]


def cosine(progress: float) -> float:
    """Half a cosine, from 1 to 0 for progress 0..1. Source: Loshchilov and Hutter, SGDR, ICLR 2017, eq. 5, one cycle.

    >>> cosine(0.0), cosine(1.0)
    (1.0, 0.0)
    """
    return (1 + math.cos(math.pi * progress)) / 2


def poly(progress: float) -> float:
    """Nearly a line, from 1 to 0 for progress 0..1. Source: Chen et al., DeepLab, TPAMI 2018, section 4.1.2."""
    return (1 - progress) ** _POWER


SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": cosine, "poly": poly}


def lr_factor(step: int, steps: int, warmup_steps: int, decay: Callable[[float], float] = cosine) -> float:
    """The learning rate of step 0..steps-1 divided by the peak: a linear rise to 1, then `decay` to FINAL_FACTOR.

    >>> [round(lr_factor(step, steps=7, warmup_steps=3), 2) for step in range(7)]
    [0.25, 0.5, 0.75, 1.0, 0.75, 0.26, 0.01]
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, steps - 1 - warmup_steps)
    return FINAL_FACTOR + (1 - FINAL_FACTOR) * decay(min(1.0, progress))


def train_mode(segmenter: Segmenter, is_encoder_frozen: bool) -> None:
    """Switch the network to training mode. A frozen encoder changes neither weights nor statistics."""
    segmenter.train()
    segmenter.encoder.train(not is_encoder_frozen)
    segmenter.encoder.requires_grad_(not is_encoder_frozen)


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Set every group's learning rate to `factor` times its peak. Returns the largest learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return max(group["lr"] for group in optimizer.param_groups)


def clip_gradients(network: nn.Module, max_norm: float) -> torch.Tensor:
    """Scale the gradient down to `max_norm` if its norm is larger. Returns its norm before, a float32 scalar."""
    return nn.utils.clip_grad_norm_(network.parameters(), max_norm)
