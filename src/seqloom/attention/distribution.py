"""Distribution: what scores become that values are averaged with, the other half of a `GeneralAttention`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.attention.base import weigh
from seqloom.bounds import AtLeast
from seqloom.registry import register

Temperature = Annotated[float, AtLeast(0.001)]


class Distribution(nn.Module, ABC):
    """Turns scores into weights from 0 to 1; https://arxiv.org/abs/1902.02181.

    `normalized` says whether the weights of a query sum to 1, `counts` whether the number of the query matters.
    """

    given: ClassVar[tuple[str, ...]] = ("query_size", "heads")
    normalized: ClassVar[bool] = True
    counts: ClassVar[bool] = False

    def __init__(self, query_size: int, heads: int):
        super().__init__()

    @abstractmethod
    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        """Scores and weights are [N, H, T, S], the mask is [N, 1, 1, S], queries are [N, T, Q].

        Where the mask is False, the weight is exactly 0, whatever the score.  The real positions come first.  `step`
        queries of the same row were answered before these.
        """

    def drawn(self, scores: Tensor, mask: Tensor | None, weights: Tensor) -> Drawn:
        """What the loss must know of weights that were drawn at random, unless gradients say it all."""
        return Drawn()


class Drawn(NamedTuple):
    """What the loss must know of a draw."""

    log_prob: Tensor | None = None  # [N, T]
    penalty: Tensor | float = 0.0


@register()
class Softmax(Distribution):
    """p = exp(e / temperature), normalized: every real position weighs something."""

    def __init__(self, query_size: int, heads: int, *, temperature: Temperature = 1.0):
        super().__init__(query_size, heads)
        self.temperature = temperature

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        return weigh(scores / self.temperature, mask)


@register()
class Sigmoid(Distribution):
    """p = 1 / (1 + exp(-e)): each position is looked at or not, whatever the others.

    So weights are probabilities but no distribution over positions, and the context grows with how much is looked at;
    https://arxiv.org/abs/1702.00887, section 3.1.
    """

    normalized = False

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        return hidden_from(scores.sigmoid(), mask)


@register()
class Hard(Distribution):
    """One position has all the weight, and gradients go as if it were softmax (the straight-through estimator).

    https://arxiv.org/abs/1308.3432, and https://arxiv.org/abs/1611.01144, section 2.2.
    """

    def __init__(self, query_size: int, heads: int, *, temperature: Temperature = 1.0, draw: bool = False):
        """The best position is taken or, with `draw`, while training one drawn from the softmax."""
        super().__init__(query_size, heads)
        self.temperature, self.draw = temperature, draw

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        if self.draw and self.training:  # the best score with Gumbel noise is a draw
            scores = scores - torch.empty_like(scores).exponential_().log()
        soft = weigh(scores / self.temperature, mask)
        chosen = F.one_hot(soft.argmax(-1), scores.size(-1)).to(soft.dtype)
        return chosen + (soft - soft.detach())  # the second part is exactly 0


def hidden_from(weights: Tensor, mask: Tensor | None) -> Tensor:
    """The weights, with 0 where the mask is False."""
    return weights if mask is None else weights.masked_fill(~mask, 0.0)
