"""Co-attention: two sequences, each of which is attended to as the other asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqloom.attention.base import weigh
from seqloom.attention.distribution import hidden_from
from seqloom.bounds import Positive
from seqloom.registry import register


class Side(NamedTuple):
    """What co-attention made of one of its sequences."""

    summary: Tensor  # [B, D] its features, averaged
    weights: Tensor  # [B, S]
    hidden: Tensor  # [B, S, size] what the weights were made of: each position in the light of the other sequence


class CoAttention(nn.Module, ABC):
    """Attends to two sequences at once; https://arxiv.org/abs/1606.00061."""

    given: ClassVar[tuple[str, ...]] = ("first_size", "second_size")

    @abstractmethod
    def forward(
        self, first: Tensor, second: Tensor, first_mask: Tensor | None = None, second_mask: Tensor | None = None
    ) -> tuple[Side, Side]:
        """Sequences [B, S, first_size] and [B, R, second_size], with masks [B, S] and [B, R]: True at real positions.

        What stands where a mask is False changes nothing; no mask means that all is real.
        """


@register()
class ParallelCoAttention(CoAttention):
    """Both at once, through the affinity of each pair of positions, C = tanh(B' W A); equations 3 to 5.

    H(a) = tanh(U a + (V b) C) and H(b) = tanh(V b + (U a) C'), of which a learned vector each makes weights.
    """

    def __init__(self, first_size: int, second_size: int, *, size: Positive = 256):
        """`size` is the width of the hidden layer."""
        super().__init__()
        self.affinity = nn.Linear(first_size, second_size, bias=False)
        self.first, self.second = (nn.Linear(width, size, bias=False) for width in (first_size, second_size))
        self.first_score, self.second_score = (nn.Linear(size, 1, bias=False) for _ in range(2))

    def forward(
        self, first: Tensor, second: Tensor, first_mask: Tensor | None = None, second_mask: Tensor | None = None
    ) -> tuple[Side, Side]:
        affinity = torch.tanh(self.affinity(first) @ second.mT)  # [B, S, R]
        seen_first = hidden_from(self.first(first), _wide(first_mask))  # a sum over the other side is over real ones
        seen_second = hidden_from(self.second(second), _wide(second_mask))
        hidden_first = torch.tanh(seen_first + affinity @ seen_second)  # [B, S, size]
        hidden_second = torch.tanh(seen_second + affinity.mT @ seen_first)  # [B, R, size]
        return (
            _side(first, self.first_score(hidden_first), hidden_first, first_mask),
            _side(second, self.second_score(hidden_second), hidden_second, second_mask),
        )


@register()
class AlternatingCoAttention(CoAttention):
    """One after the other: the second is summed up unasked, its summary asks the first, and that one's the second.

    Each time with H = tanh(W x + U g) and weights softmax(v . H), where g asks; section 3.3.
    """

    def __init__(self, first_size: int, second_size: int, *, size: Positive = 256):
        """`size` is the width of the hidden layer."""
        super().__init__()
        self.begin = _Asked(second_size, 0, size)
        self.ask_first = _Asked(first_size, second_size, size)
        self.ask_second = _Asked(second_size, first_size, size)

    def forward(
        self, first: Tensor, second: Tensor, first_mask: Tensor | None = None, second_mask: Tensor | None = None
    ) -> tuple[Side, Side]:
        begun = self.begin(second, second_mask)
        of_first = self.ask_first(first, first_mask, begun.summary)
        return of_first, self.ask_second(second, second_mask, of_first.summary)


class _Asked(nn.Module):
    """One step of alternating co-attention."""

    def __init__(self, width: int, guide_size: int, size: int):
        super().__init__()
        self.features = nn.Linear(width, size, bias=False)
        self.guide = nn.Linear(guide_size, size, bias=False) if guide_size else None
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None, guide: Tensor | None = None) -> Side:
        """Features [B, S, width], and whoever asks, [B, guide_size]."""
        hidden = self.features(x)
        if self.guide is not None and guide is not None:
            hidden = hidden + self.guide(guide)[:, None]
        hidden = torch.tanh(hidden)
        return _side(x, self.score(hidden), hidden, mask)


def _side(x: Tensor, scores: Tensor, hidden: Tensor, mask: Tensor | None) -> Side:
    """Features [B, S, D], averaged as their scores [B, S, 1] say."""
    scores = scores[..., 0].to(torch.promote_types(scores.dtype, torch.float32))  # sums need the precision
    weights = weigh(scores, mask)
    return Side((weights[:, None].to(x.dtype) @ x)[:, 0], weights, hidden)


def _wide(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask[..., None]
