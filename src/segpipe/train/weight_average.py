"""Exponential moving average (EMA) of the weights, which varies less from step to step than the weights themselves.

Not torch.optim.swa_utils.AveragedModel: that keeps a second network, while `applied` swaps the tensors in place and so
works with a compiled network, and integer buffers (counters of batch norm) are copied, not averaged.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a network's state dict.

    decay: 0..1, the share of the old average that a step keeps. After n steps at most (1 + n) / (10 + n) is kept, so
    the random start is soon forgotten.
    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; the early steps as in
    TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._network_state = network.state_dict()  # shares its memory with the network
        self.weights = {name: tensor.clone() for name, tensor in self._network_state.items()}

    def load(self, weights: dict[str, Tensor]) -> None:
        """Replace the average by `weights` from a checkpoint: a state dict with the names and shapes of the network."""
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    def update(self, step: int) -> None:
        """Add the current weights of the network to the average. step: optimiser steps so far, from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averages = [t for t in self.weights.values() if t.is_floating_point()]
        torch._foreach_lerp_(averages, [t for t in self._network_state.values() if t.is_floating_point()], 1 - decay)
        for name, tensor in self.weights.items():
            if not tensor.is_floating_point():  # counters
                tensor.copy_(self._network_state[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context the network has the average as its weights; afterwards it has its weights back."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, average in self.weights.items():
            current = self._network_state[name].clone()
            self._network_state[name].copy_(average)
            average.copy_(current)
