"""The decoder of RNMT+: only its first layer waits for attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from seqloom.attention.base import Attention, in_time
from seqloom.attention.general import GeneralAttention
from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.decoders.base import Decoder, told
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import FeedForward
from seqloom.layers.recurrent import Between, Cell, CellState, LayerNormLSTMCell
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Output, State, Widths

RESIDUAL_FROM = 2  # the third layer is the first with a way round it
FOUR_HEADS = partial(GeneralAttention, heads=4)


@dataclass(frozen=True)
class RNMTState(State):
    """Each layer's state, what was seen last, and what attention will look at."""

    layers: tuple[CellState, ...]
    context: Tensor  # [N, C]
    memory: Memory


@register()
class RNMTDecoder(Decoder):
    """Layers that all see what the first one asked for; https://arxiv.org/abs/1804.09849, 3.

    The first layer makes its state of the last token y(i-1) and the context c(i-1); its output asks attention for c(i).
    Each further layer is told the layer below and c(i); from the third on, what the layer below says is added to what
    it says.  The features are the top layer's output beside c(i).  All layers but the first run along the whole target
    at once, since no step of theirs is waited for.
    """

    def __init__(
        self,
        embedding: Embedding,
        widths: Widths,
        *,
        attention: Callable[..., Attention] = FOUR_HEADS,
        cell: Callable[..., Cell] = LayerNormLSTMCell,
        size: Positive = 1024,
        layers: Positive = 8,
        readout_size: Positive | None = None,
        dropout: Rate = 0.3,
        uniform: NotNegative | None = None,
        between: Callable[..., FeedForward] | None = None,
        between_after: Positive = 1,
    ):
        """`dropout` acts on the embeddings and on what leaves each layer, before what the layer below said is added.

        With a `readout_size`, a linear layer makes the features that wide, as the projection to the vocabulary needs
        them where it shares the embeddings.  `uniform`: matrices start in U(-uniform, uniform).  What leaves
        layer `between_after` goes through the network `between` on its way to the next, and round it.
        """
        super().__init__()
        self.embedding, self.dropout = embedding, Dropout(dropout)
        self.attention = attention(query_size=size, widths=widths)
        context_size = self.attention.output_size
        seen_size = size + context_size
        cells = [cell(input_size=width, size=size) for width in [embedding.size] + [seen_size] * (layers - 1)]
        self.cells, self.values, self.size = nn.ModuleList(cells), cells[0].values, size
        self.context = nn.Linear(context_size, cells[0].gates * size, bias=False)
        self.between = Between(between, size, after=between_after, layers=layers) if between else None
        self.between_after = between_after
        self.features = nn.Linear(seen_size, readout_size) if readout_size else nn.Identity()
        self.readout = embedding.projection(readout_size or seen_size)
        if uniform is not None:
            for linear in (self.context, *(part for one in cells for part in (one.input, one.recurrent))):
                nn.init.uniform_(linear.weight, -uniform, uniform)

    def start(self, source: Encoded) -> RNMTState:
        rows = len(source.summary)
        layer = (source.summary.new_zeros(rows, self.size),) * self.values
        context = source.summary.new_zeros(rows, self.attention.output_size)
        return RNMTState((layer,) * len(self.cells), context, self.attention.memory(source))

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, RNMTState]:
        assert isinstance(state, RNMTState)
        embedded = self.dropout(self.embedding(tokens))  # [N, T, D]
        bottom, attended, first = self._ask(embedded, state, weights=weights)
        x, after, penalty = self.dropout(bottom), [first], attended.penalty
        for depth, cell in enumerate(self.cells[1:], 1):
            if self.between is not None and depth == self.between_after:
                x, more = self.between(x, None)
                penalty = penalty + more
            states = cell.along(cell.project(torch.cat([x, attended.context], -1)), state.layers[depth])  # type: ignore[operator]
            after.append(tuple(value[:, -1] for value in states))
            x = self.dropout(states[0]) + (x if depth >= RESIDUAL_FROM else 0)
        features = self.features(torch.cat([x, attended.context], -1))
        output = replace(told(features, attended), penalty=penalty)
        return output, RNMTState(tuple(after), attended.context[:, -1], attended.memory)

    def _ask(self, embedded: Tensor, state: RNMTState, *, weights: bool) -> tuple[Tensor, Attended, CellState]:
        """Step by step: the first layer's outputs [N, T, D] of embedded tokens, what they saw, and its last state."""
        cell, layer, context, memory = self.cells[0], state.layers[0], state.context, state.memory
        outputs, seen = [], []
        for inputs in cell.project(embedded).unbind(1):  # type: ignore[operator]
            layer = cell(inputs + self.context(context), layer)
            attended = self.attention(layer[0][:, None], memory, weights=weights)
            context, memory = attended.context[:, 0], attended.memory
            outputs.append(layer[0])
            seen.append(attended)
        return torch.stack(outputs, 1), in_time(seen), layer
