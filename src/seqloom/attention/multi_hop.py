"""Attention that asks again in the light of what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from seqloom.attention.additive import AdditiveAttention
from seqloom.attention.base import Attention
from seqloom.bounds import Positive
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Widths


@register()
class MultiHop(Attention):
    """Asks one memory of keys and values several times: the answer o to a query q makes the next one, R(q + A o).

    https://arxiv.org/abs/1606.03126, section 3.1, after https://arxiv.org/abs/1503.08895, 2.2: each hop has an R of its
    own, and A brings o to the query's width, so that R and R A are learnt as one layer.  The context is the last
    answer; the weights of every hop are shown, as heads, the first hop's first.
    """

    def __init__(
        self,
        query_size: int,
        widths: Widths,
        *,
        attention: Callable[..., Attention] = AdditiveAttention,
        hops: Positive = 3,
    ):
        """All hops ask the same `attention`.  ValueError if that looks back: hops aren't earlier queries."""
        super().__init__()
        self.attention = attention(query_size=query_size, widths=widths)
        if self.attention.looks_back:
            raise ValueError(
                "the hops of one query would be to its attention what earlier queries are, and this one looks back at "
                "those (by coverage, or a convolution of weights); choose one that doesn't"
            )
        self.output_size = self.attention.output_size
        self.next = nn.ModuleList(
            nn.Linear(query_size + self.output_size, query_size, bias=False) for _ in range(hops - 1)
        )

    def memory(self, source: Encoded) -> Memory:
        return self.attention.memory(source)

    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> Attended:
        seen: list[Attended] = [self.attention(query, memory, weights=weights)]
        for again in self.next:
            query = again(torch.cat([query, seen[-1].context.to(query.dtype)], -1))
            seen.append(self.attention(query, memory, weights=weights))
        shares, log_probs = [hop.weights for hop in seen], [hop.log_prob for hop in seen]
        return replace(
            seen[-1],
            weights=None if shares[0] is None else torch.cat(shares, 1),  # type: ignore[arg-type]
            penalty=sum(hop.penalty for hop in seen),
            log_prob=None if log_probs[0] is None else sum(log_probs),  # type: ignore[arg-type]
        )
