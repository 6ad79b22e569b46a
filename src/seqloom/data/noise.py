"""Noise over words: some are dropped, some blanked, some moved; in a list of words, or in a whole batch at once.

The three kinds are those of https://arxiv.org/abs/1711.00043 (section 2.3) and https://arxiv.org/abs/1808.09381
(section 3), which drops first, then blanks, then moves words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from seqloom.data.permutation import Integers
from seqloom.registry import register

T = TypeVar("T")
Booleans = NDArray[np.bool_]
Chances = NDArray[np.float64]  # each from 0 up to 1
BLANK = "<unk>"  # what stands for a blanked word unless another symbol is chosen


@dataclass(frozen=True)
class Words:
    """Which words stand where: their numbers, the group each belongs to and never leaves, and which are blanked."""

    numbers: Integers  # [W]
    groups: Integers  # [W], never falling
    blank: Booleans  # [W]

    @classmethod
    def of(cls, groups: Integers) -> Words:
        """All words in the order of their numbers 0, 1, ..."""
        return cls(np.arange(len(groups), dtype=np.int64), groups, np.zeros(len(groups), np.bool_))

    def at(self, places: Integers) -> Words:
        """The words at these places, in this order."""
        return Words(self.numbers[places], self.groups[places], self.blank[places])


class Noise(ABC):
    """Something that is done to the words of a text, decided by one random number for each of them."""

    symbol: str | None = None  # what it writes in the place of words

    @abstractmethod
    def __call__(self, words: Words, chances: Chances) -> Words:
        """The words that are left, in their new order; `chances` [W] has a number for each word given."""

    def on(self, words: Sequence[str], random: np.random.Generator) -> list[str]:
        """The same for one list of words."""
        left = self(Words.of(np.zeros(len(words), np.int64)), random.random(len(words)))
        return [self._written(words[n], blank) for n, blank in zip(left.numbers.tolist(), left.blank, strict=True)]

    def _written(self, word: str, blank: np.bool_) -> str:
        return self.symbol if blank and self.symbol is not None else word


@register("word_drop")
class WordDrop(Noise):
    """Leave out each word with probability p; of a text that would lose all its words one stays."""

    def __init__(self, *, p: float = 0.1):
        """Raises ValueError unless 0 <= p < 1."""
        self.p = _share(p)

    def __call__(self, words: Words, chances: Chances) -> Words:
        return words.at(np.flatnonzero((chances >= self.p) | _last_of_all(words.groups, chances, self.p)))


@register("word_blank")
class WordBlank(Noise):
    """Replace each word, however many pieces it has, by one symbol with probability p."""

    def __init__(self, *, p: float = 0.1, symbol: str = BLANK):
        """`symbol` is one of the tokenizer's; by default the one for what is unknown.

        Raises ValueError unless 0 <= p < 1, and for a symbol that is no word.
        """
        self.p, self.symbol = _share(p), symbol
        if symbol.split() != [symbol]:
            raise ValueError(f"symbol must be one word, got {symbol!r}")

    def __call__(self, words: Words, chances: Chances) -> Words:
        return replace(words, blank=words.blank | (chances < self.p))


@register("word_shuffle")
class WordShuffle(Noise):
    """Move words about, none by more than `distance` places: they are sorted by place + U(0, distance + 1)."""

    def __init__(self, *, distance: int = 3):
        """Raises ValueError if `distance` is negative."""
        if distance < 0:
            raise ValueError(f"distance must be at least 0, got {distance}")
        self.distance = distance

    def __call__(self, words: Words, chances: Chances) -> Words:
        places = np.arange(len(words.groups)) + chances * (self.distance + 1)
        return words.at(np.lexsort((places, words.groups)).astype(np.int64))


def drop(words: Sequence[str], p: float, random: np.random.Generator) -> list[str]:
    """The words without those that fall out, each with probability p; one at least stays."""
    return WordDrop(p=p).on(words, random)


def blank(words: Sequence[str], p: float, random: np.random.Generator, *, symbol: str = BLANK) -> list[str]:
    """The words, each replaced by `symbol` with probability p."""
    return WordBlank(p=p, symbol=symbol).on(words, random)


def shuffle(words: Sequence[str], distance: int, random: np.random.Generator) -> list[str]:
    """The words in an order in which none is more than `distance` places from where it was."""
    return WordShuffle(distance=distance).on(words, random)


def _share(p: float) -> float:
    if not 0 <= p < 1:
        raise ValueError(f"p is a probability from 0 up to, but not including, 1; got {p}")
    return p


def _last_of_all(groups: Integers, chances: Chances, p: float) -> Booleans:
    """Of each group in which every chance is below p, the word with the largest; False for all others."""
    chosen = np.zeros(len(groups), np.bool_)
    if len(groups):
        starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
        most = np.maximum.reduceat(chances, starts)
        chosen = (chances == np.repeat(most, np.diff(np.append(starts, len(groups))))) & (chances < p)
    return chosen
