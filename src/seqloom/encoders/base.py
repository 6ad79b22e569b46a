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
    reads_symbols: ClassVar[bool] = False  # whether it looks at ids itself, to find the parts that a source is made of
    widths: Widths

    @abstractmethod
    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """Sentences [B, S] -> `Encoded`; `weights` asks for self-attention too, where there is one.

        What stands in the padding changes nothing at the real positions.
        """

    def labels(self, tokens: Sequence[str]) -> list[str]:
        """What the positions of a source of these tokens are called, its end among them or not."""
        return list(tokens)

    @property
    def aligned(self) -> bool:
        """Whether each token has a position of its own, and there are no others."""
        return self.labels(["one", "two"]) == ["one", "two"]

    @property
    def needs_symbols(self) -> bool:
        """Whether it or an encoder that it is made of looks at ids, so that nothing else can stand in their place."""
        return any(isinstance(part, Encoder) and part.reads_symbols for part in self.modules())
