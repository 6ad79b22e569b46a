"""The recurrent encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloom.bounds import Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.recurrent import CellName, RecurrentLayer
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences


@register()
class RNNEncoder(Encoder):
    """LSTM or GRU layers that read the sentence forwards, or forwards and backwards (https://arxiv.org/abs/1409.0473).

    The summary is the top layer's last state; of both directions, one behind the other, where there are two.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: CellName = "gru",
        size: Positive = 256,
        layers: Positive = 1,
        bidirectional: bool = True,
        dropout: Rate = 0.0,
    ):
        """`size` is that of one direction.  `dropout` acts on what enters each layer and on the outputs."""
        super().__init__()
        directions = 2 if bidirectional else 1
        self.output_size = directions * size
        self.embedding, self.dropout = embedding, Dropout(dropout)
        widths = [embedding.size] + [self.output_size] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(RecurrentLayer(width, size, cell=cell, backward=d == 1) for d in range(directions))
            for width in widths
        )

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        x = self.embedding(source.ids)
        summary = x
        for directions in self.layers:
            assert isinstance(directions, nn.ModuleList)
            x = self.dropout(x)
            x, summary = _side_by_side([direction(x, source) for direction in directions])
        x = self.dropout(x)
        return Encoded(keys=x, values=x, mask=source.mask, summary=summary)


def _side_by_side(results: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    outputs, finals = zip(*results, strict=True)
    return torch.cat(outputs, -1), torch.cat(finals, -1)
