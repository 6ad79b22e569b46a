"""Tokenizers whose symbols are cut out of the text as they stand: words and characters."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

from seqloom.errors import DataError
from seqloom.registry import register
from seqloom.tokenizers.base import SILENT, UNKNOWN_TEXT, Role, Tokenizer
from seqloom.tokenizers.segmentation import Segmentation, restored, role
from seqloom.tokenizers.spellings import separate_spellings
from seqloom.vocabulary import SPECIALS, UNK, Vocabulary


class Symbols(Tokenizer):
    """A tokenizer that counts symbols and keeps the frequent ones; the most frequent symbol has the lowest id."""

    separator = ""  # stands between two symbols in decoded text
    segmentation: Segmentation = "none"  # what is taken back in decoded text

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """The symbols of a text, in order."""

    def _learn(self, lines: Iterable[str], *, min_frequency: int, size: int | None) -> None:
        counts = Counter(symbol for line in lines for symbol in self.split(line))
        for special in SPECIALS:  # a text that happens to say "</s>" must not end its own sentence
            counts.pop(special, None)
        kept = sorted((symbol for symbol, n in counts.items() if n >= min_frequency), key=lambda s: (-counts[s], s))
        if not kept:
            raise DataError(f"there is no text to train {type(self).__name__} on")
        self._vocabulary = Vocabulary((*SPECIALS, *kept[: size and size - len(SPECIALS)]))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        ids = self.vocabulary.ids
        return [[max(i, UNK) for i in ids(self.split(text))] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return self._joined(ids, repeat(UNKNOWN_TEXT))

    def filled(self, ids: Sequence[int], copies: Sequence[str]) -> str:
        return self._joined(ids, iter(copies))

    def _joined(self, ids: Sequence[int], unknown: Iterator[str]) -> str:
        symbols = self.vocabulary.symbols
        return self.restore(
            self.separator.join(next(unknown) if i == UNK else symbols[i] for i in ids if i not in SILENT)
        )

    def written(self, text: str) -> list[str]:
        return self.split(text)

    def role(self, symbol: str) -> Role:
        if not self.separator:
            return "blank" if symbol.isspace() else "continues"
        return role(symbol, self.segmentation)

    def restore(self, text: str) -> str:
        return restored(text, self.segmentation)

    def dump(self) -> bytes:
        return json.dumps(self.vocabulary.symbols[len(SPECIALS) :]).encode()

    def load(self, data: bytes) -> None:
        symbols = json.loads(data)
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            raise ValueError("it is not a list of symbols")
        self._vocabulary = Vocabulary((*SPECIALS, *symbols))


@register("words")
class Words(Symbols):
    """Each word, as whitespace separates them, is a symbol; decoded words have one space between them.

    Of text that another program cut into pieces, `segmentation` says how decoded pieces become words again.
    """

    separator = " "

    def __init__(
        self,
        *,
        size: int | None = None,
        min_frequency: int = 1,
        lowercase: bool = False,
        segmentation: Segmentation = "none",
        joint: bool = False,
    ):
        """`size` counts all symbols, the three special ones too; None keeps every word.  Raises ValueError."""
        if size is not None and size <= len(SPECIALS):
            raise ValueError(f"size must be at least {len(SPECIALS) + 1}, got {size}")
        if min_frequency < 1:
            raise ValueError(f"min_frequency must be at least 1, got {min_frequency}")
        self.size = size
        self.min_frequency = min_frequency
        self.lowercase = lowercase
        self.segmentation = segmentation
        self.joint = joint

    def train(self, lines: Iterable[str]) -> None:
        self._learn(lines, min_frequency=self.min_frequency, size=self.size)

    def split(self, text: str) -> list[str]:
        return (text.lower() if self.lowercase else text).split()

    def written(self, text: str) -> list[str]:
        return text.split()

    def spellings(self, phrase: str) -> list[list[int]]:
        """The words of the phrase, and those that have punctuation on them, too."""
        if self.segmentation != "none":
            return super().spellings(phrase)
        return separate_spellings(self.vocabulary.symbols, self.split(phrase))


@register("characters")
class Characters(Symbols):
    """Each Unicode character is a symbol."""

    def __init__(self, *, min_frequency: int = 1, joint: bool = False):
        """Characters seen fewer than `min_frequency` times stay unknown.  Raises ValueError if it is below 1."""
        if min_frequency < 1:
            raise ValueError(f"min_frequency must be at least 1, got {min_frequency}")
        self.min_frequency = min_frequency
        self.joint = joint

    def train(self, lines: Iterable[str]) -> None:
        self._learn(lines, min_frequency=self.min_frequency, size=None)

    def split(self, text: str) -> list[str]:
        return list(text)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """A readable piece for each id; a space is shown as ␣."""
        return ["␣" if token == " " else token for token in super().tokens(ids)]
