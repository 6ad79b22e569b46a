"""The words that tokens make, as blanks divide a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seqloom.tokenizers.base import Role, Tokenizer
from seqloom.vocabulary import BOS, EOS


class Word(NamedTuple):
    """A word, and which tokens it is made of: those from `start` up to `end`."""

    text: str
    start: int
    end: int


class WordFinder:
    """Finds the words in the ids of one tokenizer."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._roles: list[Role] = [tokenizer.role(symbol) for symbol in tokenizer.vocabulary.symbols]
        self._roles[BOS] = self._roles[EOS] = "apart"  # an end inside a text divides its parts

    def words(self, ids: Sequence[int], text: str) -> list[Word]:
        """The words of these ids, which stand for `text`; a tag is none of them."""
        spans, texts = _spans([self._roles[i] for i in ids]), text.split()
        if len(texts) != len(spans):  # a symbol may have a blank in it, or stand for nothing
            texts = [self._tokenizer.decode(ids[start:end]).strip() for start, end in spans]
        return [Word(word, *span) for word, span in zip(texts, spans, strict=True) if word]


def _spans(roles: Sequence[Role]) -> list[tuple[int, int]]:
    starts: list[int] = []
    ends: list[int] = []
    before: Role = "blank"
    for place, role in enumerate(roles):
        if role not in ("blank", "apart"):
            if before in ("blank", "apart") or (role != "continues" and before != "opens"):
                starts.append(place)
                ends.append(place)
            ends[-1] = place + 1
        before = role
    return list(zip(starts, ends, strict=True))
