"""The ways to write a phrase with pieces of text, wherever in a text it stands."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from heapq import heappop, heappush
from itertools import islice, pairwise

from seqloom.tokenizers.borders import is_border, is_inner
from seqloom.vocabulary import SPECIALS

BLANK = "▁"
MOST = 500  # ways to write a phrase behind a blank
GLUED = 32  # behind each other piece that it may be glued to; there are many of these
BYTE = re.compile("<0x[0-9A-F]{2}>")


class Spellings:
    """The ways to write phrases with some pieces, in which ▁ stands for a blank."""

    def __init__(self, pieces: Mapping[str, int]):
        self.pieces = pieces
        self._longest = max(map(len, pieces), default=0)

    def of(self, phrase: str) -> list[list[int]]:
        """The ways to write a phrase of whole words: those with the fewest pieces, if there are many.

        The first piece may end what stands before, be it a blank, a bracket or a full stop, and the last may go on with
        punctuation.  What comes behind the last isn't known, so a word that goes on is written in these ways, too.
        """
        words = phrase.removeprefix(BLANK)
        if not words:
            return []
        edges, plain = self._edges(words), list[list[int]]()
        found = [[self.pieces[piece]] for piece in self._mixed if _is_within(words, piece)]
        if words == phrase or not is_inner(words[0]):  # it may stand behind anything
            plain += islice(_paths(edges, 0, []), MOST)
        for piece, have in self._openings(words):
            ways = _paths(edges, have, [self.pieces[piece]])
            if piece.startswith(BLANK) and not self._is_mixed(piece):
                plain += islice(ways, MOST)
            else:
                found += islice(ways, GLUED)
        return sorted(plain, key=len)[:MOST] + found

    def _edges(self, words: str) -> list[list[tuple[int, int]]]:
        """For each place of a phrase the pieces that may be written there, as the places they lead to and their ids."""
        length, edges = len(words), list[list[tuple[int, int]]]()
        for start in range(length):
            ends = range(start + 1, min(length, start + self._longest) + 1)
            edges.append([(end, self.pieces[words[start:end]]) for end in ends if words[start:end] in self.pieces])
        for piece in self._mixed:
            for end in range(1, len(piece)):
                if words.endswith(piece[:end]) and is_border(piece[end - 1], piece[end]):
                    edges[length - end].append((length, self.pieces[piece]))
        return edges

    def _openings(self, words: str) -> Iterator[tuple[str, int]]:
        """The pieces that end with the beginning of a phrase, behind a border, and how much of it they have."""
        if is_inner(words[0]):
            yield from ((piece, 0) for piece in self._ending)
        for piece in self._having[words[0]]:
            for start in range(1, len(piece)):
                if words.startswith(piece[start:]) and is_border(piece[start - 1], words[0]):
                    yield piece, len(piece) - start

    @cached_property
    def _ending(self) -> list[str]:
        """The pieces behind which a word begins, whatever is next."""
        return [piece for piece in self.pieces if not is_inner(piece[-1])]

    @cached_property
    def _having(self) -> Mapping[str, list[str]]:
        """The pieces that have a character, but not as their first one."""
        having: dict[str, list[str]] = defaultdict(list)
        for piece in self.pieces:
            for character in {*piece[1:]}:
                having[character].append(piece)
        return having

    @cached_property
    def _mixed(self) -> list[str]:
        """The pieces that have a border within them, apart from a blank at their beginning."""
        return [piece for piece in self.pieces if self._is_mixed(piece)]

    @staticmethod
    def _is_mixed(piece: str) -> bool:
        inner = piece.removeprefix(BLANK)
        return any(is_border(before, after) for before, after in pairwise(inner))


@lru_cache(4)
def spellings_with(symbols: tuple[str, ...], mark: str, apart: frozenset[str] = frozenset()) -> Spellings:
    """Spellings with the symbols of a vocabulary, with a mark before each, but for those that stand for no text."""
    apart |= {*SPECIALS}
    return Spellings({mark + s: i for i, s in enumerate(symbols) if s not in apart and not BYTE.fullmatch(s)})


def separate_spellings(
    symbols: tuple[str, ...], words: Sequence[str], apart: frozenset[str] = frozenset()
) -> list[list[int]]:
    """The ways to write words with symbols that blanks divide: punctuation may be part of the first and the last."""
    return spellings_with(symbols, BLANK, apart).of("".join(BLANK + word for word in words))


def _is_within(words: str, piece: str) -> bool:
    """Whether a piece has a phrase as whole words, with something else on both sides."""
    ends = (
        (start, start + len(words)) for start in range(1, len(piece) - len(words)) if piece.startswith(words, start)
    )
    return any(is_border(piece[start - 1], words[0]) and is_border(words[-1], piece[end]) for start, end in ends)


def _paths(edges: list[list[tuple[int, int]]], start: int, before: list[int]) -> Iterator[list[int]]:
    """The ways from a place of a phrase to its end, behind the pieces before; those with the fewest pieces first."""
    needed = [math.inf] * len(edges) + [0]  # how many pieces lead from each place to the end
    for place in reversed(range(len(edges))):
        needed[place] = 1 + min((needed[end] for end, _ in edges[place]), default=math.inf)
    waiting = [(needed[start], start, before)]  # pieces in all, place, those so far
    while waiting and waiting[0][0] < math.inf:
        _, place, so_far = heappop(waiting)
        if place == len(edges):
            yield so_far
            continue
        for end, piece in edges[place]:
            heappush(waiting, (len(so_far) + 1 + needed[end], end, [*so_far, piece]))
