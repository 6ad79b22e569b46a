"""Distributions around a place of the source, which the query predicts or its number says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloom.attention.base import weigh
from seqloom.attention.distribution import Distribution
from seqloom.bounds import Positive
from seqloom.registry import register

NARROWEST = 0.01  # of a Gaussian, in positions; a narrower one would end in 0 / 0


@register()
class LocalMonotonic(Distribution):
    """Softmax over a window around position t for query t: local-m, https://arxiv.org/abs/1508.04025, section 3.2.

    `window` is D: positions up to so far from t count.  For a query whose window begins behind the source, the last
    position counts.
    """

    counts = True

    def __init__(self, query_size: int, heads: int, *, window: Positive = 10):
        super().__init__(query_size, heads)
        self.window = window

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        times = torch.arange(step, step + query.size(1), device=scores.device)[:, None]  # [T, 1]
        lengths = scores.size(-1) if mask is None else mask.sum(-1, keepdim=True)
        near = (_positions(scores) - torch.clamp(times, max=lengths - 1 + self.window)).abs() <= self.window
        return weigh(scores, near if mask is None else near & mask)


class Predicted(Distribution):
    """Predicts shares of the source's length, `numbers` of them for each head: S sigmoid(v . tanh(W q))."""

    def __init__(self, query_size: int, heads: int, *, size: Positive | None, numbers: int):
        super().__init__(query_size, heads)
        self.hidden = nn.Linear(query_size, size or query_size, bias=False)
        self.shares = nn.Linear(size or query_size, numbers * heads, bias=False)

    def predict(self, scores: Tensor, mask: Tensor | None, query: Tensor) -> Tensor:
        """[N, numbers * H, T, 1], from 0 to the number of real positions."""
        shares: Tensor = self.shares(torch.tanh(self.hidden(query))).mT[..., None]
        shares = shares.to(scores.dtype).sigmoid()  # bfloat16 could not tell position 200 of 300 from 201
        return shares * (scores.size(-1) if mask is None else mask.sum(-1, keepdim=True))


@register()
class LocalPredictive(Predicted):
    """Softmax over a window around a predicted place, times a Gaussian there: local-p.

    https://arxiv.org/abs/1508.04025, equations 9 and 10.  `window` is D: positions up to so far from the place p count,
    and the Gaussian's deviation is D / 2.  As in the paper, weights aren't normalized again: they sum to less than 1.
    """

    normalized = False

    def __init__(self, query_size: int, heads: int, *, window: Positive = 10, size: Positive | None = None):
        """`size` is the width of the predicting layer, by default the query's."""
        super().__init__(query_size, heads, size=size, numbers=1)
        self.window = window

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        away = _positions(scores) - self.predict(scores, mask, query)  # [N, H, T, S]
        near = away.abs() <= self.window
        weights = weigh(scores, near if mask is None else near & mask)
        return weights * torch.exp(-2 * (away / self.window).square())


@register()
class GaussianBias(Predicted):
    """Softmax of scores less (s - p)^2 / 2 sigma^2, where place p and window 2 sigma are predicted for each query.

    https://arxiv.org/abs/1810.10182, section 3.
    """

    def __init__(self, query_size: int, heads: int, *, size: Positive | None = None):
        """`size` is the width of the predicting layer, by default the query's."""
        super().__init__(query_size, heads, size=size, numbers=2)

    def forward(self, scores: Tensor, mask: Tensor | None, query: Tensor, step: int = 0) -> Tensor:
        place, window = self.predict(scores, mask, query).chunk(2, 1)  # [N, H, T, 1]
        deviations = (_positions(scores) - place) / (window / 2).clamp(min=NARROWEST)
        return weigh(scores - deviations.square() / 2, mask)


def _positions(scores: Tensor) -> Tensor:
    return torch.arange(scores.size(-1), dtype=scores.dtype, device=scores.device)
