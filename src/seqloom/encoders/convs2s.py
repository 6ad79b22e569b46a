"""The encoder of ConvS2S."""

from __future__ import annotations

from torch import nn

from seqloom.bounds import Count, Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.gated_convolution import GatedBlock, Layers, joined, normalized, shapes
from seqloom.layers.gradient import scale_gradient
from seqloom.layers.positions import LearnedPositions
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths


@register()
class ConvS2SEncoder(Encoder):
    """Gated convolutions over tokens and where they stand; https://arxiv.org/abs/1705.03122.

    Keys are the outputs z of the last layer, values z + e with the embeddings e (3.3).  The summary is the mean of the
    values.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        layers: Layers = ((256, 3, 4),),
        max_positions: Positive = 1024,
        dropout: Rate = 0.1,
        attention_layers: Count = 0,
    ):
        """`layers` lists size, kernel and number: [[512, 3, 9], [1024, 3, 4]] are nine layers under four wider ones.

        `attention_layers` is how many layers of the decoder look at the source: as in the paper (3.4) the gradient is
        divided by twice as many, but for that of the embeddings e in the values; with 0 it stays as it is.  ValueError
        if there is no layer.
        """
        super().__init__()
        size = embedding.size
        self.widths, self.embedding, self.dropout = Widths(size, size, size), embedding, Dropout(dropout)
        self.positions = LearnedPositions(size, max_positions=max_positions)
        nn.init.normal_(self.positions.table.weight, std=0.1)
        self.layers = nn.ModuleList(GatedBlock(*shape, dropout=dropout) for shape in shapes(layers))
        self.enter = normalized(size, layers[0][0], dropout=dropout)
        self.leave = normalized(layers[-1][0], size)
        self.gradient = 1 / (2 * attention_layers) if attention_layers else 1.0

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        embedded = self.dropout(self.positions.add(self.embedding(source.ids), 0))
        real = source.mask[..., None].to(embedded.dtype)  # [B, S, 1]
        x = self.enter(embedded)
        for layer in self.layers:
            x = layer(x, real)
        keys = scale_gradient(self.leave(x), self.gradient)
        values = joined(keys, embedded)
        return Encoded(keys, values, source.mask, (values * real).sum(1) / real.sum(1))
