"""What a target must say, as symbols.  Nothing here needs PyTorch, so that a request can be made without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Phrase:
    """Words of which a target must have one of the alternatives, whole, so many times."""

    alternatives: tuple[tuple[int, ...], ...]
    initial: tuple[tuple[int, ...], ...] = ()  # more of them, where a sentence begins
    times: int = 1

    @property
    def length(self) -> int:
        """How many symbols the shortest alternative has."""
        return min(map(len, self.alternatives))

    @property
    def room(self) -> int:
        """How many symbols a target needs for it at the least."""
        return self.times * self.length


@dataclass(frozen=True)
class Borders:
    """Where words begin and end: what each symbol of a vocabulary has to do with them, booleans [V].

    Arrays of NumPy or tensors, whichever the ids are that are asked about.
    """

    opens: Any  # the symbol behind this one goes on with its word, as behind `Hu@@`
    continues: Any  # this one goes on with the word before
    first: Any  # it begins with a character of a word, be it a letter or a digit
    last: Any  # it ends with one
    starts: Any  # a sentence may begin behind it

    def inside(self, before: Any, after: Any) -> Any:
        """Whether there is a word that both symbols are part of, where they stand side by side."""
        return (self.opens[before] | self.continues[after]) & self.last[before] & self.first[after]


@dataclass(frozen=True)
class Phrases:
    """What the targets of some sources must say."""

    of: Sequence[Sequence[Phrase]]  # of each source
    borders: Borders

    def __bool__(self) -> bool:
        return any(self.of)

    def only(self, rows: Sequence[int]) -> Phrases:
        """Those of some of the sources."""
        return Phrases([self.of[row] for row in rows], self.borders)
