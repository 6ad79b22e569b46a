"""What may be generated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


class Rule(ABC):
    """A say in every step of a search."""

    @abstractmethod
    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        """Log-probabilities [N, V] of what follows tokens [N, t] (bos first) -> those to search with.

        `sentences` [N] says which of the batch's sources each row translates.
        """


@dataclass(frozen=True)
class Forbid(Rule):
    """Some symbols never."""

    symbols: Sequence[int]

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        log_probs[:, list(self.symbols)] = float("-inf")
        return log_probs
