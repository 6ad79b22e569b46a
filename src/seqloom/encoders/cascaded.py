"""One encoder on top of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from seqloom.encoders.base import Encoder
from seqloom.encoders.features import on_features
from seqloom.layers.embedding import Embedding
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences


@register("cascaded")
class CascadedEncoder(Encoder):
    """The second encoder reads what the first one says of each position; https://arxiv.org/abs/1804.09849, 5.2.

    What it reads are the first one's values, layer-normalised.  Self-attention shown is the second's.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        first: Callable[..., Encoder],
        second: Callable[..., Encoder],
        freeze_first: bool = False,
    ):
        """With `freeze_first` the first encoder, its embeddings included, stays as it begins.

        In the paper it was trained before, alone.  ValueError if the second reads symbols.
        """
        super().__init__()
        self.first, self.freeze_first = first(embedding=embedding), freeze_first
        self.second = on_features(second, self.first.widths.values)
        self.widths = self.second.widths

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_first):
            below: Encoded = self.first(source)
        above: Encoded = self.second(Sequences(below.values, below.mask), weights=weights)
        return replace(above, penalty=above.penalty + below.penalty, ids=below.ids if self.second.aligned else None)

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.second.labels(self.first.labels(tokens))
