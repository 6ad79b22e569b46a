"""What is said on standard error about lines that are translated."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from seqloom.vocabulary import SPECIALS, UNK

if TYPE_CHECKING:
    from seqloom.translation import Translation

ENOUGH = 10  # tokens; a word or two say nothing of a text


def tell_truncated(number: int, most: int) -> None:
    """Say that only the beginning of a line, counted from 0, was translated."""
    print(
        f"seqloom: line {number + 1} is longer than {most} tokens: only its beginning was translated", file=sys.stderr
    )


class UnknownNotice:
    """Says once, on standard error, that most of the input is unknown to the model: text prepared in another way."""

    def __init__(self) -> None:
        self.tokens, self.unknown, self.given = 0, 0, False

    def hear(self, translation: Translation) -> None:
        """Count the tokens of a source."""
        tokens = translation.source_tokens
        self.tokens, self.unknown = self.tokens + len(tokens), self.unknown + tokens.count(SPECIALS[UNK])

    def give(self) -> None:
        """Say so if it is so of all that was heard, and was not said before."""
        if self.given or self.tokens < ENOUGH or 2 * self.unknown <= self.tokens:
            return
        self.given = True
        print(
            f"seqloom: {self.unknown:,} of the input's first {self.tokens:,} tokens are unknown to this model; its "
            "input must be cut into words and cased as its training data were",
            file=sys.stderr,
        )
