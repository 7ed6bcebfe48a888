"""The optimiser and its learning rate, a function of the step alone."""

import math

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from segpipe.models.build import Segmenter

FINAL_FACTOR = 0.01


def adamw(segmenter: Segmenter, lr: float, weight_decay: float, encoder_lr_factor: float) -> AdamW:
    """AdamW over all trainable parameters: the encoder's with lr * encoder_lr_factor; biases and norms undecayed.

    Each group's `peak_lr` is what `set_lr` scales. Source: Loshchilov and Hutter, Decoupled Weight Decay, ICLR 2019.
    """
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
    return AdamW([group for group in groups if group["params"]])


def lr_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Part of the peak learning rate for step 0..steps-1: linear rise to 1, then a half cosine to FINAL_FACTOR.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, equation 5, one cycle.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / max(1, steps - 1 - warmup_steps)
    return FINAL_FACTOR + (1 - FINAL_FACTOR) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Scale every group's peak learning rate by `factor`. Returns the largest one set."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return max(group["lr"] for group in optimizer.param_groups)


def clip_gradients(segmenter: nn.Module, limit: float) -> torch.Tensor:
    """Shorten the gradient to `limit` if it is longer. Returns its length before."""
    return nn.utils.clip_grad_norm_(segmenter.parameters(), limit)
