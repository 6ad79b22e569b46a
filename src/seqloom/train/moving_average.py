"""Weights averaged as training goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seqloom.train.weights import live_tensors


class MovingAverage:
    """The exponential moving average of a model's weights (Polyak and Juditsky 1992), kept beside them.

    The mean keeps `decay` of itself at every step, and less at the beginning: (1 + n) / (10 + n) at step n, so that it
    soon forgets the weights that training started with.
    """

    def __init__(self, model: nn.Module, decay: float, *, steps: int = 0):
        """Starts from the weights as they are; `steps` is how many it has followed already."""
        self.live, self.decay, self.steps = live_tensors(model), decay, steps
        self.means = {name: tensor.detach().clone() for name, tensor in self.live.items()}

    @torch.no_grad()
    def follow(self) -> None:
        """Take a step of the weights into the mean."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        numbers = [name for name, tensor in self.live.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.means[n] for n in numbers], [self.live[n].detach() for n in numbers], share)
        for name in self.live.keys() - set(numbers):
            self.means[name].copy_(self.live[name])

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this the model has the means, and `means` holds its weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, mean in self.means.items():
            before = self.live[name].detach().clone()
            self.live[name].copy_(mean)
            mean.copy_(before)

    def restore(self, weights: Mapping[str, Tensor], steps: int) -> None:
        """Take the means that the model has now, and give it its weights back."""
        for name, tensor in weights.items():
            self.means[name] = self.live[name].detach().clone()
            with torch.no_grad():
                self.live[name].copy_(tensor)
        self.steps = steps
