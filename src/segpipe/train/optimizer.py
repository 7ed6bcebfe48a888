"""The optimiser and its learning rate, a function of the step alone."""

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
    """AdamW over all trainable parameters: the encoder's with lr * encoder_lr_factor; biases and norms undecayed.

    Each group's `peak_lr` is what `set_lr` scales. Source: Loshchilov and Hutter, Decoupled Weight Decay, ICLR 2019.
    """
    return AdamW(_groups(segmenter, lr, weight_decay, encoder_lr_factor), fused=True)


def sgd(segmenter: Segmenter, lr: float, weight_decay: float, encoder_lr_factor: float) -> SGD:
    """SGD with Nesterov's momentum over the same groups as `adamw`.

    Source: Sutskever et al., On the Importance of Initialization and Momentum in Deep Learning, ICML 2013.
    """
    return SGD(_groups(segmenter, lr, weight_decay, encoder_lr_factor), momentum=_MOMENTUM, nesterov=True)


OPTIMIZERS: dict[str, Callable[[Segmenter, float, float, float], Optimizer]] = {"adamw": adamw, "sgd": sgd}


def _groups(segmenter: Segmenter, lr: float, weight_decay: float, encoder_lr_factor: float) -> list[dict[str, Any]]:
    encoder = {id(parameter) for parameter in segmenter.encoder.parameters()}
    groups = []
    for of_encoder in (True, False):
        for decayed in (True, False):
            parameters = [
                p
                for p in segmenter.parameters()
                if p.requires_grad and (id(p) in encoder) == of_encoder and (p.ndim > 1) == decayed
            ]
            peak = lr * encoder_lr_factor if of_encoder else lr
            decay = weight_decay if decayed else 0.0
            groups.append({"params": parameters, "lr": peak, "peak_lr": peak, "weight_decay": decay})
    return [group for group in groups if group["params"]]


def cosine(done: float) -> float:
    """1 to 0 over 0..1 as half a cosine. Source: Loshchilov and Hutter, SGDR, ICLR 2017, equation 5, one cycle."""
    return (1 + math.cos(math.pi * done)) / 2


def poly(done: float) -> float:
    """1 to 0 over 0..1, nearly a line. Source: Chen et al., DeepLab, TPAMI 2018, section 4.1.2."""
    return (1 - done) ** _POWER


SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": cosine, "poly": poly}


def lr_factor(step: int, steps: int, warmup_steps: int, fall: Callable[[float], float] = cosine) -> float:
    """Part of the peak learning rate for step 0..steps-1: linear rise to 1, then as `fall` says to FINAL_FACTOR."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / max(1, steps - 1 - warmup_steps)
    return FINAL_FACTOR + (1 - FINAL_FACTOR) * fall(min(1.0, done))


def train_mode(segmenter: Segmenter, is_encoder_frozen: bool) -> None:
    """Make the network ready to train; a frozen encoder neither learns nor counts statistics."""
    segmenter.train()
    segmenter.encoder.train(not is_encoder_frozen)
    segmenter.encoder.requires_grad_(not is_encoder_frozen)


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Scale every group's peak learning rate by `factor`. Returns the largest one set."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return max(group["lr"] for group in optimizer.param_groups)


def clip_gradients(segmenter: nn.Module, limit: float) -> torch.Tensor:
    """Shorten the gradient to `limit` if it is longer. Returns its length before."""
    return nn.utils.clip_grad_norm_(segmenter.parameters(), limit)
