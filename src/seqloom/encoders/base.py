"""What every encoder does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from seqloom.structures import Encoded, Sequences


class Encoder(nn.Module, ABC):
    """Turns a batch of source sentences into features of each position and one summary of the whole.

    A subclass sets `output_size`, the width of keys, values and summary.
    """

    given: ClassVar[tuple[str, ...]] = ("embedding",)
    output_size: int

    @abstractmethod
    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """Sentences [B, S] -> `Encoded`; `weights` asks for self-attention too, where there is one.

        What stands in the padding changes nothing at the real positions.
        """
