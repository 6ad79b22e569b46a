"""The learning rate of every step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from seqloom.bounds import Count, NotNegative, Positive, Rate
from seqloom.registry import register


class Schedule(ABC):
    """The learning rate of every step."""

    @abstractmethod
    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step `step` of `steps`; the first step is 1."""

    def after_stalls(self, stalls: int) -> float:
        """What the rate is multiplied by once so many validations, in all, found nothing better."""
        return 1.0

    def is_over(self, stalls: int) -> bool:
        """Whether training has nothing left to gain after so many."""
        return False


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


@register("plateau")
class Plateau(Schedule):
    """Up in a line for `warmup` steps, then one rate, times `factor` whenever `patience` validations saw no better one.

    Stalled validations need not be one behind the other.  Once the rate is below `floor`, training ends.  The defaults
    are those of https://arxiv.org/abs/1705.03122, 4.2, which go with Nesterov's momentum.
    """

    def __init__(
        self,
        *,
        peak: NotNegative = 0.25,
        factor: Rate = 0.1,
        patience: Positive = 1,
        floor: NotNegative = 1e-4,
        warmup: Count = 0,
    ):
        self.peak, self.factor, self.patience = peak, factor, patience
        self.floor, self.warmup = floor, warmup

    def rate(self, step: int, steps: int) -> float:
        return self.peak * _warmed(step, self.warmup)

    def after_stalls(self, stalls: int) -> float:
        return float(self.factor ** (stalls // self.patience))

    def is_over(self, stalls: int) -> bool:
        return self.peak * self.after_stalls(stalls) < self.floor


@register("rnmt_plus")
class RNMTPlusSchedule(Schedule):
    """`base` min(1 + t (n - 1) / (n p), n, n (2n)^((s - n t) / (e - s))); https://arxiv.org/abs/1804.09849, equation 1.

    At step t of n `replicas` that work side by side, it rises from `base` to n times that in n p steps (p is `warmup`),
    stays there until n t is `decay_start` (s), and has fallen to half of `base` when it is `decay_end` (e).  There it
    stays; `floor` times `base` is the least whatever the step.
    """

    def __init__(
        self,
        *,
        base: NotNegative = 1e-4,
        replicas: Positive = 1,
        warmup: Positive = 500,
        decay_start: Count = 400_000,
        decay_end: Positive = 1_200_000,
        floor: NotNegative = 0.5,
    ):
        if decay_end <= decay_start:
            raise ValueError(f"decay_end must be after decay_start, got {decay_end} and {decay_start}")
        self.base, self.replicas, self.warmup = base, replicas, warmup
        self.decay_start, self.decay_end, self.floor = decay_start, decay_end, floor

    def rate(self, step: int, steps: int) -> float:
        n = self.replicas
        risen = 1 + step * (n - 1) / (n * self.warmup)
        gone = (self.decay_start - n * step) / (self.decay_end - self.decay_start)
        fallen = n * (2 * n) ** min(0.0, gone)  # before the decay the power may be too large for a number
        return float(self.base * max(self.floor, min(risen, n, fallen)))
