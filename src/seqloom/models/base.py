"""What every model is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

from torch import nn

from seqloom.decoders.base import Decoder
from seqloom.layers.embedding import Embedding
from seqloom.structures import Batch, Encoded, Output, Sequences


@dataclass(frozen=True)
class VocabularySizes:
    """How many symbols each side has, and whether they are the same ones."""

    source: int
    target: int
    joint: bool


class Model(nn.Module, ABC):
    """An encoder and a decoder that a search can use; a subclass sets `decoder` and `embeddings`."""

    given: ClassVar[tuple[str, ...]] = ("vocabulary",)
    decoder: Decoder
    embeddings: Mapping[str, Embedding] = MappingProxyType({})  # of "source" and "target", where these have symbols

    @abstractmethod
    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """Source sentences [B, S] -> what the decoder starts from."""

    def begin(self) -> None:  # noqa: B027 - most models have nothing to do
        """Called once before a training's first step, never when it goes on: the time to take pretrained weights.

        Raises DataError.
        """

    def labels(self, tokens: Sequence[str]) -> list[str]:
        """What the positions that attention looks at are called; a source's end may be among its `tokens`, or not."""
        return list(tokens)

    def forward(self, batch: Batch) -> Output:
        """What the model says of every token of the target, given those before it (teacher forcing)."""
        encoded = self.encode(batch.source)
        output: Output = self.decoder(batch.target.ids[:, :-1], self.decoder.start(encoded))[0]
        return replace(output, penalty=output.penalty + encoded.penalty)
