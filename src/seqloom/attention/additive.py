"""Additive attention, that of Bahdanau et al."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloom.attention.base import Attention, weigh
from seqloom.bounds import Positive
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Widths


@register("bahdanau", "additive")
class AdditiveAttention(Attention):
    """e = v . tanh(W q + U k); https://arxiv.org/abs/1409.0473, appendix A.1.2."""

    def __init__(self, query_size: int, widths: Widths, *, size: Positive = 256, key_bias: bool = False):
        """`key_bias` gives the keys a bias beside that of the query, which says the same twice."""
        super().__init__()
        self.output_size = widths.values
        self.query = nn.Linear(query_size, size)
        self.key = nn.Linear(widths.keys, size, bias=key_bias)
        self.score = nn.Linear(size, 1, bias=False)

    def memory(self, source: Encoded) -> Memory:
        return Memory(self.key(source.keys)[:, None], source.values[:, None], source.mask, shared=1)

    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> Attended:
        keys, values = memory.keys[:, 0], memory.values[:, 0]  # [N, S, D]
        asked = self.query(memory.together(query))
        scores = self.score(torch.tanh(asked[:, :, None] + keys[:, None]))[..., 0]  # [N, T, S]
        shares = weigh(scores, None if memory.mask is None else memory.mask[:, None])
        return memory.apart(Attended(shares.to(values.dtype) @ values, memory, shares[:, None] if weights else None))
