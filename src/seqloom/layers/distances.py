"""How far a key stands from a query, in the eyes of self-attention."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn


class Distances(nn.Module):
    """What self-attention does about distances.  Queries are the T last of the S positions that there are keys of."""

    weighs_values: ClassVar[bool] = False  # whether `context` changes anything

    def place(self, x: Tensor, start: int) -> Tensor:
        """Queries or keys [N, H, T, D] that stand at start, start + 1, ..., with what tells where."""
        return x

    def scores(self, query: Tensor, S: int) -> Tensor | None:
        """What is added to the scores of queries [N, H, T, D]: [N, H, T, S], or a shape that broadcasts to it."""
        return None

    def context(self, context: Tensor, weights: Tensor) -> Tensor:
        """The context [N, H, T, D] that weights [N, H, T, S] made of values, with what they make of distances."""
        return context


NO_DISTANCES = Distances()


class RelativeDistances(Distances):
    """A learnt key and a learnt value for each distance j - i of a key j from a query i, the same for all heads.

    e_ij = q_i . (k_j + a^K_(j-i)) / sqrt(D) and z_i = sum_j w_ij (v_j + a^V_(j-i)), where distances beyond
    `max_distance` count as that; https://arxiv.org/abs/1803.02155, equations 3 to 5.
    """

    weighs_values = True

    def __init__(self, head_size: int, *, max_distance: int):
        super().__init__()
        self.max_distance = max_distance
        self.keys = nn.Parameter(torch.empty(2 * max_distance + 1, head_size))
        self.values = nn.Parameter(torch.empty(2 * max_distance + 1, head_size))
        for table in (self.keys, self.values):
            nn.init.xavier_uniform_(table)

    def scores(self, query: Tensor, S: int) -> Tensor:
        scaled = query * query.size(-1) ** -0.5
        of_distances = scaled @ self.keys.to(query.dtype).T  # [N, H, T, 2 max_distance + 1]
        return of_distances.gather(3, self._rows(query.size(2), S, query.device).expand(*query.shape[:3], S))  # type: ignore[no-any-return]

    def context(self, context: Tensor, weights: Tensor) -> Tensor:
        rows = self._rows(weights.size(2), weights.size(3), weights.device).expand_as(weights)
        shares = weights.new_zeros(*weights.shape[:3], len(self.values)).scatter_add(3, rows, weights)
        return context + shares @ self.values.to(weights.dtype)

    def _rows(self, T: int, S: int, device: torch.device) -> Tensor:
        """Which row of a table belongs to each query and key, [T, S]."""
        return offsets(T, S, device).clamp(-self.max_distance, self.max_distance) + self.max_distance


class RotaryDistances(Distances):
    """Pair k of the features at position p is turned by the angle p / base^(2k/D); so scores depend on distances.

    https://arxiv.org/abs/2104.09864, equations 14 and 34.  A pair is a feature of the first half with its counterpart
    in the second: the paper's pairs of neighbours in another order.
    """

    def __init__(self, head_size: int, *, base: float):
        super().__init__()
        self.head_size, self.base = head_size, base

    def place(self, x: Tensor, start: int) -> Tensor:
        angles = self._angles(start, x.size(2), x)  # [T, D / 2]
        cosines, sines = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        first, second = x.chunk(2, -1)
        return torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)

    def _angles(self, start: int, count: int, like: Tensor) -> Tensor:
        # bfloat16 can't tell position 257 from 256
        exact = {"device": like.device, "dtype": torch.promote_types(like.dtype, torch.float32)}
        places = torch.arange(start, start + count, **exact)  # type: ignore[call-overload]
        exponents = torch.arange(self.head_size // 2, **exact) * (-2 * math.log(self.base) / self.head_size)  # type: ignore[call-overload]
        return places[:, None] * exponents.exp()  # type: ignore[no-any-return]


class AlibiDistances(Distances):
    """Head h loses m_h |j - i| of its score of key j for query i; https://arxiv.org/abs/2108.12409, 3.

    In an encoder what comes is as far as what was.  The slopes m of H heads are 2^(-8h/H), h = 1 ... H; where H is no
    power of two, they are those of the power below it, and every second one of the power above it.
    """

    slopes: Tensor

    def __init__(self, heads: int):
        super().__init__()
        self.register_buffer("slopes", torch.tensor(alibi_slopes(heads)), persistent=False)

    def scores(self, query: Tensor, S: int) -> Tensor:
        return -self.slopes[:, None, None] * offsets(query.size(2), S, query.device).abs()  # [H, T, S]


def offsets(T: int, S: int, device: torch.device) -> Tensor:
    """How far each of S keys stands behind each of the T last of them, [T, S]: 0 for itself, negative before it."""
    return torch.arange(S, device=device) - torch.arange(S - T, S, device=device)[:, None]


def alibi_slopes(heads: int) -> list[float]:
    """The slope of each head, the steepest first of each kind."""
    below = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * h / below) for h in range(1, below + 1)]
    between = [2 ** (-4 * h / below) for h in range(1, 2 * below + 1, 2)]
    return slopes + between[: heads - below]
