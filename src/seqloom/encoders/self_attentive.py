"""Encoders that say a fixed number of things of a source, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seqloom.attention.additive import AdditiveAttention
from seqloom.attention.base import Attention
from seqloom.attention.pooling import QueryPooling, SelfAttentivePooling
from seqloom.bounds import NotNegative, Positive
from seqloom.encoders.base import Encoder
from seqloom.layers.embedding import Embedding
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths


@register("self_attentive")
class SelfAttentiveEncoder(Encoder):
    """A matrix for each source: `hops` vectors, each a mean of its own of an encoder's values.

    https://arxiv.org/abs/1703.03130, 2.1.  The positions that a decoder looks at are the hops; the summary has them one
    behind the other.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        encoder: Callable[..., Encoder],
        hops: Positive = 4,
        size: Positive = 256,
        penalty: NotNegative = 0.1,
    ):
        """`size` is the width of the layer that finds the weights; `penalty` weighs equation 8, which parts hops."""
        super().__init__()
        self.encoder, self.hops, self.penalty = encoder(embedding=embedding), hops, penalty
        width = self.encoder.widths.values
        self.pooling = SelfAttentivePooling(width, hops, size)
        self.widths = Widths(width, width, hops * width)

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        said: Encoded = self.encoder(source)
        pooled = self.pooling(said.values, said.mask)
        return _pooled(pooled.vectors, said.penalty + self.penalty * pooled.penalty)

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return [f"hop {number}" for number in range(1, self.hops + 1)]


@register("query_pooling")
class QueryPoolingEncoder(Encoder):
    """Learned queries, those of the task, ask attention of an encoder's positions; https://aclanthology.org/N16-1174.

    The positions that a decoder looks at are the queries' contexts; the summary has them one behind the other.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        encoder: Callable[..., Encoder],
        attention: Callable[..., Attention] = AdditiveAttention,
        queries: Positive = 1,
        size: Positive = 256,
    ):
        """`size` is the width of a query."""
        super().__init__()
        self.encoder, self.queries = encoder(embedding=embedding), queries
        self.pooling = QueryPooling(self.encoder.widths, attention=attention, size=size, queries=queries)
        width = self.pooling.output_size
        self.widths = Widths(width, width, queries * width)

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        said: Encoded = self.encoder(source)
        answered = self.pooling(said)
        return _pooled(answered.context, said.penalty + answered.penalty)

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return [f"query {number}" for number in range(1, self.queries + 1)]


def _pooled(vectors: Tensor, penalty: Tensor | float) -> Encoded:
    """Vectors [B, R, D], all of them real."""
    mask = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
    return Encoded(vectors, vectors, mask, vectors.flatten(1), penalty=penalty)
