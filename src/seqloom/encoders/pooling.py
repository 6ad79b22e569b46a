"""The pooling encoder: no recurrence, only neighbourhoods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from seqloom.bounds import Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.positions import Positions, placed
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths


@register("pooling")
class PoolingEncoder(Encoder):
    """Each position is the mean, or the maximum, of the embeddings around it; https://arxiv.org/abs/1611.02344, 3.1.

    Attention compares a query with the pooled positions and averages the embeddings themselves, both placed by
    `positions`.  The summary is the mean of the pooled positions.  It has no weights beside the embedding.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        pooling: Literal["average", "max"] = "average",
        pool_size: Positive = 5,
        stride: Positive = 1,
        positions: Positions = "multiply",
        max_positions: Positive = 100,
        dropout: Rate = 0.2,
    ):
        """`pool_size` neighbours are pooled; those beyond the ends of the sentence don't count.

        With a `stride` of n each n tokens become one position, whose value is their mean; ValueError if some would
        belong to no neighbourhood.  `positions` says how the weights of End-To-End Memory Networks meet the embeddings;
        `max_positions` is the length they are made for, though longer sentences have positions too.  `dropout` acts on
        the embeddings after that.
        """
        super().__init__()
        if stride > pool_size:
            raise ValueError(f"stride can be at most pool_size, or tokens are lost, got {stride} and {pool_size}")
        self.widths = Widths(keys=embedding.size, values=embedding.size, summary=embedding.size)
        self.embedding, self.dropout = embedding, Dropout(dropout)
        self.pooling, self.pool_size, self.stride = pooling, pool_size, stride
        self.positions, self.max_positions = positions, max_positions

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        x = self.dropout(placed(self.embedding(source.ids), self.positions, longest=self.max_positions))
        x, real = x.mT, source.mask[:, None]  # [B, D, S], [B, 1, S]
        around = (self.pool_size - self.stride) // 2  # so that a neighbourhood reaches equally far to both sides
        pool = _largest if self.pooling == "max" else _mean
        keys = pool(x, real, size=self.pool_size, stride=self.stride, before=around)
        values = _mean(x, real, size=self.stride, stride=self.stride, before=0)
        mask = source.mask[:, :: self.stride]  # a position is real if its first token is
        count = mask.sum(1, keepdim=True)
        ids = source.ids if self.stride == 1 else None  # else a position is no one symbol
        return Encoded(keys.mT, values.mT, mask, keys.sum(2) / count, ids=ids)

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return [" ".join(tokens[start : start + self.stride]) for start in range(0, len(tokens), self.stride)]


def _mean(x: Tensor, real: Tensor, *, size: int, stride: int, before: int) -> Tensor:
    """The mean of the real positions in each window of [B, D, S]; 0 where there are none."""
    after = _after(x.size(2), size=size, stride=stride, before=before)
    total, count = (
        F.avg_pool1d(F.pad(y, (before, after)), size, stride) for y in (x.masked_fill(~real, 0), real.to(x.dtype))
    )
    mean = total / count.clamp(min=0.5 / size)
    return mean.masked_fill(~real[..., ::stride], 0)


def _largest(x: Tensor, real: Tensor, *, size: int, stride: int, before: int) -> Tensor:
    """The maximum over the real positions in each window of [B, D, S]; 0 behind the sentence."""
    after = _after(x.size(2), size=size, stride=stride, before=before)
    padded = F.pad(x.masked_fill(~real, -torch.inf), (before, after), value=-torch.inf)
    return F.max_pool1d(padded, size, stride).masked_fill(~real[..., ::stride], 0)


def _after(length: int, *, size: int, stride: int, before: int) -> int:
    """How much padding behind `length` positions lets each stride of them begin a window."""
    return (math.ceil(length / stride) - 1) * stride + size - before - length
