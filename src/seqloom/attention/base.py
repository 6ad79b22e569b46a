"""What every attention does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from seqloom.structures import Encoded, Memory


class Attention(nn.Module, ABC):
    """Compares a query with each position of a memory and averages the values there.

    `query_size` is the width of a query, `widths` those of what is looked at.  A subclass sets `output_size`, the width
    of the context it returns.
    """

    given: ClassVar[tuple[str, ...]] = ("query_size", "widths")
    output_size: int

    @abstractmethod
    def memory(self, source: Encoded) -> Memory:
        """All that depends on the source alone, computed once a sentence."""

    @abstractmethod
    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> tuple[Tensor, Tensor | None]:
        """Queries [N, T, D] -> context [N, T, output_size] and, on request, the weights [N, H, T, S] (else None).

        Weights are shares of the real positions of each row; of most attentions they add up to 1.
        """


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[N, T, D] -> [N, H, T, D / H]."""
    N, T, D = x.shape
    return x.view(N, T, heads, D // heads).transpose(1, 2)


def weigh(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last dimension of scores [..., S], 0 where the mask (broadcast) is False."""
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1)
