"""How weights move: optimizers (PyTorch's own) and learning-rate schedules."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import nn

from seqloom.bounds import Count, NotNegative, Positive, Rate
from seqloom.registry import register


class Optimizer(ABC):
    """Makes a `torch.optim.Optimizer`; the learning rate comes from the schedule at every step."""

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """PyTorch's optimizer for these parameters."""


@register("adam")
class Adam(Optimizer):
    """https://arxiv.org/abs/1412.6980; the defaults are those of https://arxiv.org/abs/1706.03762, 5.3."""

    def __init__(
        self, *, betas: tuple[Rate, Rate] = (0.9, 0.98), epsilon: NotNegative = 1e-9, weight_decay: NotNegative = 0.0
    ):
        self.betas, self.epsilon, self.weight_decay = betas, epsilon, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            parameters, 0.0, self.betas, eps=self.epsilon, weight_decay=self.weight_decay, fused=True
        )


@register("adamw")
class AdamW(Optimizer):
    """Adam with decoupled weight decay, https://arxiv.org/abs/1711.05101."""

    def __init__(
        self, *, betas: tuple[Rate, Rate] = (0.9, 0.98), epsilon: NotNegative = 1e-9, weight_decay: NotNegative = 0.01
    ):
        self.betas, self.epsilon, self.weight_decay = betas, epsilon, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            parameters, 0.0, self.betas, eps=self.epsilon, weight_decay=self.weight_decay, fused=True
        )


@register("sgd")
class SGD(Optimizer):
    """Gradient descent, with momentum if asked."""

    def __init__(self, *, momentum: NotNegative = 0.0, nesterov: bool = False, weight_decay: NotNegative = 0.0):
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, 0.0, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov, fused=True
        )


@register("adafactor")
class Adafactor(Optimizer):
    """Adam's second moment in the memory of a row and a column; https://arxiv.org/abs/1804.04235."""

    def __init__(self, *, weight_decay: NotNegative = 0.0):
        self.weight_decay = weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adafactor(parameters, lr=0.0, weight_decay=self.weight_decay)


class Schedule(ABC):
    """The learning rate of every step."""

    @abstractmethod
    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step `step` of `steps`; the first step is 1."""


def _warmed(step: int, warmup: int) -> float:
    """The factor of a linear warm-up over `warmup` steps."""
    return min(1.0, step / warmup) if warmup else 1.0


@register("constant")
class Constant(Schedule):
    """One rate, after a linear warm-up if asked."""

    def __init__(self, *, peak: NotNegative = 1e-3, warmup: Count = 0):
        self.peak, self.warmup = peak, warmup

    def rate(self, step: int, steps: int) -> float:
        return self.peak * _warmed(step, self.warmup)


@register("inverse_square_root")
class InverseSquareRoot(Schedule):
    """Up in a line for `warmup` steps, then down as 1/sqrt(step); https://arxiv.org/abs/1706.03762, equation 3.

    The paper's rate for width d is peak = 1 / sqrt(d * warmup): 6.988e-4 for 512 and 4000.
    """

    def __init__(self, *, peak: NotNegative = 7e-4, warmup: Count = 4000):
        if warmup < 1:
            raise ValueError(f"warmup must be at least 1 step, got {warmup}")
        self.peak, self.warmup = peak, warmup

    def rate(self, step: int, steps: int) -> float:
        return self.peak * min(step / self.warmup, math.sqrt(self.warmup / step))


@register("cosine")
class Cosine(Schedule):
    """Up in a line for `warmup` steps, then half a cosine down to `floor` at the last step; arXiv 1608.03983."""

    def __init__(self, *, peak: NotNegative = 1e-3, warmup: Count = 0, floor: NotNegative = 0.0):
        self.peak, self.warmup, self.floor = peak, warmup, floor

    def rate(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return self.peak * step / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, steps - self.warmup))
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * done)) / 2


@register("exponential")
class Exponential(Schedule):
    """The peak until `start`, then times `decay` every `every` steps (smoothly), never below `floor`."""

    def __init__(
        self,
        *,
        peak: NotNegative = 1e-3,
        decay: NotNegative = 0.5,
        every: Positive = 10_000,
        start: Count = 0,
        floor: NotNegative = 0.0,
        warmup: Count = 0,
    ):
        self.peak, self.decay, self.every, self.start = peak, decay, every, start
        self.floor, self.warmup = floor, warmup

    def rate(self, step: int, steps: int) -> float:
        fallen = self.peak * float(self.decay ** (max(0, step - self.start) / self.every))
        return max(self.floor, fallen) * _warmed(step, self.warmup)
