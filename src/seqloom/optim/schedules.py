"""The learning rate of every step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from seqloom.bounds import Count, NotNegative, Positive
from seqloom.registry import register


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


class _Decay(Schedule):
    """A rate that falls by so much every so many steps, in a part of the training."""

    def __init__(
        self,
        *,
        peak: NotNegative = 1e-3,
        decay: NotNegative = 0.5,
        every: Positive = 10_000,
        start: Count = 0,
        stop: Count | None = None,
        floor: NotNegative = 0.0,
        staircase: bool = False,
        warmup: Count = 0,
    ):
        """The rate falls from step `start` to step `stop`; with `staircase` at once, every `every` steps."""
        if stop is not None and stop < start:
            raise ValueError(f"stop must not be before start, got {stop} and {start}")
        self.peak, self.decay, self.every, self.start, self.stop = peak, decay, every, start, stop
        self.floor, self.staircase, self.warmup = floor, staircase, warmup

    def rate(self, step: int, steps: int) -> float:
        last = step if self.stop is None else min(step, self.stop)
        times = max(0, last - self.start) / self.every
        fallen = self.peak * self.factor(math.floor(times) if self.staircase else times)
        return max(self.floor, fallen) * _warmed(step, self.warmup)

    @abstractmethod
    def factor(self, times: float) -> float:
        """What the peak is multiplied by after `every` steps so many times."""


@register("exponential")
class Exponential(_Decay):
    """The peak until `start`, then times `decay` every `every` steps (smoothly), never below `floor`."""

    def factor(self, times: float) -> float:
        return float(self.decay**times)


@register("inverse_time")
class InverseTime(_Decay):
    """The peak until `start`, then peak / (1 + decay * t / every) after t steps, never below `floor`."""

    def factor(self, times: float) -> float:
        return 1 / (1 + self.decay * times)
