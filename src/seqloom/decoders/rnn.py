"""The recurrent decoder, with attention and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.attention.base import Attention, in_time
from seqloom.bounds import Positive, Rate
from seqloom.decoders.base import Decoder, told
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.recurrent import Cell, CellState, GRUCell
from seqloom.registry import register
from seqloom.structures import Encoded, Memory, Output, State, Widths


@dataclass(frozen=True)
class RNNState(State):
    """Each layer's state, and what attention will look at."""

    layers: tuple[CellState, ...]
    memory: Memory | None


@register()
class RNNDecoder(Decoder):
    """LSTM or GRU layers with the recurrence of Bahdanau et al.; https://arxiv.org/abs/1409.0473, appendix A.

    The top state s(i-1) asks attention for a context c(i); the first layer makes its next state of the last token
    y(i-1) and c(i); a maxout layer over s(i), y(i-1) and c(i) gives the features.  Without attention there is no c,
    and the source speaks through the first state alone (Sutskever et al., https://arxiv.org/abs/1409.3215).
    """

    def __init__(
        self,
        embedding: Embedding,
        widths: Widths,
        *,
        attention: Callable[..., Attention] | None = None,
        cell: Callable[..., Cell] = GRUCell,
        size: Positive = 256,
        layers: Positive = 1,
        readout_size: Positive | None = None,
        readout_state: Literal["after", "before"] = "after",
        dropout: Rate = 0.0,
    ):
        """The maxout layer makes features of `readout_size` (default: as wide as the embeddings).

        It sees the state s(i) "after" its step, or the one "before", s(i-1), as in appendix A.2.2: with that, a GRU of
        `reset: before` and an encoder of `summary: backward` this is the paper's network to the letter.  `dropout` acts
        on what enters each layer and on the features.
        """
        super().__init__()
        self.embedding, self.dropout = embedding, Dropout(dropout)
        self.attention = attention(query_size=size, widths=widths) if attention else None
        context_size = self.attention.output_size if self.attention else 0
        inputs = [embedding.size] + [size] * (layers - 1)
        cells = [cell(input_size=width, size=size) for width in inputs]
        self.cells = nn.ModuleList(cells)
        self.context = nn.Linear(context_size, cells[0].gates * size, bias=False) if context_size else None
        self.first_state = nn.Linear(widths.summary, layers * cells[0].values * size)
        features, self.sees_after = readout_size or embedding.size, readout_state == "after"
        self.features = nn.Linear(size + embedding.size + context_size, 2 * features)
        self.readout = embedding.projection(features)

    def start(self, source: Encoded) -> RNNState:
        states = torch.tanh(self.first_state(source.summary)).chunk(len(self.cells), -1)
        layers = tuple(state.chunk(self.cells[0].values, -1) for state in states)  # type: ignore[arg-type]
        return RNNState(layers, self.attention.memory(source) if self.attention else None)

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, RNNState]:
        assert isinstance(state, RNNState)
        embedded = self.dropout(self.embedding(tokens))  # [N, T, D]
        projected = self.cells[0].project(embedded)  # type: ignore[operator]
        layers, memory, tops, seen = state.layers, state.memory, [], []
        for inputs in projected.unbind(1):
            if self.attention is not None:
                seen.append(self.attention(layers[-1][0][:, None], memory, weights=weights))
                memory = seen[-1].memory
                inputs = inputs + self.context(seen[-1].context[:, 0])  # type: ignore[misc]
            before, layers = layers, self._step(inputs, layers)
            tops.append((layers if self.sees_after else before)[-1][0])
        attended = in_time(seen) if seen else None
        known = [torch.stack(tops, 1), embedded, *([attended.context] if attended else [])]
        features = self.features(torch.cat(known, -1)).unflatten(-1, (-1, 2)).amax(-1)  # maxout, [N, T, D]
        return told(self.dropout(features), attended), RNNState(layers, memory)

    def _step(self, inputs: Tensor, layers: tuple[CellState, ...]) -> tuple[CellState, ...]:
        after: list[CellState] = []
        for depth, (cell, before) in enumerate(zip(self.cells, layers, strict=True)):
            if depth:
                inputs = cell.project(self.dropout(after[-1][0]))  # type: ignore[operator]
            after.append(cell(inputs, before))
        return tuple(after)
