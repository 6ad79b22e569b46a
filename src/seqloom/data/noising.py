"""Noise over the words of rows of ids, however many pieces each has: a function of a key and of places in the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.noise import BLANK, Booleans, Chances, Noise, Words
from seqloom.data.permutation import Integers, mixed
from seqloom.errors import UsageError
from seqloom.tokenizers import Tokenizer
from seqloom.vocabulary import BOS, EOS

Ids = NDArray[np.integer[Any]]
GOLDEN = 0x9E3779B97F4A7C15  # from one number of a stream to the next (splitmix64)
STREAM = 1 << 32  # so many numbers lie between those for two kinds of noise


class Noising:
    """What kinds of noise, one after the other, do to the sources of a corpus."""

    def __init__(self, kinds: Sequence[Noise], tokenizer: Tokenizer, *, key: np.uint64):
        """`tokenizer` is that of the ids; with another `key` the noise is another.

        Raises UsageError for texts without words, and for a symbol that the tokenizer doesn't have.
        """
        if tokenizer.of_files:
            raise UsageError(f"noise is for words, and the sources of {type(tokenizer).__name__} are files")
        self._kinds, self._key, self._blank_id = kinds, key, _blank_id(kinds, tokenizer)
        roles = np.array([tokenizer.role(symbol) for symbol in tokenizer.vocabulary.symbols])
        roles[[BOS, EOS]] = "apart"  # an end inside a text divides its parts
        self._begins, self._opens = roles != "continues", roles == "opens"
        self._between, self._apart = roles == "blank", roles == "apart"

    def __call__(self, rows: Sequence[Ids], places: Integers) -> list[Ids]:
        """The rows with noise; `places` [B] is where in its corpus's endless order each row stands.

        What stands apart, such as a tag, stays, and no word passes it.  A row without words stays as it is.
        """
        cut = self._cut(rows)
        words, keys = Words.of(cut.groups), mixed(places.astype(np.uint64) + self._key)[cut.rows]
        for number, kind in enumerate(self._kinds):
            words = kind(words, _chances(keys, cut.places, number)[words.numbers])
        made = np.split(*self._joined(cut, words, len(rows)))
        return [noisy if len(noisy) else row for noisy, row in zip(made, rows, strict=True)]

    def _cut(self, rows: Sequence[Ids]) -> _Cut:
        """The rows as words, without the blanks between them."""
        ids, lengths = np.concatenate(rows), np.array([len(row) for row in rows])
        begins = self._begins[ids]
        begins[1:] &= ~self._opens[ids[:-1]]
        begins[1:] |= self._between[ids[:-1]] | self._apart[ids[:-1]]
        begins[np.append(0, np.cumsum(lengths[:-1]))] = True
        starts = np.flatnonzero(begins)
        sizes, first = np.diff(np.append(starts, len(ids))), ids[starts]
        real = ~self._between[first]
        row_of = np.repeat(np.arange(len(rows)), lengths)[starts]
        return _Cut(ids, starts[real], sizes[real], row_of[real], self._apart[first[real]])

    def _joined(self, cut: _Cut, words: Words, rows: int) -> tuple[Ids, Integers]:
        """The ids of the words in their order, and where each row but the last ends."""
        blank, row_of = words.blank & ~cut.apart[words.numbers], cut.rows[words.numbers]
        glued = self._glued(row_of, cut.apart[words.numbers])
        sizes = np.where(blank, 1, cut.sizes[words.numbers]) + glued
        word = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(word)) - np.repeat(np.cumsum(sizes) - sizes, sizes) - glued[word]  # -1: a blank before
        ids = cut.ids[np.where(blank[word], 0, cut.starts[words.numbers][word] + place)]
        ids[blank[word]] = self._blank_id
        ids[place < 0] = self._between.argmax()
        return ids, np.cumsum(np.bincount(row_of, sizes, rows)).astype(np.int64)[:-1]

    def _glued(self, row_of: Integers, apart: Booleans) -> Integers:
        """1 for each word that has a blank before it: those behind another word, where blanks are symbols; else 0."""
        behind = np.zeros(len(row_of), np.int64)
        behind[1:] = (row_of[1:] == row_of[:-1]) & ~apart[1:] & ~apart[:-1]
        return behind * bool(self._between.any())


@dataclass(frozen=True)
class _Cut:
    """The words of rows of ids; what stands apart counts as one."""

    ids: Ids  # of all rows, one behind the other
    starts: Integers  # [W]
    sizes: Integers  # [W] how many ids each has
    rows: Integers  # [W]
    apart: Booleans  # [W]

    @property
    def groups(self) -> Integers:
        """A number for each stretch of words that may change places."""
        new = np.append(True, (self.rows[1:] != self.rows[:-1]) | self.apart[1:] | self.apart[:-1])[: len(self.rows)]
        return np.cumsum(new, dtype=np.int64)

    @property
    def places(self) -> Integers:
        """Which word of its row each is."""
        return np.arange(len(self.rows)) - np.searchsorted(self.rows, self.rows)


def _chances(keys: NDArray[np.uint64], places: Integers, number: int) -> Chances:
    """A number from 0 up to 1 for each word, another one for each kind of noise."""
    steps = places.astype(np.uint64) + np.uint64(number * STREAM + 1)
    return np.asarray((mixed(keys + steps * np.uint64(GOLDEN)) >> np.uint64(11)) / 2**53, np.float64)


def _blank_id(kinds: Sequence[Noise], tokenizer: Tokenizer) -> int:
    symbols = sorted({kind.symbol for kind in kinds if kind.symbol is not None}) or [BLANK]
    if len(symbols) > 1:
        raise UsageError(f"noise: all blanked words become one symbol, got {' and '.join(symbols)}")
    if symbols[0] not in tokenizer.vocabulary:
        raise UsageError(f"noise: {symbols[0]!r} is no symbol of the sources' {type(tokenizer).__name__}; {BLANK} is")
    return tokenizer.vocabulary.ids(symbols)[0]
