"""The convolutional encoder: two deep stacks over the same embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloom.bounds import Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.positions import Positions, placed
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths


@register("convolutional")
class ConvolutionalEncoder(Encoder):
    """One stack of convolutions says where to look, another what is seen there; https://arxiv.org/abs/1611.02344, 3.2.

    The paper's CNN-a makes the keys and its CNN-c the values, whose mean is the summary.  Sentences are convolved as if
    zeros stood on both sides of them, in every layer.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        key_size: Positive = 512,
        key_layers: Positive = 15,
        key_kernel: Positive = 3,
        value_size: Positive = 256,
        value_layers: Positive = 5,
        value_kernel: Positive = 3,
        positions: Positions = "multiply",
        max_positions: Positive = 100,
        dropout: Rate = 0.2,
    ):
        """A kernel is as many positions wide.

        `positions` says how the weights of End-To-End Memory Networks meet the embeddings; `max_positions` is the
        length they are made for, though longer sentences have positions too.  `dropout` acts on the embeddings after
        that.
        """
        super().__init__()
        self.widths = Widths(keys=key_size, values=value_size, summary=value_size)
        self.embedding, self.dropout = embedding, Dropout(dropout)
        self.positions, self.max_positions = positions, max_positions
        self.keys = ConvolutionStack(embedding.size, key_size, layers=key_layers, kernel=key_kernel)
        self.values = ConvolutionStack(embedding.size, value_size, layers=value_layers, kernel=value_kernel)

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        x = self.dropout(placed(self.embedding(source.ids), self.positions, longest=self.max_positions))
        x, real = x.mT, source.mask[:, None].to(x.dtype)  # [B, D, S], [B, 1, S]
        keys, values = self.keys(x, real), self.values(x, real)
        return Encoded(keys.mT, values.mT, source.mask, values.sum(2) / real.sum(2), ids=source.ids)


class ConvolutionStack(nn.Module):
    """Convolutions with tanh behind each; from the second on, what enters a layer is added to what it makes.

    Weights start as Glorot and Bengio's (2010, equation 16), biases at 0.
    """

    def __init__(self, input_size: int, size: int, *, layers: int, kernel: int):
        super().__init__()
        widths = [input_size] + [size] * (layers - 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, size, kernel, padding=kernel // 2) for width in widths)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[B, D, S] and which positions are real, [B, 1, S] of ones and zeros -> [B, size, S], 0 behind a sentence."""
        for depth, layer in enumerate(self.layers):
            inside = x * real  # what bias and kernel left behind a sentence would come back into it
            x = layer(inside)[..., -inside.size(2) :]  # an even kernel finds one place more, and reaches further ahead
            x = torch.tanh(x + inside if depth else x)
        return x * real
