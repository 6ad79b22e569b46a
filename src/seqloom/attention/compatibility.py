"""Compatibility: how well each query and each key go together, one half of a `GeneralAttention`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.attention.base import split_heads
from seqloom.bounds import Positive
from seqloom.layers.bridges import ACTIVATIONS
from seqloom.registry import register
from seqloom.structures import Past

Activation = Literal["tanh", "relu", "sigmoid"]


class Compatibility(nn.Module, ABC):
    """Scores queries [N, T, Q] against keys [N, S, K], once for each head; https://arxiv.org/abs/1902.02181.

    One that `looks_back` at what earlier queries did is asked query by query.  A subclass sets `feature_size`, the
    width of what `memory` makes, all heads together; 0 says that keys don't matter.
    """

    given: ClassVar[tuple[str, ...]] = ("query_size", "key_size", "heads")
    looks_back: ClassVar[bool] = False
    feature_size: int

    @abstractmethod
    def memory(self, keys: Tensor) -> Tensor:
        """All that depends on keys [N, S, K] alone, computed once a sentence: [N, H, S, D], or [N, 1, S, D]."""

    @abstractmethod
    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        """Queries [N, T, Q] and what `memory` made of the keys -> scores [N, H, T, S]; any number may be one.

        Where it looks back, T is 1, and `past` has the weights of the last query and of all, [N, H, S].
        """


@register()
class Dot(Compatibility):
    """e = q . k, https://arxiv.org/abs/1508.04025, equation 8; with `size` both are first projected to that width.

    Each head compares its own share of the features.
    """

    def __init__(self, query_size: int, key_size: int, heads: int, *, size: Positive | None = None):
        """ValueError where there is no `size` and the widths differ, or where heads can't share the width."""
        super().__init__()
        self.heads, self.feature_size = heads, size or query_size
        if size is None and query_size != key_size:
            raise ValueError(
                f"{type(self).__name__} compares query and key feature by feature, but they are {query_size} and "
                f"{key_size} wide; give size: to project both"
            )
        check_heads(self.feature_size, heads)
        # a bias of the keys would add the same to every score of a query
        self.query = nn.Linear(query_size, size) if size else nn.Identity()
        self.key = nn.Linear(key_size, size, bias=False) if size else nn.Identity()

    def memory(self, keys: Tensor) -> Tensor:
        return split_heads(self.key(keys), self.heads)

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        return split_heads(self.query(query), self.heads) @ memory.mT


@register()
class ScaledDot(Dot):
    """e = q . k / sqrt(D), https://arxiv.org/abs/1706.03762, equation 1; D is the width that a head compares."""

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        return super().forward(query, memory, past) / math.sqrt(memory.size(-1))


@register()
class CosineSimilarity(Dot):
    """e = q . k / |q| |k|, from -1 to 1; https://arxiv.org/abs/1410.5401, equation 6.

    A `Softmax` of so narrow scores is all but even unless its `temperature` is low, as 0.1.
    """

    def memory(self, keys: Tensor) -> Tensor:
        return F.normalize(super().memory(keys), dim=-1)

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        return F.normalize(split_heads(self.query(query), self.heads), dim=-1) @ memory.mT


@register()
class General(Compatibility):
    """e = q . W k, with a matrix for each head, so that widths may differ; https://arxiv.org/abs/1508.04025."""

    biased: ClassVar[bool] = False

    def __init__(self, query_size: int, key_size: int, heads: int):
        super().__init__()
        self.heads, self.feature_size = heads, key_size
        self.query = nn.Linear(query_size, heads * key_size, bias=self.biased)

    def memory(self, keys: Tensor) -> Tensor:
        return keys[:, None]

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        return split_heads(self.query(query), self.heads) @ memory.mT


@register()
class BiasedGeneral(General):
    """e = k . (W q + b): how much a key matters whatever is asked, too; https://arxiv.org/abs/1606.02245."""

    biased = True


@register()
class ActivatedGeneral(General):
    """e = act(q . W k + b), with one b for each head; https://arxiv.org/abs/1709.00893.

    Between tanh's -1 and 1 a `Softmax` is all but even unless its `temperature` is low.
    """

    def __init__(self, query_size: int, key_size: int, heads: int, *, activation: Activation = "tanh"):
        super().__init__(query_size, key_size, heads)
        self.bias = nn.Parameter(torch.zeros(heads, 1, 1))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        return self.activation(super().forward(query, memory, past) + self.bias)  # type: ignore[no-any-return]


@register("Concat")
class Additive(Compatibility):
    """e = v . act(W q + U k + b); https://arxiv.org/abs/1409.0473, appendix A.1.2.

    `Concat` is another name of it, since [W U] [q; k] is W q + U k.  Heads share the hidden layer of `size` units, each
    with a v of its own.
    """

    def __init__(
        self, query_size: int, key_size: int, heads: int, *, size: Positive = 256, activation: Activation = "tanh"
    ):
        super().__init__()
        self.feature_size = size
        self.query, self.key = nn.Linear(query_size, size), nn.Linear(key_size, size, bias=False)
        self.activation, self.score = ACTIVATIONS[activation](), nn.Linear(size, heads, bias=False)

    def memory(self, keys: Tensor) -> Tensor:
        return self.key(keys)[:, None]  # type: ignore[no-any-return]

    def forward(self, query: Tensor, memory: Tensor, past: Past) -> Tensor:
        hidden = self.activation(self.query(query)[:, :, None] + memory)  # [N, T, S, D]
        return self.score(self._deeper(hidden)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]

    def _deeper(self, hidden: Tensor) -> Tensor:
        return hidden


@register()
class Deep(Additive):
    """e = v . E(L), E(l) = act(W(l) E(l-1) + b(l)) and E(1) that of `Additive`: a network of L layers for each pair."""

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int,
        *,
        size: Positive = 256,
        layers: Positive = 2,
        activation: Activation = "tanh",
    ):
        super().__init__(query_size, key_size, heads, size=size, activation=activation)
        self.layers = nn.ModuleList(nn.Linear(size, size) for _ in range(layers - 1))

    def _deeper(self, hidden: Tensor) -> Tensor:
        for layer in self.layers:
            hidden = self.activation(layer(hidden))
        return hidden


def check_heads(width: int, heads: int) -> None:
    """Raises ValueError unless features of this width can be split among so many heads."""
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} heads can't share {width} features evenly")
