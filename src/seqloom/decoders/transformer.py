"""The Transformer decoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.attention.multi_head import MultiHeadAttention
from seqloom.attention.self_attention import SelfAttention
from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.decoders.base import Decoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import FeedForward, feedforward_of
from seqloom.layers.history import History
from seqloom.layers.positions import PositionEncoding, SinusoidalPositions
from seqloom.layers.transformer import Norm, Normalization, Residual, TransformerDecoderLayer, dropped, last_norm
from seqloom.registry import register
from seqloom.structures import Encoded, Memory, Output, State, Widths


@dataclass(frozen=True)
class TransformerState(State):
    """What each layer remembers of the target, and what its attention will look at."""

    position: int
    past: tuple[Any, ...]  # one a layer, whatever its history keeps
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
        With `layer_drop` training leaves out each layer with this probability (https://arxiv.org/abs/1909.11556); it
        then remembers nothing of these positions.
        """
        super().__init__()
        size = embedding.size
        self.embedding, self.dropout, self.layer_drop = embedding, Dropout(dropout), layer_drop
        self.positions = positions(size=size, heads=heads)
        self.scale = math.sqrt(size) if scale_embedding else 1.0
        look: dict[str, Any] = {"heads": heads, "key_value_heads": key_value_heads, "dropout": attention_dropout}
        styles: dict[str, Any] = {"norm": norm, "normalization": normalization, "epsilon": norm_epsilon}
        around = partial(Residual, size, dropout=dropout, **styles)
        self.layers = nn.ModuleList(
            TransformerDecoderLayer(
                self._history(size, **look),
                MultiHeadAttention(size, widths, **look),
                feedforward_of(feedforward, size, dropout=feedforward_dropout),
                around,
            )
            for _ in range(layers)
        )
        self.norm = last_norm(norm, normalization, size, norm_epsilon)
        self.readout = embedding.projection(size)

    def _history(self, size: int, **options: Any) -> History:
        """How the positions of one layer know of those before them; `options` are those of an attention."""
        return SelfAttention(size, distances=self.positions.distances(), **options)

    def start(self, source: Encoded) -> TransformerState:
        past = tuple(layer.self_attention.start(source.keys) for layer in self.layers)  # type: ignore
        return TransformerState(0, past, tuple(layer.attention.memory(source) for layer in self.layers))  # type: ignore

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, TransformerState]:
        assert isinstance(state, TransformerState)
        x = self.positions.add(self.embedding(tokens) * self.scale, state.position)
        x, pasts, shares = self.dropout(x), [*state.past], []
        penalty: Tensor | float = 0.0
        for depth, layer in enumerate(self.layers):
            if self.training and dropped(self.layer_drop):
                continue
            x, pasts[depth], share, more = layer(x, pasts[depth], state.memory[depth], weights=weights)
            shares.append(share)
            penalty = penalty + more
        attention = torch.stack(shares, 1) if weights and shares else None  # [N, L, H, T, S]
        after = TransformerState(state.position + tokens.size(1), tuple(pasts), state.memory)
        return Output(self.norm(x), attention, penalty), after
