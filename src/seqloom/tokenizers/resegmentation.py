"""Other ways to cut a word into the pieces of a model, drawn at random: a function of a key, on every machine.

SentencePiece draws such ways itself, but what it draws is another in each process, whatever its seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Literal

VARIANTS = 64  # ways of a word that are drawn; a frequent word is so cut once and looked up from then on
LONGEST = 16  # characters of a piece; SentencePiece learns no longer ones
MOST = 100  # pieces of a word that is cut anew: the time it takes grows with their square
REMEMBERED = 1 << 17  # words in such ways, about 25 MB
STEP, MIX, WORD = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, (1 << 64) - 1
Scores = Mapping[str, float]  # of pieces: the more, the earlier merged, or the more probable (a logarithm)


class Resegmentation:
    """Cuts words anew as one model would."""

    def __init__(self, scores: Scores, ids: Mapping[str, int], model: Literal["bpe", "unigram"]):
        """`scores` are those of pieces that are text, `ids` theirs."""
        self._symbols = {i: piece for piece, i in ids.items()}
        cut = {"bpe": with_merges_left_out, "unigram": drawn}[model]

        @lru_cache(REMEMBERED)
        def found(word: tuple[int, ...], share: float, variant: int) -> list[int]:
            text = "".join(self._symbols[i] for i in word)
            pieces = cut(text, scores, share, Random(f"{variant} {text}"))
            return [ids[piece] for piece in pieces] if all(piece in ids for piece in pieces) else list(word)

        self._found = found

    def __call__(self, row: Sequence[int], *, share: float, key: int) -> list[int]:
        """The ids of a text cut anew; a very long word, and one with an id that is no piece of text, stays as it is."""
        made: list[int] = []
        for number, word in enumerate(self._words(row)):
            if len(word) <= MOST and all(i in self._symbols for i in word):
                variant = ((key + number * STEP) & WORD) * MIX >> 58 & VARIANTS - 1
                made += self._found(word, share, variant)
            else:
                made += word
        return made

    def _words(self, row: Sequence[int]) -> Iterator[tuple[int, ...]]:
        start = 0
        for place, i in enumerate(row):
            if place > start and self._symbols.get(i, "").startswith("▁"):
                yield tuple(row[start:place])
                start = place
        yield tuple(row[start:])


def with_merges_left_out(word: str, scores: Scores, share: float, random: Random) -> list[str]:
    """The pieces of a word by byte-pair encoding that in each step leaves out each merge with probability `share`.

    https://arxiv.org/abs/1910.13267, algorithm 1.
    """
    pieces = list(word)
    while True:
        merges = [
            (-scores[pair], place)
            for place, pair in enumerate(map("".join, zip(pieces, pieces[1:], strict=False)))
            if pair in scores and random.random() >= share
        ]
        if not merges:
            return pieces
        place = min(merges)[1]
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]


def drawn(word: str, scores: Scores, share: float, random: Random) -> list[str]:
    """The pieces of a word, drawn with their probability to the power of `share`.

    Every way counts (https://arxiv.org/abs/1804.10959, section 3.2, with l = infinity): the sums over all ways
    up to each place are made forwards, pieces are drawn backwards.
    """
    sums = [0.0]
    for end in range(1, len(word) + 1):
        sums.append(_log_sum([sums[start] + share * score for start, score in _ending(word, scores, end)]))
    pieces, end = [], len(word)
    while end > 0 and sums[end] > -math.inf:
        choices = _ending(word, scores, end)
        weights = [math.exp(sums[start] + share * score - sums[end]) for start, score in choices]
        start = random.choices([start for start, _ in choices], weights)[0]
        pieces.append(word[start:end])
        end = start
    return [word] if end else pieces[::-1]


def _ending(word: str, scores: Scores, end: int) -> list[tuple[int, float]]:
    """Where the pieces begin that end here, and their scores."""
    return [
        (start, scores[word[start:end]]) for start in range(max(0, end - LONGEST), end) if word[start:end] in scores
    ]


def _log_sum(logs: list[float]) -> float:
    most = max(logs, default=-math.inf)
    return most + math.log(sum(math.exp(log - most) for log in logs)) if most > -math.inf else most
