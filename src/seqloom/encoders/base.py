"""What every encoder does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from seqloom.structures import Encoded, Sequences, Widths


class Encoder(nn.Module, ABC):
    """Turns a batch of source sentences into features of each position and one summary of the whole.

    A subclass sets `widths`.
    """

    given: ClassVar[tuple[str, ...]] = ("embedding",)
    widths: Widths

    @abstractmethod
    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """Sentences [B, S] -> `Encoded`; `weights` asks for self-attention too, where there is one.

        What stands in the padding changes nothing at the real positions.
        """

    def labels(self, tokens: Sequence[str]) -> list[str]:
        """What the positions of a source of these tokens are called, its end among them or not."""
        return list(tokens)
