"""A distribution over which positions are looked at together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloom.attention.distribution import Distribution, hidden_from
from seqloom.registry import register


@register()
class LinearChain(Distribution):
    """Each position is looked at (z = 1) or not (0), and neighbours care: a conditional random field over z.

    P(z) ~ exp(sum of e(s) z(s) + sum of A[z(s), z(s + 1)]), with a learned A for each head; the weights are the
    marginals P(z(s) = 1).  https://arxiv.org/abs/1702.00887, section 3.1.  So they are probabilities but, as those of
    `Sigmoid`, no distribution over positions; with A = 0, where training starts, they are `Sigmoid`'s.

    The sums over all z are taken position by position, forwards and backwards, which takes time on long sources.
    """

    normalized = False

    def __init__(self, query_size: int, heads: int):
        super().__init__(query_size, heads)
        self.transitions = nn.Parameter(torch.zeros(heads, 2, 2))

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        steps = scores.unbind(-1)  # [N, H, T] each
        real = [None] * len(steps) if mask is None else mask.unbind(-1)
        transitions = self.transitions.to(scores.dtype)[..., None]  # [H, 2, 2, 1]
        before, after = [torch.zeros_like(steps[0])], [torch.zeros_like(steps[0])]
        for score in steps[:-1]:
            before.append(_message(before[-1] + score, transitions))
        for score, exists in zip(steps[:0:-1], real[:0:-1], strict=True):
            message = _message(after[-1] + score, transitions.transpose(1, 2))
            after.append(message if exists is None else message.masked_fill(~exists, 0))  # padding says nothing
        odds = scores + torch.stack(before, -1) + torch.stack(after[::-1], -1)
        return hidden_from(odds.sigmoid(), mask)


def _message(odds: Tensor, transitions: Tensor) -> Tensor:
    """What a position whose log odds are [N, H, T] adds to those of its neighbour, over all that it may be itself."""
    off_off, off_on, on_off, on_on = transitions.flatten(1, 2).unbind(1)  # [H, 1] each
    return torch.logaddexp(off_on, odds + on_on) - torch.logaddexp(off_off, odds + on_off)
