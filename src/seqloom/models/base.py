"""What every model is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from seqloom.decoders.base import Decoder
from seqloom.structures import Batch, Encoded, Output, Sequences


@dataclass(frozen=True)
class VocabularySizes:
    """How many symbols each side has, and whether they are the same ones."""

    source: int
    target: int
    joint: bool


class Model(nn.Module, ABC):
    """An encoder and a decoder that a search can use; a subclass sets `decoder`."""

    given: ClassVar[tuple[str, ...]] = ("vocabulary",)
    decoder: Decoder

    @abstractmethod
    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """Source sentences [B, S] -> what the decoder starts from."""

    def forward(self, batch: Batch) -> Output:
        """What the model says of every token of the target, given those before it (teacher forcing)."""
        encoded = self.encode(batch.source)
        output, _ = self.decoder(batch.target.ids[:, :-1], self.decoder.start(encoded))
        return Output(output.features, None, output.penalty + encoded.penalty)
