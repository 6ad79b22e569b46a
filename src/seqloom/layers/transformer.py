"""The two kinds of Transformer layer; https://arxiv.org/abs/1706.03762, figure 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqloom.attention.multi_head import MultiHeadAttention
from seqloom.attention.self_attention import SelfAttention
from seqloom.layers.dropout import Dropout
from seqloom.layers.feedforward import FeedForward
from seqloom.layers.history import History
from seqloom.structures import Memory

Norm = Literal["pre", "post", "sandwich"]
Normalization = Literal["layer", "rms"]


EPSILON: dict[Normalization, float] = {"layer": 1e-5, "rms": 1e-6}  # what is added to the variance, by default


def norm_of(kind: Normalization, size: int, epsilon: float | None = None) -> nn.Module:
    """Layer normalization, or RMSNorm, which leaves the mean as it is; https://arxiv.org/abs/1910.07467, equation 4."""
    epsilon = EPSILON[kind] if epsilon is None else epsilon
    return nn.LayerNorm(size, eps=epsilon) if kind == "layer" else nn.RMSNorm(size, eps=epsilon)


def last_norm(norm: Norm, kind: Normalization, size: int, epsilon: float | None = None) -> nn.Module:
    """What stands behind the last layer: a norm, unless each layer ends in one."""
    return nn.Identity() if norm == "post" else norm_of(kind, size, epsilon)


def for_products(x: Tensor) -> Tensor:
    """`x` in the numbers of autocast's matrix products, so that it is cast once and not for each of them."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


class Residual(nn.Module):
    """A way round a part, which is applied by the caller, between `enter` and `leave`.

    "post": norm(x + part(x)); "pre": x + part(norm(x)), https://arxiv.org/abs/2002.04745; "sandwich":
    x + norm'(part(norm(x))), https://arxiv.org/abs/2105.13290, 2.4.
    """

    def __init__(
        self,
        size: int,
        *,
        dropout: float,
        norm: Norm,
        normalization: Normalization = "layer",
        epsilon: float | None = None,
    ):
        super().__init__()
        self.norm, self.dropout = norm_of(normalization, size, epsilon), Dropout(dropout)
        self.second_norm = norm_of(normalization, size, epsilon) if norm == "sandwich" else nn.Identity()
        self.norm_first = norm != "post"

    def enter(self, x: Tensor) -> Tensor:
        """What the part is given."""
        return for_products(self.norm(x) if self.norm_first else x)

    def leave(self, x: Tensor, y: Tensor) -> Tensor:
        """`x` and what the part made of it, together."""
        x = x + self.second_norm(self.dropout(y) if self.training else y)
        return x if self.norm_first else self.norm(x)


class TransformerEncoderLayer(nn.Module):
    """Every position looks at all others, then thinks by itself."""

    self_contained = True  # nobody uses its weights but its `forward`, so that they may be fetched just then

    def __init__(self, attention: SelfAttention, feedforward: FeedForward, around: Callable[[], Residual]):
        """`around` makes the way round one part."""
        super().__init__()
        self.attention, self.feedforward = attention, feedforward
        self.around_attention, self.around_feedforward = around(), around()

    def forward(self, x: Tensor, mask: Tensor, *, weights: bool) -> tuple[Tensor, Tensor | None, Tensor | float]:
        """Features [B, S, D] and mask [B, S] -> features, on request the weights [B, H, S, S], and a penalty."""
        y = self.around_attention.enter(x)
        seen = self.attention(y, Memory(*self.attention.key_values(y), mask), weights=weights)
        x = self.around_attention.leave(x, seen.context)
        y, penalty = self.feedforward(self.around_feedforward.enter(x), mask)
        return self.around_feedforward.leave(x, y), seen.weights, penalty


class TransformerDecoderLayer(nn.Module):
    """Every position looks at the target before it, then at the source, then thinks by itself."""

    def __init__(
        self,
        self_attention: History,
        attention: MultiHeadAttention,
        feedforward: FeedForward,
        around: Callable[[], Residual],
    ):
        """`self_attention` is one, or what stands in for it; `around` makes the way round one part."""
        super().__init__()
        self.self_attention, self.attention, self.feedforward = self_attention, attention, feedforward
        self.around_self_attention, self.around_attention, self.around_feedforward = around(), around(), around()

    def forward(
        self, x: Tensor, past: Any, memory: Memory, *, weights: bool
    ) -> tuple[Tensor, Any, Tensor | None, Tensor | float]:
        """Features [N, T, D] -> features, the past with these positions behind it, weights [N, H, T, S], a penalty."""
        y, past = self.self_attention.step(self.around_self_attention.enter(x), past)
        x = self.around_self_attention.leave(x, y)
        seen = self.attention(self.around_attention.enter(x), memory, weights=weights)
        x = self.around_attention.leave(x, seen.context)
        y, penalty = self.feedforward(self.around_feedforward.enter(x), None)
        return self.around_feedforward.leave(x, y), past, seen.weights, penalty


def dropped(rate: float) -> bool:
    """Whether a layer is to be left out this time; https://arxiv.org/abs/1909.11556, 3.1."""
    return rate > 0 and torch.rand(()).item() < rate
