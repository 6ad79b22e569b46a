"""Networks that act on each position by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.bounds import Positive, Rate
from seqloom.layers.dropout import Dropout
from seqloom.registry import register


class FeedForward(nn.Module, ABC):
    """Makes of the features of each position others of the same width, whatever stands beside it."""

    given: ClassVar[tuple[str, ...]] = ("size",)

    @abstractmethod
    def forward(self, x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """Features [..., D] -> features [..., D], and an addition to the loss.

        `real` [...] is True at real positions, None where all are; what is made of the others doesn't matter.
        """


@register()
class PositionWise(FeedForward):
    """max(0, x W1 + b1) W2 + b2; https://arxiv.org/abs/1706.03762, equation 2."""

    def __init__(self, size: int, *, inner_size: Positive = 2048, dropout: Rate = 0.0):
        """`dropout` acts inside."""
        super().__init__()
        self.inner, self.outer = nn.Linear(size, inner_size), nn.Linear(inner_size, size)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | float]:
        return self.outer(self.dropout(F.relu(self.inner(x)))), 0.0


def feedforward_of(wanted: int | Callable[..., FeedForward], size: int, *, dropout: float) -> FeedForward:
    """The network asked for, which may be no more than an inner size."""
    return PositionWise(size, inner_size=wanted, dropout=dropout) if isinstance(wanted, int) else wanted(size=size)
