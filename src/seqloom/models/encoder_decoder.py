"""Any encoder under any decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from seqloom.bounds import Positive
from seqloom.decoders.base import Decoder
from seqloom.encoders.base import Encoder
from seqloom.layers.embedding import Embedding
from seqloom.models.base import Model, VocabularySizes
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions:
    """How symbols become vectors.

    `tie`: "target" shares the vectors of target symbols with the projection to the vocabulary, "all" those of source
    symbols too (which needs one vocabulary for both sides), "none" shares nothing.
    """

    size: Positive = 256
    tie: Literal["none", "target", "all"] = "none"


@register()
class EncoderDecoder(Model):
    """An encoder reads the source; a decoder writes the target."""

    def __init__(
        self,
        vocabulary: VocabularySizes,
        *,
        encoder: Callable[..., Encoder],
        decoder: Callable[..., Decoder],
        embedding: EmbeddingOptions = EmbeddingOptions(),  # noqa: B008 - frozen
    ):
        super().__init__()
        if embedding.tie == "all" and not vocabulary.joint:
            raise ValueError("tie: all needs one vocabulary for source and target; set joint: true in the tokenizer")
        target = Embedding(vocabulary.target, embedding.size, tied=embedding.tie != "none")
        source = target if embedding.tie == "all" else Embedding(vocabulary.source, embedding.size)
        self.encoder = encoder(embedding=source)
        self.decoder = decoder(embedding=target, memory_size=self.encoder.output_size)

    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        return self.encoder(source, weights=weights)  # type: ignore[no-any-return]
