"""Attention of named parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.attention.base import Attention, split_heads
from seqloom.attention.compatibility import Additive, Compatibility, check_heads
from seqloom.attention.distribution import Distribution, Softmax
from seqloom.bounds import Positive, Rate
from seqloom.layers.dropout import Dropout
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Widths


@register()
class GeneralAttention(Attention):
    """Any compatibility under any distribution, in any number of heads; https://arxiv.org/abs/1902.02181.

    Where a combination has a class of its own, such as `AdditiveAttention`, that one is the faster.
    """

    def __init__(
        self,
        query_size: int,
        widths: Widths,
        *,
        compatibility: Callable[..., Compatibility] = Additive,
        distribution: Callable[..., Distribution] = Softmax,
        heads: Positive | Literal["features"] = 1,
        size: Positive | None = None,
        dropout: Rate = 0.0,
    ):
        """Each head has weights of its own and averages its share of the values' features.

        `features`: there are as many heads as features (multi-dimensional, https://arxiv.org/abs/1709.04696, 3.1).
        With `size` values are projected to that width first, and what the heads see is mixed by a last layer, as in
        https://arxiv.org/abs/1706.03762, 3.2.2.  `dropout` acts on weights.  ValueError if heads can't share the width.
        """
        super().__init__()
        self.output_size = size or widths.values
        self.heads = self.output_size if heads == "features" else heads
        check_heads(self.output_size, self.heads)
        self.compatibility = compatibility(query_size=query_size, key_size=widths.keys, heads=self.heads)
        self.distribution = distribution(query_size=query_size, heads=self.heads)
        self.value = nn.Linear(widths.values, size) if size else nn.Identity()
        self.out = nn.Linear(size, size) if size else nn.Identity()
        self.dropout = Dropout(dropout)

    def memory(self, source: Encoded) -> Memory:
        values = split_heads(self.value(source.values), self.heads)
        return Memory(self.compatibility.memory(source.keys), values, source.mask)

    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> Attended:
        scores = self.compatibility(query, memory.keys)  # [N, H, T, S]
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # sums need the precision
        mask = None if memory.mask is None else memory.mask[:, None, None]  # [N, 1, 1, S]
        shares = self.distribution(scores, mask, query)
        context = self.dropout(shares).to(memory.values.dtype) @ memory.values  # [N, H, T, D / H]
        return Attended(self.out(context.transpose(1, 2).flatten(-2)), memory, shares if weights else None)
