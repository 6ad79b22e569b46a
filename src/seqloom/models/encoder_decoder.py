"""Any encoder under any decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import Tensor

from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.decoders.base import Decoder
from seqloom.encoders.base import Encoder
from seqloom.layers.embedding import Embedding
from seqloom.layers.recurrent import reverse
from seqloom.models.base import Model, VocabularySizes
from seqloom.models.scheduled_sampling import sampled
from seqloom.registry import register
from seqloom.structures import Batch, Encoded, Output, Sequences


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions:
    """How symbols become vectors.

    `tie`: "target" shares the vectors of target symbols with the projection to the vocabulary, "sides" shares them with
    the source symbols, "all" does both, "none" neither; where sides share, they need one vocabulary.  Vectors start in
    N(0, 1/size), or in U(-uniform, uniform).
    """

    size: Positive = 256
    tie: Literal["none", "target", "sides", "all"] = "none"
    uniform: NotNegative | None = None


@register()
class EncoderDecoder(Model):
    """An encoder reads the source; a decoder writes the target.

    With `reverse_source` the source is read from its end (https://arxiv.org/abs/1409.3215, 3.3); attention over it is
    in reading order all the same.  With `scheduled_sampling`, so many of the tokens that training feeds to the decoder
    are drawn from what it says itself (https://arxiv.org/abs/1506.03099).
    """

    def __init__(
        self,
        vocabulary: VocabularySizes,
        *,
        encoder: Callable[..., Encoder],
        decoder: Callable[..., Decoder],
        embedding: EmbeddingOptions = EmbeddingOptions(),  # noqa: B008 - frozen
        reverse_source: bool = False,
        scheduled_sampling: Rate = 0.0,
    ):
        super().__init__()
        tie, one_table = embedding.tie, embedding.tie in ("sides", "all")
        if one_table and not vocabulary.joint:
            raise ValueError(f"tie: {tie} needs one vocabulary for source and target; set joint: true in the tokenizer")
        make = partial(Embedding, size=embedding.size, uniform=embedding.uniform)
        target = make(vocabulary.target, tied=tie in ("target", "all"))
        source = target if one_table else make(vocabulary.source)
        self.reverse_source, self.scheduled_sampling = reverse_source, scheduled_sampling
        self.encoder = encoder(embedding=source)
        groups = len(self.encoder.labels(["one", "two"])) != 2
        if reverse_source and groups:  # begun at the end, they are others than pictures name
            raise ValueError("reverse_source needs an encoder with a position for each token, such as one of stride: 1")
        self.decoder = decoder(embedding=target, widths=self.encoder.widths)
        self.embeddings = {"source": source, "target": target}

    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        if not self.reverse_source:
            return self.encoder(source, weights=weights)  # type: ignore[no-any-return]
        turned = Sequences(reverse(source.ids, source.lengths()), source.mask)
        encoded: Encoded = self.encoder(turned, weights=weights)
        lengths = encoded.mask.sum(1)  # an encoder may have fewer positions than the source
        keys = reverse(encoded.keys, lengths)
        values = keys if encoded.values is encoded.keys else reverse(encoded.values, lengths)
        ids = None if encoded.ids is None else reverse(encoded.ids, lengths)
        return replace(encoded, keys=keys, values=values, attention=_turned(encoded.attention, lengths), ids=ids)

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.encoder.labels(tokens)

    def forward(self, batch: Batch) -> Output:
        if not (self.training and self.scheduled_sampling):
            return super().forward(batch)
        encoded, tokens = self.encode(batch.source), batch.target.ids[:, :-1]
        output = sampled(self.decoder, tokens, self.decoder.start(encoded), rate=self.scheduled_sampling)
        return replace(output, penalty=output.penalty + encoded.penalty)


def _turned(attention: Tensor | None, lengths: Tensor) -> Tensor | None:
    """Self-attention [B, L, H, S, S] of sentences read from their end, in reading order."""
    if attention is None:
        return None
    for dimension in (3, 4):
        attention = reverse(attention.movedim(dimension, 1), lengths).movedim(1, dimension)
    return attention
