"""What is asked of every toolkit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

MORE = 50  # target tokens than source tokens, at most
LENGTH = 16  # tokens of a common target, where two formulas of the length penalty are made to rise equally
Translate = Callable[[Sequence[str]], list[str]]  # lines of pieces -> lines of pieces


@dataclass(frozen=True)
class How:
    """How to search."""

    beam: int
    batch: int
    penalty: float = 1.0  # the exponent of ((5 + n) / 6), by which log-probabilities are divided
    most: int | None = None  # target tokens, the end included; None: 50 more than the source has

    @property
    def power(self) -> float:
        """The exponent of n that rises as fast as the penalty does at `LENGTH` tokens, for those that know only n."""
        return round(self.penalty * LENGTH / (LENGTH + 5), 3)

    def limit(self, source_tokens: int) -> int:
        """How many tokens the target of such a source may have."""
        return self.most or source_tokens + MORE


class Toolkit(ABC):
    """A model that was loaded from the files in a folder."""

    sorts: ClassVar[bool] = False  # puts sentences of similar length together by itself

    @abstractmethod
    def __init__(self, folder: Path): ...

    @abstractmethod
    def prepared(self, how: How) -> Translate:
        """What translates lines in batches of at most `how.batch` of them, and keeps their order."""


def batches(lines: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The lines, so many at a time."""
    for first in range(0, len(lines), size):
        yield lines[first : first + size]


def in_batches(translate: Translate, size: int) -> Translate:
    """The same in batches, for a toolkit that translates whatever it is given at once."""
    return lambda lines: [found for batch in batches(lines, size) for found in translate(batch)]


def tensors(file: Path) -> dict[str, Any]:
    """The tensors in an .npz."""
    import numpy as np
    import torch

    with np.load(file) as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
