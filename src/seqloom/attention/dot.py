"""Dot-product attention, that of Luong et al."""

from __future__ import annotations

from torch import Tensor, nn

from seqloom.attention.base import Attention, weigh
from seqloom.bounds import Positive
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Widths


@register("luong", "dot")
class DotAttention(Attention):
    """e = q . k, https://arxiv.org/abs/1508.04025, equation 8; with `size` both are first projected to that width."""

    def __init__(
        self,
        query_size: int,
        widths: Widths,
        *,
        size: Positive | None = None,
        scaled: bool = False,
        key_bias: bool = False,
    ):
        """`scaled` divides scores by the square root of the width.  ValueError if widths differ and `size` is None.

        `key_bias` gives projected keys a bias.  It adds the same to every score of a query, which softmax takes out
        again: no more than a match for models that have one.
        """
        super().__init__()
        if size is None and query_size != widths.keys:
            raise ValueError(
                f"a dot product needs query and memory of one width, got {query_size} and {widths.keys}; "
                "give size: to project both"
            )
        self.output_size = widths.values
        self.query = nn.Linear(query_size, size) if size else nn.Identity()
        self.key = nn.Linear(widths.keys, size, bias=key_bias) if size else nn.Identity()
        self.scale = (size or query_size) ** -0.5 if scaled else 1.0

    def memory(self, source: Encoded) -> Memory:
        return Memory(self.key(source.keys)[:, None], source.values[:, None], source.mask, shared=1)

    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> Attended:
        keys, values = memory.keys[:, 0], memory.values[:, 0]  # [N, S, D]
        scores = (self.query(memory.together(query)) * self.scale).to(keys.dtype) @ keys.mT  # [N, T, S]
        shares = weigh(scores, None if memory.mask is None else memory.mask[:, None])
        return memory.apart(Attended(shares.to(values.dtype) @ values, memory, shares[:, None] if weights else None))
