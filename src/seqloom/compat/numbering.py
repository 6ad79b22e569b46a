"""Other toolkits' symbols under our numbers: ours begin with the start, the end and the unknown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.vocabulary import BOS, SPECIALS

NEVER = -100.0  # a logit's bias: in float32 its symbol adds nothing to the sum of the others' exponentials


@dataclass(frozen=True)
class Numbering:
    """Which row of another toolkit's tables each of our symbols has.

    A target begins with a symbol of its own there, or with the end, or with no symbol at all, whose vector is zero.  In
    the latter cases our start is a symbol more, which nothing is to generate: its bias says so.
    """

    symbols: tuple[str, ...]  # behind the three special ones
    rows: tuple[int, ...]  # of all, in our order
    added_start: bool
    zero_start: bool

    @classmethod
    def of(cls, listed: Sequence[str], *, start: int | None, end: int, unknown: int) -> Numbering:
        """Our numbers for symbols that are listed in their order.  `start` is None if targets begin with nothing."""
        specials = {end, unknown, start}
        rest = [row for row in range(len(listed)) if row not in specials]
        return cls(
            _different([listed[row] for row in rest]),
            (end if start is None else start, end, unknown, *rest),
            start is None or start == end,
            start is None,
        )

    def table(self, vectors: Tensor) -> Tensor:
        """Their vectors [V, D] in our order."""
        table = vectors[list(self.rows)]
        if self.zero_start:
            table[BOS] = 0
        return table

    def bias(self, bias: Tensor | None) -> Tensor | None:
        """The biases of the readout in our order; None where there need be none."""
        if bias is None and not self.added_start:
            return None
        biases = torch.zeros(len(self.rows)) if bias is None else bias[list(self.rows)]
        if self.added_start:
            biases[BOS] = NEVER
        return biases

    def names(self, rows: Collection[int]) -> tuple[str, ...]:
        """What symbols with these numbers of theirs are called here, unless they are among the special ones."""
        behind = zip(self.rows[len(SPECIALS) :], self.symbols, strict=True)
        return tuple(symbol for row, symbol in behind if row in set(rows))


def _different(symbols: Sequence[str]) -> tuple[str, ...]:
    """The symbols with a mark behind those that were there before, since each of ours has one number."""
    seen = set(SPECIALS)
    found = []
    for symbol in symbols:
        while symbol in seen:
            symbol += "#"
        seen.add(symbol)
        found.append(symbol)
    return tuple(found)
