"""Source factors: beside each word what is known of it, such as its part of speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.bounds import Positive
from seqloom.encoders.base import Encoder
from seqloom.encoders.features import on_features
from seqloom.layers.embedding import Embedding
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences


@register("factored")
class FactoredEncoder(Encoder):
    """Each position is a word and its factors, whose vectors an encoder reads as one; https://arxiv.org/abs/1606.02892.

    The source has the word and its factors one behind the other, as the tokenizer `Factors` writes them: each `factors`
    ids are a position.  The end is a word without factors.
    """

    reads_symbols = True

    def __init__(
        self,
        embedding: Embedding,
        *,
        encoder: Callable[..., Encoder],
        factors: Positive = 2,
        combine: Literal["sum", "concat"] = "sum",
    ):
        """`factors` counts the word too.  Vectors are added, or concatenated (equation 5) and brought to one's width.

        In the paper each factor has vectors of a width of its own; here all have the embedding's.
        """
        super().__init__()
        self.embedding, self.factors, size = embedding, factors, embedding.size
        self.mixture = nn.Linear(factors * size, size, bias=False) if combine == "concat" else None
        self.encoder = on_features(encoder, size, norm=False)
        self.widths = self.encoder.widths

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        words, mask = source.ids[:, :: self.factors], source.mask[:, :: self.factors]
        encoded: Encoded = self.encoder(Sequences(self._features(source), mask), weights=weights)
        return replace(encoded, ids=words if self.encoder.aligned else None)

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.encoder.labels(tokens[:: self.factors])

    def _features(self, source: Sequences) -> Tensor:
        """[B, S / factors, D]; of a word that lacks factors those that it has."""
        real = self.embedding(source.ids) * source.mask[..., None]  # [B, S, D]
        lacking = -source.ids.size(1) % self.factors
        groups = F.pad(real, (0, 0, 0, lacking)).view(len(real), -1, self.factors, real.size(2))
        return groups.sum(2) if self.mixture is None else self.mixture(groups.flatten(2))
