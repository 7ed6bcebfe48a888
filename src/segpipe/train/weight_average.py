"""A running average of the weights: steadier than any single step's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of everything a network's state dict holds.

    decay: 0..1, part of the old average that a step keeps; early steps keep less, (1 + n) / (10 + n) after n of them,
    so that the random start is soon forgotten. Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by
    Averaging, 1992; the early steps as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._live = network.state_dict()  # shares its memory with the network
        self.weights = {name: tensor.clone() for name, tensor in self._live.items()}

    def load(self, weights: dict[str, Tensor]) -> None:
        """Go on from the average that a checkpoint holds."""
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    def update(self, step: int) -> None:
        """Take in the network's weights after its `step`-th step, from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averages = [t for t in self.weights.values() if t.is_floating_point()]
        torch._foreach_lerp_(averages, [t for t in self._live.values() if t.is_floating_point()], 1 - decay)
        for name, tensor in self.weights.items():
            if not tensor.is_floating_point():  # counters
                tensor.copy_(self._live[name])

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Within this context the network has the average's weights, afterwards its own again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, tensor in self.weights.items():
            own = self._live[name].clone()
            self._live[name].copy_(tensor)
            tensor.copy_(own)
