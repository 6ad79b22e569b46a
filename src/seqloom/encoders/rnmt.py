"""The encoder of RNMT+."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.recurrent import Cell, LayerNormLSTMCell, at, reverse
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths

RESIDUAL_FROM = 2  # the third layer is the first with a way round it


@register()
class RNMTEncoder(Encoder):
    """Bidirectional layers that meet after each, and a projection; https://arxiv.org/abs/1804.09849, 3.

    From the third layer on, what entered a layer is added to what leaves it.  The summary is what the top layer said
    last, both directions side by side.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: Callable[..., Cell] = LayerNormLSTMCell,
        size: Positive = 1024,
        layers: Positive = 6,
        dropout: Rate = 0.3,
        uniform: NotNegative | None = None,
    ):
        """`size` is that of one direction, and that of keys and values behind the projection.

        `dropout` acts on the embeddings and on what leaves each layer, before the way round it joins.  `uniform`:
        matrices start in U(-uniform, uniform).
        """
        super().__init__()
        self.embedding, self.dropout = embedding, Dropout(dropout)
        inputs = [embedding.size] + [2 * size] * (layers - 1)
        self.layers = nn.ModuleList(BothWays(width, cell=cell, size=size, uniform=uniform) for width in inputs)
        self.projection = nn.Linear(2 * size, size)
        if uniform is not None:
            nn.init.uniform_(self.projection.weight, -uniform, uniform)
        self.widths = Widths(size, size, 2 * size)

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        x, lengths = self.dropout(self.embedding(source.ids)), source.lengths()
        for depth, layer in enumerate(self.layers):
            outputs, last = layer(x, lengths)
            outputs = self.dropout(outputs)
            x = x + outputs if depth >= RESIDUAL_FROM else outputs
        x = self.projection(x)  # [B, S, size]
        return Encoded(keys=x, values=x, mask=source.mask, summary=last, ids=source.ids)


class BothWays(nn.Module):
    """One recurrent layer from left to right, and another from right to left."""

    def __init__(self, input_size: int, *, cell: Callable[..., Cell], size: int, uniform: float | None):
        super().__init__()
        self.forwards, self.backwards = (cell(input_size=input_size, size=size) for _ in range(2))
        if uniform is not None:
            for one in (self.forwards, self.backwards):
                for linear in (one.input, one.recurrent):
                    nn.init.uniform_(linear.weight, -uniform, uniform)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """[B, S, D] -> outputs of both side by side [B, S, 2 size], and what each said last [B, 2 size]."""
        there, turned = _read(self.forwards, x), _read(self.backwards, reverse(x, lengths))
        lasts = at(((there, turned),), lengths - 1)[0]
        return torch.cat([there, reverse(turned, lengths)], -1), torch.cat(lasts, -1)


def _read(cell: Cell, x: Tensor) -> Tensor:
    """The outputs [B, S, size] of a cell that starts from nothing."""
    return cell.along(cell.project(x), (x.new_zeros(len(x), cell.size),) * cell.values)[0]
