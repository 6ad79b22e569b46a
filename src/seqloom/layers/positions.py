"""Where a token stands, as a vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoids(start: int, count: int, size: int, device: torch.device) -> Tensor:
    """Sines and cosines of positions start, start + 1, ..., [count, size]; https://arxiv.org/abs/1706.03762, 3.5.

    The first half of the features holds the sines, the second the cosines.  Any position has a vector.
    """
    places = torch.arange(start, start + count, device=device, dtype=torch.float32)  # [T]
    exponents = torch.arange((size + 1) // 2, device=device, dtype=torch.float32) * (-2 * math.log(10_000) / size)
    angles = places[:, None] * exponents.exp()  # [T, D / 2]
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :size]
