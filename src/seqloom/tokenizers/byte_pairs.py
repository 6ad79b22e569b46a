"""Words cut into pieces by the merges of a file of subword-nmt or fastBPE; https://arxiv.org/abs/1508.07909, 3.2."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache

END = "</w>"  # stands behind the last character of a word
MARK = "@@"  # stands behind a piece whose word goes on
REMEMBERED = 1 << 17  # words


class BytePairs:
    """The merges of a file, the first ones first."""

    def __init__(self, codes: str, known: Collection[str] | None = None):
        """`codes` is the text of the file.

        Merges whose result is not among the `known` pieces, marks and all, are undone where it can be done.  Raises
        ValueError for text that lists no merges.
        """
        lines = codes.splitlines()
        versioned = bool(lines) and lines[0].startswith("#version:")
        merges = [tuple(line.split(" ")) for line in lines[versioned:] if line.strip()]
        if not merges or any(len(merge) not in (2, 3) for merge in merges):
            raise ValueError("a file of merges has two pieces in each line")
        # Before version 0.2, which fastBPE with its counts has too, the end of a word was a character of its own.
        self._end_apart = not versioned and len(merges[0]) == 2 or lines[0].strip() == "#version: 0.1"
        pairs = [(merge[0], merge[1]) for merge in merges]
        self._ranks = {pair: rank for rank, pair in reversed(list(enumerate(pairs)))}
        self._parts = {"".join(pair): pair for pair in reversed(pairs)}
        self._known = None if known is None else frozenset(known)
        self._cut = lru_cache(REMEMBERED)(self._cut_anew)

    def __call__(self, text: str) -> list[str]:
        """The pieces of a text; each but the last one of its word ends in @@."""
        return [piece for word in text.split() for piece in self._cut(word)]

    def _cut_anew(self, word: str) -> list[str]:
        pieces = self._merged(word)
        if self._known is not None:
            last = len(pieces) - 1
            pieces = [part for i, piece in enumerate(pieces) for part in self._undone(piece, last=i == last)]
        return [*(piece + MARK for piece in pieces[:-1]), pieces[-1]]

    def _merged(self, word: str) -> list[str]:
        pieces = [*word, END] if self._end_apart else [*word[:-1], word[-1] + END]
        while len(pieces) > 1:
            pairs = list(zip(pieces, pieces[1:], strict=False))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            pieces = list(_joined(pieces, best))
        *body, end = pieces
        end = end.removesuffix(END)
        return [*body, end] if end else body

    def _undone(self, piece: str, *, last: bool) -> Iterator[str]:
        """A piece as known ones, as far as the merges that made it can be followed back."""
        assert self._known is not None
        whole = piece + END if last else piece
        if (piece if last else piece + MARK) in self._known or whole not in self._parts:
            yield piece
            return
        left, right = self._parts[whole]
        yield from self._undone(left, last=False)
        if right != END:
            yield from self._undone(right.removesuffix(END) if last else right, last=last)


def _joined(pieces: list[str], pair: tuple[str, str]) -> Iterator[str]:
    """The pieces with each such pair, from the left, as one."""
    place = 0
    while place < len(pieces):
        found = tuple(pieces[place : place + 2]) == pair
        yield "".join(pair) if found else pieces[place]
        place += 2 if found else 1
