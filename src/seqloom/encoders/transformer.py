"""The Transformer encoder."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from seqloom.bounds import Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import FeedForward
from seqloom.layers.positions import sinusoids
from seqloom.layers.transformer import Norm, TransformerEncoderLayer
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
        feedforward: Positive | Callable[..., FeedForward] = 2048,
        dropout: Rate = 0.1,
        attention_dropout: Rate = 0.0,
        feedforward_dropout: Rate = 0.0,
        norm: Norm = "pre",
    ):
        """The embedding's size is the width of every layer.  "pre" norm ends in one more norm, "post" is the paper's.

        `dropout` acts on the embeddings and on what each part adds, as in the paper; `attention_dropout` on attention's
        weights, and `feedforward_dropout` inside the feed-forward network where `feedforward` is a number, its width.
        """
        super().__init__()
        size = embedding.size
        self.widths = Widths(size, size, size)
        self.embedding, self.dropout = embedding, Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(
                size,
                heads,
                feedforward,
                dropout=dropout,
                attention_dropout=attention_dropout,
                feedforward_dropout=feedforward_dropout,
                norm=norm,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(size) if norm == "pre" else nn.Identity()

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        size = self.widths.keys
        x = self.embedding(source.ids) * math.sqrt(size) + sinusoids(0, source.ids.size(1), size, source.ids.device)
        x, shares, penalty = self.dropout(x), [], torch.zeros((), device=x.device)
        for layer in self.layers:
            x, share, more = layer(x, source.mask, weights=weights)
            shares.append(share)
            penalty = penalty + more
        x = self.norm(x)
        real = source.mask[..., None].to(x.dtype)
        summary = (x * real).sum(1) / real.sum(1)  # [B, D]
        attention = torch.stack(shares, 1) if weights else None
        return Encoded(x, x, source.mask, summary, attention, penalty, source.ids)
