"""Multi-head attention of a sentence over itself."""

from __future__ import annotations

import torch
from torch import Tensor

from seqloom.attention.base import split_heads
from seqloom.attention.multi_head import MultiHeadAttention
from seqloom.layers.cache import Cache
from seqloom.layers.distances import NO_DISTANCES, Distances
from seqloom.layers.history import History
from seqloom.structures import Attended, Memory, Widths


class SelfAttention(MultiHeadAttention, History):
    """Multi-head attention whose queries are the newest positions of its memory; it may mind how far keys are.

    https://arxiv.org/abs/1706.03762, 3.2.3.
    """

    def __init__(
        self,
        size: int,
        *,
        heads: int,
        key_value_heads: int | None = None,
        dropout: float = 0.0,
        distances: Distances | None = None,
    ):
        super().__init__(size, Widths(size, size, size), heads=heads, key_value_heads=key_value_heads, dropout=dropout)
        self.distances = distances or NO_DISTANCES

    def key_values(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor]:
        keys, values = super().key_values(x)
        return self.distances.place(keys, start), values

    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False, causal: bool = False) -> Attended:
        """`causal`: each of the T newest positions of the memory, which ask, sees itself and what is older."""
        T, S = query.size(1), memory.keys.size(2)
        q = self.distances.place(split_heads(self.query(query), self.heads), S - T)  # [N, H, T, D / H]
        mask = None if memory.mask is None else memory.mask[:, None, None]  # [N, 1, 1, S]
        if causal and T > 1:
            mask = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)
        return self._look(q, memory, mask, self.distances, weights=weights)

    def start(self, like: Tensor) -> Cache:
        return Cache()

    def step(self, x: Tensor, past: Cache) -> tuple[Tensor, Cache]:
        past = past.extend(*self.key_values(x, past.length))
        return self.forward(x, past.memory(), causal=True).context, past
