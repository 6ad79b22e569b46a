"""Which gradients are out of the ordinary."""

from __future__ import annotations

import math
from dataclasses import dataclass

ENOUGH = 100  # so many norms must have been seen before any is out of the ordinary
MEMORY = 1000  # steps; older norms are forgotten


@dataclass(frozen=True)
class Norms:
    """A running mean and variance of the logarithm of the gradient's norm; https://arxiv.org/abs/1804.09849, 3."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def most(self, deviations: float) -> float:
        """The largest norm that is so few standard deviations above the mean."""
        if self.count < ENOUGH:
            return math.inf
        return math.exp(min(700.0, self.mean + deviations * math.sqrt(self.variance)))

    def after(self, norm: float, deviations: float) -> Norms:
        """The same with one norm more; of one beyond `most`, as much as that, so that a new order is found in time."""
        value = math.log(max(1e-30, min(norm, self.most(deviations))))
        share, apart = max(1 / (self.count + 1), 1 / MEMORY), value - self.mean
        variance = (1 - share) * (self.variance + share * apart**2)
        return Norms(self.count + 1, self.mean + share * apart, variance)
