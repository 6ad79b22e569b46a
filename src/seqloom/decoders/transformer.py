"""The Transformer decoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqloom.bounds import Positive, Rate
from seqloom.decoders.base import Decoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import FeedForward
from seqloom.layers.positions import sinusoids
from seqloom.layers.transformer import Norm, TransformerDecoderLayer
from seqloom.registry import register
from seqloom.structures import Encoded, Memory, Output, State, Widths


@dataclass(frozen=True)
class TransformerState(State):
    """What self-attention has seen, and what attention will look at."""

    position: int
    past: tuple[Memory, ...]  # one a layer
    memory: tuple[Memory, ...]  # one a layer


@register()
class TransformerDecoder(Decoder):
    """Layers of masked self-attention and attention over the source; https://arxiv.org/abs/1706.03762."""

    def __init__(
        self,
        embedding: Embedding,
        widths: Widths,
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
        self.embedding, self.dropout, self.heads = embedding, Dropout(dropout), heads
        self.layers = nn.ModuleList(
            TransformerDecoderLayer(
                size,
                heads,
                feedforward,
                widths=widths,
                dropout=dropout,
                attention_dropout=attention_dropout,
                feedforward_dropout=feedforward_dropout,
                norm=norm,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(size) if norm == "pre" else nn.Identity()
        self.readout = embedding.projection(size)

    def start(self, source: Encoded) -> TransformerState:
        nothing = source.keys.new_zeros(len(source.keys), self.heads, 0, self.embedding.size // self.heads)
        past = tuple(Memory(nothing, nothing) for _ in self.layers)
        return TransformerState(0, past, tuple(layer.attention.memory(source) for layer in self.layers))  # type: ignore

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, TransformerState]:
        assert isinstance(state, TransformerState)
        size, after = self.embedding.size, state.position + tokens.size(1)
        places = sinusoids(state.position, tokens.size(1), size, tokens.device)
        x = self.dropout(self.embedding(tokens) * math.sqrt(size) + places)
        pasts, shares, penalty = [], [], torch.zeros((), device=x.device)
        for layer, past, memory in zip(self.layers, state.past, state.memory, strict=True):
            x, past, share, more = layer(x, past, memory, weights=weights)
            pasts.append(past)
            shares.append(share)
            penalty = penalty + more
        attention = torch.stack(shares, 1) if weights else None  # [N, L, H, T, S]
        return Output(self.norm(x), attention, penalty), TransformerState(after, tuple(pasts), state.memory)
