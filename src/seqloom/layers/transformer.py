"""The two kinds of Transformer layer; https://arxiv.org/abs/1706.03762, figure 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from seqloom.attention.multi_head import MultiHeadAttention
from seqloom.layers.dropout import Dropout
from seqloom.layers.feedforward import FeedForward, feedforward_of
from seqloom.structures import Memory, Widths

Norm = Literal["pre", "post"]


class Residual(nn.Module):
    """A way round a part: x + part(norm(x)) for "pre" (https://arxiv.org/abs/2002.04745), norm(x + part(x)) for "post".

    The part is applied by the caller, between `enter` and `leave`.
    """

    def __init__(self, size: int, *, dropout: float, norm: Norm):
        super().__init__()
        self.norm, self.dropout, self.pre = nn.LayerNorm(size), Dropout(dropout), norm == "pre"

    def enter(self, x: Tensor) -> Tensor:
        """What the part is given."""
        return self.norm(x) if self.pre else x

    def leave(self, x: Tensor, y: Tensor) -> Tensor:
        """`x` and what the part made of it, together."""
        x = x + self.dropout(y)
        return x if self.pre else self.norm(x)


class TransformerEncoderLayer(nn.Module):
    """Every position looks at all others, then thinks by itself."""

    def __init__(
        self,
        size: int,
        heads: int,
        feedforward: int | Callable[..., FeedForward],
        *,
        dropout: float,
        attention_dropout: float,
        feedforward_dropout: float,
        norm: Norm,
    ):
        super().__init__()
        self.attention = MultiHeadAttention(size, Widths(size, size, size), heads=heads, dropout=attention_dropout)
        self.feedforward = feedforward_of(feedforward, size, dropout=feedforward_dropout)
        self.around_attention = Residual(size, dropout=dropout, norm=norm)
        self.around_feedforward = Residual(size, dropout=dropout, norm=norm)

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
        size: int,
        heads: int,
        feedforward: int | Callable[..., FeedForward],
        *,
        widths: Widths,
        dropout: float,
        attention_dropout: float,
        feedforward_dropout: float,
        norm: Norm,
    ):
        super().__init__()
        self.self_attention = MultiHeadAttention(size, Widths(size, size, size), heads=heads, dropout=attention_dropout)
        self.attention = MultiHeadAttention(size, widths, heads=heads, dropout=attention_dropout)
        self.feedforward = feedforward_of(feedforward, size, dropout=feedforward_dropout)
        self.around_self_attention = Residual(size, dropout=dropout, norm=norm)
        self.around_attention = Residual(size, dropout=dropout, norm=norm)
        self.around_feedforward = Residual(size, dropout=dropout, norm=norm)

    def forward(
        self, x: Tensor, past: Memory, memory: Memory, *, weights: bool
    ) -> tuple[Tensor, Memory, Tensor | None, Tensor | float]:
        """Features [N, T, D] -> features, the past with these positions behind it, weights [N, H, T, S], a penalty."""
        y = self.around_self_attention.enter(x)
        past = past.extend(*self.self_attention.key_values(y))
        x = self.around_self_attention.leave(x, self.self_attention(y, past, causal=True).context)
        seen = self.attention(self.around_attention.enter(x), memory, weights=weights)
        x = self.around_attention.leave(x, seen.context)
        y, penalty = self.feedforward(self.around_feedforward.enter(x), None)
        return self.around_feedforward.leave(x, y), past, seen.weights, penalty
