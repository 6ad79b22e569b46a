"""The Transformer encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from seqloom.attention.self_attention import SelfAttention
from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import FeedForward, feedforward_of
from seqloom.layers.positions import PositionEncoding, SinusoidalPositions
from seqloom.layers.transformer import Norm, Normalization, Residual, TransformerEncoderLayer, dropped, last_norm
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths


@register()
class TransformerEncoder(Encoder):
    """Layers of self-attention; https://arxiv.org/abs/1706.03762.  The summary is the mean over the real positions."""

    def __init__(
        self,
        embedding: Embedding,
        *,
        layers: Positive = 6,
        heads: Positive = 8,
        key_value_heads: Positive | None = None,
        feedforward: Positive | Callable[..., FeedForward] = 2048,
        positions: Callable[..., PositionEncoding] = SinusoidalPositions,
        dropout: Rate = 0.1,
        attention_dropout: Rate = 0.0,
        feedforward_dropout: Rate = 0.0,
        layer_drop: Rate = 0.0,
        norm: Norm = "pre",
        normalization: Normalization = "layer",
        norm_epsilon: NotNegative | None = None,
        scale_embedding: bool = True,
    ):
        """The embedding's size is the width of every layer.  "post" norm is the paper's; others end in one more norm.

        `dropout` acts on the embeddings and on what each part adds, as in the paper; `attention_dropout` on attention's
        weights, and `feedforward_dropout` inside the feed-forward network where `feedforward` is a number, its width.
        `norm_epsilon` (default: 1e-5, RMSNorm's 1e-6) is added to variances.  With `scale_embedding` embeddings are
        multiplied by the square root of their size, as in the paper, 3.4.
        With `layer_drop` training leaves out each layer with this probability (https://arxiv.org/abs/1909.11556).
        """
        super().__init__()
        size = embedding.size
        self.widths = Widths(size, size, size)
        self.embedding, self.dropout, self.layer_drop = embedding, Dropout(dropout), layer_drop
        self.positions = positions(size=size, heads=heads)
        self.scale = math.sqrt(size) if scale_embedding else 1.0
        attend = partial(SelfAttention, size, heads=heads, key_value_heads=key_value_heads, dropout=attention_dropout)
        styles: dict[str, Any] = {"norm": norm, "normalization": normalization, "epsilon": norm_epsilon}
        around = partial(Residual, size, dropout=dropout, **styles)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(
                attend(distances=self.positions.distances()),
                feedforward_of(feedforward, size, dropout=feedforward_dropout),
                around,
            )
            for _ in range(layers)
        )
        self.norm = last_norm(norm, normalization, size, norm_epsilon)

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        x = self.positions.add(self.embedding(source.ids) * self.scale, 0)
        x, shares, penalty = self.dropout(x), [], torch.zeros((), device=x.device)
        for layer in self.layers:
            if self.training and dropped(self.layer_drop):
                continue
            x, share, more = layer(x, source.mask, weights=weights)
            shares.append(share)
            penalty = penalty + more
        x = self.norm(x)
        real = source.mask[..., None].to(x.dtype)
        summary = (x * real).sum(1) / real.sum(1)  # [B, D]
        attention = torch.stack(shares, 1) if weights and shares else None
        return Encoded(x, x, source.mask, summary, attention, penalty, source.ids)
