"""The decoder of ConvS2S."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from seqloom.attention.dot import DotAttention
from seqloom.bounds import Positive, Rate
from seqloom.decoders.base import Decoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.gated_convolution import GatedConvolution, Layers, joined, normalized, shapes, way_round
from seqloom.layers.positions import LearnedPositions
from seqloom.registry import register
from seqloom.structures import Encoded, Memory, Output, State, Widths


@dataclass(frozen=True)
class ConvS2SState(State):
    """What still lies under the convolutions, and what attention will look at."""

    position: int
    past: tuple[Tensor, ...]  # [N, kernel - 1, D] each, what last entered each layer's convolution
    memory: Memory


@register()
class ConvS2SDecoder(Decoder):
    """Gated convolutions over the target so far, each followed by attention; https://arxiv.org/abs/1705.03122.

    The state h of a layer and the embedding g of the token that it stands for ask together: d = W h + b + g, compared
    with the keys z by their dot product (3.3).
    """

    def __init__(
        self,
        embedding: Embedding,
        widths: Widths,
        *,
        layers: Layers = ((256, 3, 3),),
        output_size: Positive | None = None,
        max_positions: Positive = 1024,
        dropout: Rate = 0.1,
    ):
        """`layers` lists size, kernel and number: [[512, 3, 9], [1024, 3, 4]] are nine layers under four wider ones.

        `output_size` is the width of the features, by default that of the embedding.  Keys of another width than the
        embedding are projected to it.  ValueError if there is no layer.
        """
        super().__init__()
        size = embedding.size
        features = output_size or size
        self.embedding, self.dropout = embedding, Dropout(dropout)
        self.positions = LearnedPositions(size, max_positions=max_positions)
        nn.init.normal_(self.positions.table.weight, std=0.1)
        # a bias of the keys would add the same to every score of a query
        self.key = nn.Identity() if widths.keys == size else normalized(widths.keys, size, bias=False)
        seen = replace(widths, keys=size)
        self.layers = nn.ModuleList(AttendingBlock(*shape, seen, dropout=dropout) for shape in shapes(layers))
        self.enter = normalized(size, layers[0][0], dropout=dropout)
        self.leave = normalized(layers[-1][0], features)
        self.readout = _readout(embedding, features, dropout=dropout)

    def start(self, source: Encoded) -> ConvS2SState:
        blocks = cast(Sequence[AttendingBlock], self.layers)
        memory = blocks[0].attention.memory(replace(source, keys=self.key(source.keys)))
        return ConvS2SState(0, tuple(block.first(len(source.mask)) for block in blocks), memory)

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, ConvS2SState]:
        assert isinstance(state, ConvS2SState)
        embedded = self.dropout(self.positions.add(self.embedding(tokens), state.position))  # [N, T, D]
        x, pasts, shares = self.enter(embedded), [], []
        for layer, past in zip(self.layers, state.past, strict=True):
            x, past, share = layer(x, past, embedded, state.memory, weights=weights)
            pasts.append(past)
            shares.append(share)
        features = self.dropout(self.leave(x))
        attention = torch.stack(shares, 1) if weights else None  # [N, L, 1, T, S]
        return Output(features, attention), ConvS2SState(state.position + tokens.size(1), tuple(pasts), state.memory)


class AttendingBlock(nn.Module):
    """A gated convolution over a token and those before it, attention, and a way round both."""

    def __init__(self, input_size: int, size: int, kernel: int, widths: Widths, *, dropout: float):
        super().__init__()
        self.input_size, self.dropout = input_size, Dropout(dropout)
        self.convolution = GatedConvolution(input_size, size, kernel, dropout=dropout)
        self.query, self.context = normalized(size, widths.keys), normalized(widths.values, size)
        self.attention = DotAttention(widths.keys, widths)
        self.around = way_round(input_size, size)

    def first(self, rows: int) -> Tensor:
        """What stands before the first token: zeros [rows, kernel - 1, input_size]."""
        return self.query.bias.new_zeros(rows, self.convolution.kernel - 1, self.input_size)

    def forward(
        self, x: Tensor, past: Tensor, embedded: Tensor, memory: Memory, *, weights: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features [N, T, D], what came before and the embeddings -> features, the past then, and [N, 1, T, S]."""
        inside = torch.cat([past, self.dropout(x)], 1)
        h = self.convolution(inside)
        seen = self.attention(joined(self.query(h), embedded), memory, weights=weights)
        # a mean over m positions has an m-th of their variance, were they looked at evenly; 3.4
        spread = _lengths(memory).to(embedded.dtype).sqrt()[:, None, None]
        h = joined(self.context(seen.context * spread), h)
        return joined(h, self.around(x)), inside[:, x.size(1) :], seen.weights


def _lengths(memory: Memory) -> Tensor:
    """How many real positions each row has, [N]."""
    B, _, S, _ = memory.keys.shape
    lengths = torch.full((B,), S, device=memory.keys.device) if memory.mask is None else memory.mask.sum(1)
    return lengths if memory.shared is None else lengths[:, None].expand(-1, memory.shared).flatten()


def _readout(embedding: Embedding, size: int, *, dropout: float) -> nn.Linear:
    """The layer to logits: normalized as all others, unless it is the lookup table itself."""
    return embedding.projection(size) if embedding.tied else normalized(size, embedding.symbols, dropout=dropout)
