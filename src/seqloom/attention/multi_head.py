"""Multi-head attention, that of the Transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.attention.base import Attention, split_heads, weigh
from seqloom.bounds import Positive, Rate
from seqloom.layers.distances import NO_DISTANCES, Distances
from seqloom.layers.dropout import Dropout
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Widths

FEW_QUERIES = 16
FEW_ROWS = 8


@register("multi_head")
class MultiHeadAttention(Attention):
    """Scaled dot-product attention in several subspaces at once; https://arxiv.org/abs/1706.03762, 3.2."""

    def __init__(
        self,
        query_size: int,
        widths: Widths,
        *,
        size: Positive | None = None,
        heads: Positive = 8,
        key_value_heads: Positive | None = None,
        dropout: Rate = 0.0,
    ):
        """`size` (default: the query's width) is split among the heads; ValueError if it doesn't divide.

        With `key_value_heads`, groups of heads share keys and values (https://arxiv.org/abs/2305.13245, 2.2);
        ValueError if groups aren't of one size.  Keys and values are projected in one product, so they must be of one
        width: ValueError if they aren't.
        """
        super().__init__()
        self.output_size, self.heads, self.key_value_heads = size or query_size, heads, key_value_heads or heads
        if heads < 1 or self.output_size % heads:
            raise ValueError(f"size must be a multiple of heads, got size {self.output_size} and {heads} heads")
        if heads % self.key_value_heads:
            raise ValueError(f"heads must be a multiple of key_value_heads, got {heads} and {key_value_heads}")
        if widths.keys != widths.values:
            raise ValueError(
                f"multi-head attention needs keys and values of one width, got {widths.keys} and {widths.values}"
            )
        self.query = nn.Linear(query_size, self.output_size)
        self.key_value = nn.Linear(widths.keys, 2 * self.key_value_heads * (self.output_size // heads))
        self.out = nn.Linear(self.output_size, self.output_size)
        self.dropout = Dropout(dropout)
        for linear, parts in ((self.query, 1), (self.key_value, 2), (self.out, 1)):
            for part in linear.weight.chunk(parts):
                nn.init.xavier_uniform_(part)
            nn.init.zeros_(linear.bias)

    def memory(self, source: Encoded) -> Memory:
        keys, values = self.key_values(source.keys)
        if source.keys is not source.values:
            values = self.key_values(source.values)[1]
        if not torch.is_grad_enabled():  # a search asks again and again, and products of strided matrices are slow
            keys, values = keys.contiguous(), values.contiguous()
        return Memory(keys, values, source.mask, shared=1)

    def key_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [N, H, S, D / H] of features [N, S, D]; fewer heads where these are shared."""
        N, S, _ = x.shape
        keys, values = self.key_value(x).view(N, S, 2, self.key_value_heads, -1).transpose(1, 3).unbind(2)
        return keys, values

    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> Attended:
        mask = None if memory.mask is None else memory.mask[:, None, None]  # [N, 1, 1, S]
        q = split_heads(self.query(memory.together(query)), self.heads)
        return memory.apart(self._look(q, memory, mask, NO_DISTANCES, weights=weights))

    def _look(self, q: Tensor, memory: Memory, mask: Tensor | None, distances: Distances, *, weights: bool) -> Attended:
        """What queries [N, H, T, D / H] see where the mask, of a shape that broadcasts to [N, H, T, S], is True."""
        keys, values = self._for_all_heads(memory.keys), self._for_all_heads(memory.values)
        bias = distances.scores(q, keys.size(2))
        if weights or distances.weighs_values or _written_out_is_faster(q):
            scores = (q * q.size(-1) ** -0.5) @ keys.mT
            shares = weigh(scores if bias is None else scores + bias, mask)  # [N, H, T, S]
            kept = self.dropout(shares).to(values.dtype)
            context = distances.context(kept @ values, kept)
        else:
            if bias is not None:
                mask = bias.to(q.dtype) if mask is None else bias.to(q.dtype).masked_fill(~mask, float("-inf"))
            shares, rate = None, self.dropout.rate if self.training else 0.0
            context = F.scaled_dot_product_attention(q, keys, values, mask, rate)
        return Attended(self.out(context.transpose(1, 2).flatten(-2)), memory, shares if weights else None)

    def _for_all_heads(self, x: Tensor) -> Tensor:
        """Keys or values with those that heads share repeated for each of them, [N, H, S, D / H]."""
        return x if self.key_value_heads == self.heads else x.repeat_interleave(self.heads // self.key_value_heads, 1)


def _written_out_is_faster(query: Tensor) -> bool:
    # PyTorch's fused attention for the CPU is slow backwards in bf16: 52 ms against 9 for 130 sentences of 16 tokens.
    # Forwards it is slow where many rows ask few queries each: 2.4 ms against 1.9 for 320 rows with one query and 14
    # positions, but 16 against 40 microseconds for one such row.
    if torch.is_grad_enabled():
        return query.device.type == "cpu" and query.dtype == torch.bfloat16
    return query.device.type == "cpu" and query.size(2) <= FEW_QUERIES and query.size(0) >= FEW_ROWS
