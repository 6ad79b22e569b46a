"""Networks that act on each position by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.bounds import Positive, Rate
from seqloom.layers.dropout import Dropout
from seqloom.registry import register


class FeedForward(nn.Module, ABC):
    """Makes of the features of each position others of the same width, whatever stands beside it."""

    given: ClassVar[tuple[str, ...]] = ("size",)
    self_contained = True  # nobody uses its weights but its `forward`, so that they may be fetched just then

    @abstractmethod
    def forward(self, x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """Features [..., D] -> features [..., D], and an addition to the loss.

        `real` [...] is True at real positions, None where all are; what is made of the others doesn't matter.
        """


Activation = Literal["relu", "gelu", "swish", "swiglu"]


@register()
class PositionWise(FeedForward):
    """act(x W1 + b1) W2 + b2; https://arxiv.org/abs/1706.03762, equation 2.

    "swish" is x times its sigmoid (https://arxiv.org/abs/1710.05941); "swiglu" is (swish(x W) * x V) W2 without biases
    (https://arxiv.org/abs/2002.05202, equation 6): a network with half as many matrix weights again, unless its inner
    size is two thirds.
    """

    def __init__(self, size: int, *, inner_size: Positive = 2048, activation: Activation = "relu", dropout: Rate = 0.0):
        """`dropout` acts inside."""
        super().__init__()
        gated = activation == "swiglu"
        self.inner = nn.Linear(size, 2 * inner_size if gated else inner_size, bias=not gated)
        self.outer = nn.Linear(inner_size, size, bias=not gated)
        self.activate, self.dropout = ACTIVATIONS[activation], Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | float]:
        return self.outer(self.dropout(self.activate(self.inner(x)))), 0.0


def swiglu(x: Tensor) -> Tensor:
    """The second half of the features [..., 2D] through gates that the first half opens, [..., D]."""
    gates, values = x.chunk(2, -1)
    return F.silu(gates) * values


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "swish": F.silu,
    "swiglu": swiglu,
}


def feedforward_of(wanted: int | Callable[..., FeedForward], size: int, *, dropout: float) -> FeedForward:
    """The network asked for, which may be no more than an inner size.

    ValueError for a dropout that would do nothing, since a part has its own.
    """
    if isinstance(wanted, int):
        return PositionWise(size, inner_size=wanted, dropout=dropout)
    if dropout:
        raise ValueError("feedforward_dropout is for a feedforward that is a number; give the part a dropout instead")
    return wanted(size=size)
