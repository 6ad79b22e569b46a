"""The position-wise feed-forward network of the Transformer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.layers.dropout import Dropout


class FeedForward(nn.Module):
    """max(0, x W1 + b1) W2 + b2; https://arxiv.org/abs/1706.03762, equation 2."""

    def __init__(self, size: int, inner_size: int, *, dropout: float = 0.0):
        super().__init__()
        self.inner, self.outer = nn.Linear(size, inner_size), nn.Linear(inner_size, size)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return self.outer(self.dropout(F.relu(self.inner(x))))  # type: ignore[no-any-return]
