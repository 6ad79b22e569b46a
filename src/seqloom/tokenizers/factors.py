"""Words beside which stands what is known of them, such as "the|DT dogs|NNS"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from seqloom.bounds import Positive
from seqloom.errors import UnreadableError
from seqloom.registry import register
from seqloom.tokenizers.base import SILENT, Role
from seqloom.tokenizers.symbols import Symbols
from seqloom.vocabulary import SPECIALS, UNK


@register("factors")
class Factors(Symbols):
    """Each word and each of its factors is a symbol, one behind the other; https://arxiv.org/abs/1606.02892.

    One vocabulary has them all.  The n-th factor's symbols begin with n separators, so that they are no words.
    Every limit of tokens counts the factors, too.
    """

    joint = False

    def __init__(
        self, *, factors: Positive = 2, separator: str = "|", size: Positive | None = None, min_frequency: Positive = 1
    ):
        """`factors` counts the word too; `size` all symbols, the three special ones too.  Raises ValueError."""
        if size is not None and size <= len(SPECIALS):
            raise ValueError(f"size must be at least {len(SPECIALS) + 1}, got {size}")
        if not separator or separator != "".join(separator.split()):
            raise ValueError(f"separator must be characters other than blanks, got {separator!r}")
        self.factors = factors
        self.separator = separator
        self.size = size
        self.min_frequency = min_frequency

    def train(self, lines: Iterable[str]) -> None:
        """Lines without their factors are passed over, unless there are no others: `encode` says what they lack."""
        self._learn(self._whole(lines), min_frequency=self.min_frequency, size=self.size)

    def split(self, text: str) -> list[str]:
        """Raises UnreadableError if a word lacks a factor."""
        return [symbol for token in text.split() for symbol in self._symbols(token, text)]

    def written(self, text: str) -> list[str]:
        return self.split(text)

    def role(self, symbol: str) -> Role:
        return "continues" if symbol.startswith(self.separator) else "begins"

    def _whole(self, lines: Iterable[str]) -> Iterator[str]:
        fault: UnreadableError | None = None
        count = 0
        for line in lines:
            try:
                count += len(self.split(line))
                yield line
            except UnreadableError as error:
                fault = fault or error
        if fault and not count:
            raise fault

    def _symbols(self, token: str, text: str) -> list[str]:
        """The word and its factors; a word may have separators in it, a factor none."""
        word, *rest = token.rsplit(self.separator, self.factors - 1)
        if len(rest) != self.factors - 1:
            wanted = self.separator.join(["word", *["factor"] * (self.factors - 1)])
            raise UnreadableError(f"each token must be {wanted}, and one of them is {token!r}", text)
        return [word, *(self.separator * n + factor for n, factor in enumerate(rest, 1))]

    def _joined(self, ids: Iterable[int], unknown: Iterator[str]) -> str:
        symbols, text = self.vocabulary.symbols, ""
        for place, i in enumerate(i for i in ids if i not in SILENT):
            n = place % self.factors
            symbol = next(unknown) if i == UNK else symbols[i]
            text += self.separator + symbol.removeprefix(self.separator * n) if n else f" {symbol}"
        return text.removeprefix(" ")
