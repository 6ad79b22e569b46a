"""Any encoder under any decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.decoders.base import Decoder
from seqloom.encoders.base import Encoder
from seqloom.layers.embedding import Embedding
from seqloom.models.base import Model, VocabularySizes
from seqloom.models.reading import Reading, without_end
from seqloom.models.scheduled_sampling import sampled
from seqloom.registry import register
from seqloom.structures import Batch, Encoded, Output, Sequences


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions:
    """How symbols become vectors.

    `tie`: "target" shares the vectors of target symbols with the projection to the vocabulary, "sides" shares them with
    the source symbols, "all" does both, "none" neither; where sides share, they need one vocabulary.  Vectors start in
    N(0, 1/size), or in U(-uniform, uniform).  `readout_bias`: the projection to the vocabulary has a bias; by default
    unless it shares its vectors.
    """

    size: Positive = 256
    tie: Literal["none", "target", "sides", "all"] = "none"
    uniform: NotNegative | None = None
    readout_bias: bool | None = None


@register()
class EncoderDecoder(Model):
    """An encoder reads the source; a decoder writes the target.

    With `reverse_source` the source is read from its end, with `repeat_source: 2` twice; attention over it is as if it
    were read once and in order all the same (`Reading`).  With `scheduled_sampling`, so many of the tokens that
    training feeds to the decoder are drawn from what it says itself (https://arxiv.org/abs/1506.03099).  Without
    `read_end` the sign at the end of a source is passed over, as if it weren't there.
    """

    def __init__(
        self,
        vocabulary: VocabularySizes,
        *,
        encoder: Callable[..., Encoder],
        decoder: Callable[..., Decoder],
        embedding: EmbeddingOptions = EmbeddingOptions(),  # noqa: B008 - frozen
        reverse_source: bool = False,
        repeat_source: Positive = 1,
        scheduled_sampling: Rate = 0.0,
        read_end: bool = True,
    ):
        super().__init__()
        tie, one_table = embedding.tie, embedding.tie in ("sides", "all")
        if one_table and not vocabulary.joint:
            raise ValueError(f"tie: {tie} needs one vocabulary for source and target; set joint: true in the tokenizer")
        make = partial(Embedding, size=embedding.size, uniform=embedding.uniform, readout_bias=embedding.readout_bias)
        target = make(vocabulary.target, tied=tie in ("target", "all"))
        source = target if one_table else make(vocabulary.source)
        self.reading, self.scheduled_sampling = Reading(reverse_source, repeat_source), scheduled_sampling
        self.read_end = read_end
        self.encoder = encoder(embedding=source)
        self._check_reading()
        self.decoder = decoder(embedding=target, widths=self.encoder.widths)
        if self.decoder.copies and not vocabulary.joint:
            raise ValueError("copying needs one vocabulary for source and target; set joint: true in the tokenizer")
        self.embeddings = {"source": source, "target": target}

    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        source = source if self.read_end else without_end(source)
        read = source if self.reading.plain else self.reading.order(source)
        encoded: Encoded = self.encoder(read, weights=weights)
        if not self.reading.plain:
            encoded = self.reading.undone(encoded, source)
        return replace(encoded, ids=source.ids) if self.encoder.aligned else encoded

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.encoder.labels(tokens)

    def forward(self, batch: Batch) -> Output:
        if not (self.training and self.scheduled_sampling):
            return super().forward(batch)
        encoded, tokens = self.encode(batch.source), batch.target.ids[:, :-1]
        output = sampled(self.decoder, tokens, self.decoder.start(encoded), rate=self.scheduled_sampling)
        return replace(output, penalty=output.penalty + encoded.penalty)

    def _check_reading(self) -> None:
        """ValueError if a source is to be read otherwise than it stands, and the encoder can't tell what that means."""
        if self.reading.plain:
            return
        option, name = "reverse_source" if self.reading.backwards else "repeat_source", type(self.encoder).__name__
        if not self.encoder.aligned:  # read in groups, tokens would stand in others than pictures name
            raise ValueError(f"{option} needs an encoder with a position for each token, such as one of stride: 1")
        if self.encoder.needs_symbols:
            raise ValueError(f"{option} would turn the parts round that {name} looks for in a source; leave it out")
