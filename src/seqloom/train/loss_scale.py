"""Dynamic loss scaling, for numbers of 16 bits with a narrow range."""

from __future__ import annotations

from dataclasses import dataclass

FIRST, PATIENCE, LEAST, MOST = 2.0**4, 1000, 2.0**-24, 2.0**16  # of sums over some thousand tokens, not of means


@dataclass
class LossScale:
    """What losses are multiplied by so that small gradients don't vanish in float16; https://arxiv.org/abs/1710.03740.

    It is halved when a gradient is not finite, and doubled after `PATIENCE` that were.
    """

    value: float = 1.0
    fine: int = 0  # gradients in a row that were finite

    def after(self, finite: bool) -> LossScale:
        """The scale for the next step."""
        if not finite:
            return LossScale(max(LEAST, self.value / 2), 0)
        if self.fine + 1 < PATIENCE:
            return LossScale(self.value, self.fine + 1)
        return LossScale(min(MOST, self.value * 2), 0)
