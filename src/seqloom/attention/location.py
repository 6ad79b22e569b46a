"""Compatibilities that know where, not only what: by position, or by what was looked at before."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.attention.compatibility import Activation, Additive, Compatibility
from seqloom.bounds import Positive
from seqloom.registry import register
from seqloom.structures import Past

NEVER = -1e4  # the score of what is not to be looked at, if there is anything else


@register()
class Location(Compatibility):
    """e = W q, whatever the keys: the query says which positions matter; https://arxiv.org/abs/1508.04025, section 3.1.

    W has a row for each of a fixed number of positions.  As in the paper, a short source uses the first ones, and of a
    source that is longer the rest isn't looked at.
    """

    feature_size = 0

    def __init__(self, query_size: int, key_size: int, heads: int, *, positions: Positive = 64):
        super().__init__()
        self.heads, self.query = heads, nn.Linear(query_size, heads * positions)

    def memory(self, keys: Tensor) -> Tensor:
        return keys[:, None, :, :0]  # how many there are is enough

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        scores = self.query(query).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [N, H, T, positions]
        S = memory.size(2)
        return F.pad(scores[..., :S], (0, max(0, S - scores.size(-1))), value=NEVER)


@register()
class Convolutional(Additive):
    """e = v . act(W q + V k + U f + b), where f are features of where the last query looked.

    f = F * a is a convolution of its weights a by `filters` of `kernel` positions; https://arxiv.org/abs/1506.07503,
    equations 8 and 9.  The filters see the weights of all heads.  Before the first query, a is 0.
    """

    looks_back = True

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int,
        *,
        size: Positive = 256,
        filters: Positive = 10,
        kernel: Positive = 11,
        activation: Activation = "tanh",
    ):
        super().__init__(query_size, key_size, heads, size=size, activation=activation)
        self.filters = nn.Conv1d(heads, filters, kernel, padding="same", bias=False)
        self.place = nn.Linear(filters, size, bias=False)

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        assert past.last is not None
        places = self.place(self.filters(past.last.to(self.filters.weight.dtype)).mT)  # [N, S, D]
        return super().forward(query, memory + places[:, None], past)
