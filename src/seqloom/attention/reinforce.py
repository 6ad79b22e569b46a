"""Hard attention that learns from what became of its draws."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seqloom.attention.distribution import Distribution, Drawn, Temperature
from seqloom.bounds import NotNegative
from seqloom.registry import register


@register()
class Reinforce(Distribution):
    """One position has all the weight: in training one drawn from the softmax, otherwise the best.

    The scores learn by REINFORCE: the gradient of a draw's log-probability, times how much worse than others what came
    after it was; https://arxiv.org/abs/1502.03044, section 4.1, and `seqloom.losses.reinforce`.
    """

    def __init__(self, query_size: int, heads: int, *, temperature: Temperature = 1.0, entropy: NotNegative = 0.0):
        """`entropy` is what the loss falls by for each nat of the softmax's entropy, so that draws stay various."""
        super().__init__(query_size, heads)
        self.temperature, self.entropy = temperature, entropy

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        log_probs = self._log_probs(scores.detach(), mask)
        return F.one_hot(drawn(log_probs) if self.training else log_probs.argmax(-1), scores.size(-1)).to(scores.dtype)

    def drawn(self, scores: Tensor, mask: Tensor | None, weights: Tensor) -> Drawn:
        if not self.training:
            return Drawn()
        log_probs = self._log_probs(scores, mask)
        log_prob = log_probs.gather(-1, weights.argmax(-1, keepdim=True))[..., 0].sum(1)
        finite = log_probs if mask is None else log_probs.masked_fill(~mask, 0)
        return Drawn(log_prob, self.entropy * (log_probs.exp() * finite).sum((1, -1)).mean())

    def _log_probs(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        scores = scores / self.temperature
        return (scores if mask is None else scores.masked_fill(~mask, float("-inf"))).log_softmax(-1)


def drawn(log_probs: Tensor) -> Tensor:
    """A position for each row of [..., S], by its probability: the best with Gumbel noise is a draw."""
    return (log_probs - torch.empty_like(log_probs).exponential_().log()).argmax(-1)
