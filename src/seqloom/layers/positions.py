"""Where a token stands, as a vector."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Positions = Literal["none", "add", "multiply"]  # how a vector that says where a token stands meets the token's own


def sinusoids(start: int, count: int, size: int, device: torch.device) -> Tensor:
    """Sines and cosines of positions start, start + 1, ..., [count, size]; https://arxiv.org/abs/1706.03762, 3.5.

    The first half of the features holds the sines, the second the cosines.  Any position has a vector.
    """
    places = torch.arange(start, start + count, device=device, dtype=torch.float32)  # [T]
    exponents = torch.arange((size + 1) // 2, device=device, dtype=torch.float32) * (-2 * math.log(10_000) / size)
    angles = places[:, None] * exponents.exp()  # [T, D / 2]
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :size]


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
