"""Distributions that leave positions out altogether.

Both are max(e - tau, 0) to some power, with the one tau that makes the sum 1.  Which positions stay is found without
gradients by sorting; tau, written out over them, then has the exact gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seqloom.attention.distribution import Distribution
from seqloom.registry import register


@register()
class Sparsemax(Distribution):
    """p = max(e - tau, 0), the distribution nearest to the scores; https://arxiv.org/abs/1602.02068, equation 3."""

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        scores = _below_the_best(scores, mask)
        with torch.no_grad():
            stays = _support(scores, _sparsemax_thresholds)
        count = stays.sum(-1, keepdim=True)
        tau = (torch.where(stays, scores, 0).sum(-1, keepdim=True) - 1) / count
        return torch.where(stays, scores - tau, 0).relu()  # rounding must make none negative


@register()
class Entmax(Distribution):
    """p = max(e / 2 - tau, 0)^2, which is entmax for alpha 1.5: between softmax and sparsemax.

    https://arxiv.org/abs/1905.05702; the exact algorithm is its second.
    """

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        scores = _below_the_best(scores / 2, mask)
        with torch.no_grad():
            stays = _support(scores, _entmax_thresholds)
        count = stays.sum(-1, keepdim=True)
        mean = torch.where(stays, scores, 0).sum(-1, keepdim=True) / count
        spread = torch.where(stays, scores - mean, 0).square().sum(-1, keepdim=True)
        tau = mean - ((1 - spread) / count).sqrt()
        return torch.where(stays, scores - tau, 0).square()


def _below_the_best(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Scores less their maximum, which changes no weight.  What is 1 below the best has none, and masked is lower."""
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return (scores - scores.amax(-1, keepdim=True).detach()).clamp(min=-2)


def _support(scores: Tensor, thresholds: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """True at the positions that stay.  `thresholds` says which tau the best one, two, three ... would need alone."""
    ordered = scores.sort(-1, descending=True).values
    taus = thresholds(ordered, torch.arange(1, scores.size(-1) + 1, device=scores.device))
    last = (taus < ordered).sum(-1, keepdim=True) - 1  # so many of the best are above the tau of their own
    return scores > taus.gather(-1, last)


def _sparsemax_thresholds(ordered: Tensor, counts: Tensor) -> Tensor:
    return (ordered.cumsum(-1) - 1) / counts


def _entmax_thresholds(ordered: Tensor, counts: Tensor) -> Tensor:
    means = ordered.cumsum(-1) / counts
    spreads = ordered.square().cumsum(-1) - counts * means.square()
    return means - ((1 - spreads) / counts).clamp(min=0).sqrt()
