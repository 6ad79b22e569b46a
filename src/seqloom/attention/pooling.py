"""Pooling: a sentence of any length becomes a fixed number of vectors, by attention that nobody asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqloom.attention.base import Attention, weigh
from seqloom.bounds import Positive
from seqloom.structures import Attended, Encoded, Widths


class Pooled(NamedTuple):
    """What pooling made of B sentences."""

    vectors: Tensor  # [B, R, D], one for each of R hops
    weights: Tensor  # [B, R, S]
    penalty: Tensor  # [] how much the hops look at the same, a mean over sentences


class SelfAttentivePooling(nn.Module):
    """M = A H with A = softmax(W2 tanh(W1 H)): each of R hops looks at the sentence in a way of its own.

    https://arxiv.org/abs/1703.03130, equations 6 and 7; the penalty that keeps hops apart, |A A' - I|^2 (Frobenius), is
    its equation 8, and left to the caller to weigh.
    """

    def __init__(self, width: Positive, hops: Positive = 4, size: Positive = 256):
        """`width` is that of the features, `size` that of the hidden layer."""
        super().__init__()
        self.hidden, self.score = nn.Linear(width, size, bias=False), nn.Linear(size, hops, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Pooled:
        """Features [B, S, D], of which the mask [B, S] says which are real."""
        scores = self.score(torch.tanh(self.hidden(x))).mT  # [B, R, S]
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # sums need the precision
        weights = weigh(scores, None if mask is None else mask[:, None])
        return Pooled(weights.to(x.dtype) @ x, weights, overlap(weights))


class QueryPooling(nn.Module):
    """Learned queries, of a task and not of a sentence, ask any attention.

    With one query and the `Additive` compatibility it is that of https://aclanthology.org/N16-1174, equations 5 to 7:
    u . tanh(W h + b), where the query enters as part of the bias.
    """

    def __init__(
        self, widths: Widths, *, attention: Callable[..., Attention], size: Positive = 256, queries: Positive = 1
    ):
        """`size` is the width of a query."""
        super().__init__()
        self.attention = attention(query_size=size, widths=widths)
        self.queries = nn.Parameter(torch.randn(queries, size) * size**-0.5)
        self.output_size = self.attention.output_size

    def forward(self, source: Encoded, *, weights: bool = False) -> Attended:
        """The answers [B, queries, output_size] in `context`, and on request the weights [B, H, queries, S]."""
        queries = self.queries.expand(len(source.keys), -1, -1)
        return self.attention(queries, self.attention.memory(source), weights=weights)  # type: ignore[no-any-return]


def overlap(weights: Tensor) -> Tensor:
    """|A A' - I|^2 (Frobenius) of weights A [B, R, S], the mean over B; 0 where each hop has a place of its own."""
    products = weights @ weights.mT
    identity = torch.eye(weights.size(1), dtype=weights.dtype, device=weights.device)
    return (products - identity).square().sum((1, 2)).mean()
