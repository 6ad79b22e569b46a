"""Where a token stands, as a vector."""

from __future__ import annotations

import math
from abc import ABC
from functools import lru_cache
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from seqloom.bounds import Count, Positive
from seqloom.errors import UsageError
from seqloom.layers.distances import AlibiDistances, Distances, RelativeDistances, RotaryDistances
from seqloom.registry import register

Positions = Literal["none", "add", "multiply"]  # how a vector that says where a token stands meets the token's own
READY = 256  # positions whose vectors are kept, since a search asks for one of them at each step
Layout = Literal["halves", "pairs"]  # how sines and cosines share the features


class PositionEncoding(nn.Module, ABC):
    """How a Transformer knows where tokens stand: a vector is added to each, or self-attention minds their distances.

    It is given the width of a token and how many heads self-attention splits it among.
    """

    given: ClassVar[tuple[str, ...]] = ("size", "heads")

    def __init__(self, size: int, heads: int):
        super().__init__()
        self.heads, self.head_size = heads, size // heads

    def add(self, x: Tensor, start: int) -> Tensor:
        """Tokens [N, T, D] that stand at start, start + 1, ..., with whatever is added to them."""
        return x

    def distances(self) -> Distances | None:
        """What the self-attention of one layer is to mind, made anew for each layer; None: nothing."""
        return None


@register("none")
class NoPositions(PositionEncoding):
    """Nothing says where a token stands: to an encoder a sentence is a bag of words."""


@register("sinusoidal")
class SinusoidalPositions(PositionEncoding):
    """The vectors of `sinusoids`; https://arxiv.org/abs/1706.03762, 3.5."""

    def __init__(
        self, size: int, heads: int = 1, *, layout: Layout = "halves", first: Count = 0, inclusive: bool = False
    ):
        """The `first` token stands at this place; `layout` and `inclusive` are those of `sinusoids`.

        Other toolkits number places and features in other ways; trained weights need the one they were trained with.
        """
        super().__init__(size, heads)
        self.layout, self.first, self.inclusive = layout, first, inclusive

    def add(self, x: Tensor, start: int) -> Tensor:
        size, start = x.size(2), self.first + start
        if x.size(1) == 1 and start < READY:  # a step of a search
            return x + ready_sinusoids(size, x.device, self.layout, self.inclusive)[start]
        return x + sinusoids(start, x.size(1), size, x.device, layout=self.layout, inclusive=self.inclusive)


@register("learned")
class LearnedPositions(PositionEncoding):
    """A learnt vector for each of the first `max_positions`; https://arxiv.org/abs/1705.03122, 3.1."""

    def __init__(self, size: int, heads: int = 1, *, max_positions: Positive = 1024):
        """The vectors are drawn from N(0, 1/size)."""
        super().__init__(size, heads)
        self.table = nn.Embedding(max_positions, size)
        nn.init.normal_(self.table.weight, std=size**-0.5)

    def forward(self, start: int, count: int) -> Tensor:
        """The vectors of positions start, start + 1, ..., [count, D].  UsageError where there are none."""
        most, end = len(self.table.weight), start + count
        if end > most:
            raise UsageError(
                f"there are positions for {most} tokens, and a sentence of {end} or more came; give max_positions "
                "to a new model, or lower search.max_length and search.max_source_length"
            )
        return self.table.weight[start:end]

    def add(self, x: Tensor, start: int) -> Tensor:
        return x + self.forward(start, x.size(1))


@register("relative")
class RelativePositions(PositionEncoding):
    """A learnt vector for each distance up to `max_distance`, in every layer; https://arxiv.org/abs/1803.02155."""

    def __init__(self, size: int, heads: int, *, max_distance: Positive = 16):
        super().__init__(size, heads)
        self.max_distance = max_distance

    def distances(self) -> RelativeDistances:
        return RelativeDistances(self.head_size, max_distance=self.max_distance)


@register("rotary")
class RotaryPositions(PositionEncoding):
    """Queries and keys are turned by their places; https://arxiv.org/abs/2104.09864."""

    def __init__(self, size: int, heads: int, *, base: Positive = 10_000):
        """The slowest pair of features turns once in about 2 pi `base` positions; ValueError if heads' size is odd."""
        super().__init__(size, heads)
        self.base = base
        if self.head_size % 2:
            raise ValueError(
                f"rotary positions turn pairs of features, so a head needs an even size, got {self.head_size}"
            )

    def distances(self) -> RotaryDistances:
        return RotaryDistances(self.head_size, base=self.base)


@register("alibi")
class AlibiPositions(PositionEncoding):
    """Scores fall with the distance, in each head at a rate of its own; https://arxiv.org/abs/2108.12409."""

    def distances(self) -> AlibiDistances:
        return AlibiDistances(self.heads)


def sinusoids(
    start: int,
    count: int,
    size: int,
    device: torch.device,
    *,
    layout: Layout = "halves",
    inclusive: bool = False,
) -> Tensor:
    """Sines and cosines of positions start, start + 1, ..., [count, size]; https://arxiv.org/abs/1706.03762, 3.5.

    The wavelengths grow evenly on a logarithmic scale from 2 pi towards 10,000 * 2 pi, which the slowest pair of
    features has only if `inclusive`, as in Tensor2Tensor.  The first half of the features holds the sines and the
    second the cosines, or, in `pairs`, each sine stands before its cosine.  Any position has a vector.
    """
    places = torch.arange(start, start + count, device=device, dtype=torch.float32)  # [T]
    pairs = (size + 1) // 2
    steps = max(pairs - 1, 1) if inclusive else size / 2
    exponents = torch.arange(pairs, device=device, dtype=torch.float32) * (-math.log(10_000) / steps)
    angles = places[:, None] * exponents.exp()  # [T, D / 2]
    if layout == "pairs":
        return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :size]
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :size]


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def ready_sinusoids(size: int, device: torch.device, layout: Layout, inclusive: bool) -> Tensor:
    """The vectors of the first positions, [READY, size], made once; not for writing."""
    return sinusoids(0, READY, size, device, layout=layout, inclusive=inclusive)


def slopes(count: int, size: int, *, longest: int, device: torch.device) -> Tensor:
    """The weights of positions 1 to `count` in a sentence of at most `longest`, [count, size].

    Feature k of position j has (1 - j/J) - (k/d)(1 - 2j/J), with J = longest + 1 and d = size + 1: the first features
    fall from 1 to 0 along the sentence, the last ones rise.  https://arxiv.org/abs/1503.08895, 4.1, with ends that are
    not quite reached.  Positions beyond `longest` go on along the same lines.
    """
    j = torch.arange(1, count + 1, device=device, dtype=torch.float32)[:, None] / (longest + 1)
    k = torch.arange(1, size + 1, device=device, dtype=torch.float32) / (size + 1)
    return (1 - j) - k * (1 - 2 * j)


def placed(x: Tensor, how: Positions, *, longest: int) -> Tensor:
    """Tokens [B, S, D] with `slopes` added to them, or multiplied with them."""
    if how == "none":
        return x
    weights = slopes(x.size(1), x.size(2), longest=longest, device=x.device)
    return x * weights if how == "multiply" else x + weights
