"""Attention of named parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.attention.base import Attention, in_time, split_heads
from seqloom.attention.compatibility import Additive, Compatibility, check_heads
from seqloom.attention.distribution import Distribution, Softmax
from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.layers.dropout import Dropout
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Past, Widths


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
        coverage: NotNegative | None = None,
        dropout: Rate = 0.0,
    ):
        """Each head has weights of its own and averages its share of the values' features.

        `features`: there are as many heads as features (multi-dimensional, https://arxiv.org/abs/1709.04696, 3.1).
        With `size` values are projected to that width first, and what the heads see is mixed by a last layer, as in
        https://arxiv.org/abs/1706.03762, 3.2.2.  `dropout` acts on weights.

        With `coverage` scores know how much each position was looked at so far, c = sum of a (of every head): a learned
        vector times c joins what a key was made into, which under `Additive` is equation 11 of
        https://arxiv.org/abs/1704.04368; and so many times sum of min(a, c), equation 12, is added to the loss.

        ValueError if heads can't share the width, or if a compatibility has nothing that coverage could join.
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
        self.coverage_weight = coverage or 0.0
        self.coverage = None if coverage is None else self._covered()
        self.looks_back = self.compatibility.looks_back or self.coverage is not None

    def _covered(self) -> nn.Linear:
        width = self.compatibility.feature_size
        if not width:
            raise ValueError(
                f"coverage is a feature of keys, and {type(self.compatibility).__name__} doesn't look at them; "
                "leave one of the two out"
            )
        return nn.Linear(self.heads, width, bias=False)

    def memory(self, source: Encoded) -> Memory:
        values = split_heads(self.value(source.values), self.heads)
        alone = self.looks_back or self.distribution.counts  # what earlier queries did is a matter of each row
        return Memory(self.compatibility.memory(source.keys), values, source.mask, shared=None if alone else 1)

    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> Attended:
        if not self.looks_back:
            return self._asked(query, memory, weights=weights)
        steps: list[Attended] = []
        for one in torch.split(query, 1, 1):
            steps.append(self._asked(one, steps[-1].memory if steps else memory, weights=weights))
        return in_time(steps)

    def _asked(self, query: Tensor, memory: Memory, *, weights: bool) -> Attended:
        """What queries see that needn't know of each other."""
        past, query = memory.past or self._nothing_yet(memory), memory.together(query)
        scores = self.compatibility(query, self._keys(memory, past), past)  # [N, H, T, S]
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # sums need the precision
        mask = None if memory.mask is None else memory.mask[:, None, None]  # [N, 1, 1, S]
        shares = self.distribution(scores, mask, query, past.step)
        context = self.dropout(shares).to(memory.values.dtype) @ memory.values  # [N, H, T, D / H]
        drawn = self.distribution.drawn(scores, mask, shares)
        seen = Attended(
            self.out(context.transpose(1, 2).flatten(-2)),
            self._after(memory, past, shares),
            shares if weights else None,
            self._penalty(shares, past) + drawn.penalty,
            drawn.log_prob,
        )
        return memory.apart(seen)

    def _nothing_yet(self, memory: Memory) -> Past:
        if not self.looks_back:
            return Past(0)
        N, H, S, _ = memory.values.shape
        dtype = torch.promote_types(memory.values.dtype, torch.float32)
        nothing = memory.values.new_zeros(N, H, S, dtype=dtype)
        return Past(0, nothing, nothing)

    def _keys(self, memory: Memory, past: Past) -> Tensor:
        """What the keys were made into, [N, H, S, D], and how much they were looked at, where that counts."""
        if self.coverage is None or past.total is None:
            return memory.keys
        covered = self.coverage(past.total.mT.to(self.coverage.weight.dtype))  # [N, S, D]
        return memory.keys + split_heads(covered, memory.keys.size(1))

    def _penalty(self, shares: Tensor, past: Past) -> Tensor | float:
        """The mean over rows and heads of sum of min(a, c), times its weight."""
        if not self.coverage_weight or past.total is None:
            return 0.0
        again = torch.minimum(shares[:, :, 0], past.total).sum(-1)  # [N, H]
        return self.coverage_weight * again.mean()

    def _after(self, memory: Memory, past: Past, shares: Tensor) -> Memory:
        if self.looks_back:
            last = shares[:, :, -1]
            return replace(memory, past=Past(past.step + 1, last, last if past.total is None else past.total + last))
        return replace(memory, past=Past(past.step + shares.size(2))) if self.distribution.counts else memory
