"""From an image to text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seqloom.decoders.base import Decoder
from seqloom.encoders.image import ImageEncoder
from seqloom.errors import UsageError
from seqloom.layers.embedding import Embedding
from seqloom.models.base import Model, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences
from seqloom.vocabulary import SPECIALS

CHANNELS, LEVELS = 3, 256


@register("image_to_sequence")
class ImageToSequence(Model):
    """An encoder looks at an image; a decoder writes what it shows (https://arxiv.org/abs/1502.03044).

    The source is an image as text, a symbol for each level of red, green and blue: what the tokenizer `Pixels` makes.
    """

    def __init__(
        self,
        vocabulary: VocabularySizes,
        *,
        encoder: Callable[..., ImageEncoder] = ImageEncoder,
        decoder: Callable[..., Decoder],
        embedding: EmbeddingOptions = EmbeddingOptions(),  # noqa: B008 - frozen
    ):
        """`embedding` is the target's.  ValueError if the source isn't pixels, or is to share its symbols' vectors."""
        super().__init__()
        if vocabulary.source != len(SPECIALS) + LEVELS:
            raise ValueError("the source must be pixels: set tokenizer: {source: Pixels, target: ...}")
        if embedding.tie not in ("none", "target"):
            raise ValueError(f"tie: {embedding.tie} shares vectors of source symbols, which an image doesn't have")
        self.encoder = encoder()
        tied, uniform = embedding.tie == "target", embedding.uniform
        target = Embedding(vocabulary.target, embedding.size, tied=tied, uniform=uniform)
        self.embeddings = {"target": target}
        self.decoder = decoder(embedding=target, widths=self.encoder.widths)
        if self.decoder.copies:
            raise ValueError("an image has no symbols that could be copied; choose another decoder")
        self.embeddings = {"target": target}

    def begin(self) -> None:
        self.encoder.begin()

    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """Sources [B, height * width * 3 + 1] -> `Encoded`.  UsageError if they are images of another size."""
        height, width = self.encoder.height, self.encoder.width
        levels = source.ids[:, :-1] - len(SPECIALS)  # without the end of the text
        if levels.size(1) != height * width * CHANNELS:
            raise UsageError(
                f"model.encoder reads images of {height}x{width} pixels and the tokenizer makes others: "
                "give both the same height and width"
            )
        images = levels.view(-1, height, width, CHANNELS).permute(0, 3, 1, 2)  # [B, 3, H, W]
        return self.encoder(images.to(self.encoder.places.dtype) / (LEVELS - 1))  # type: ignore[no-any-return]

    def labels(self, tokens: Sequence[str]) -> list[str]:
        rows, columns = (range(1, n + 1) for n in (self.encoder.rows, self.encoder.columns))
        return [f"row {row}, column {column}" for row in rows for column in columns]
