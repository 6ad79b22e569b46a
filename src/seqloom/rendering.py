"""What a search found, as text: the one way from hypotheses to translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seqloom.engines.base import Engine, Found
from seqloom.errors import UsageError
from seqloom.search.hypothesis import Hypothesis
from seqloom.search.options import SearchOptions
from seqloom.tokenizers import Tokenizers
from seqloom.tokenizers.base import UNKNOWN_TEXT
from seqloom.tokenizers.words import WordFinder
from seqloom.translation import Alternative, Translation
from seqloom.vocabulary import UNK

CHARACTERS = 32  # the most that a token stands for; what lies beyond the longest source is not even looked at


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be told of every sentence, and how unknown words are to be copied."""

    options: SearchOptions
    dictionary: Mapping[str, str]
    attention: bool = False
    words: bool = False

    @property
    def copies(self) -> bool:
        return self.options.unknown == "copy"


@dataclass(frozen=True)
class _Looked:
    """What there is of a sentence that its targets may have something of."""

    positions: int  # that attention looks at
    written: Sequence[str]  # what each of them may be copied as, where anything may
    begun: Sequence[str]  # the tokens of the prefix as they were written

    def copies(self, tokens: Sequence[int], attention: NDArray[np.float32] | None) -> dict[int, str]:
        """What stands in the place of unknown tokens, by their places; the weights are [L, H, T + 1, S + 1]."""
        unknown = [place for place, token in enumerate(tokens) if token == UNK]
        given = {place: self.begun[place] for place in unknown if place < len(self.begun)}
        if not self.written or len(unknown) == len(given):
            return given
        assert attention is not None
        looked_at = attention.mean((0, 1))[:, : len(self.written)].argmax(-1)  # [T + 1], never the end sign
        return {place: self.written[looked_at[place]] for place in unknown} | given


class Renderer:
    """Makes text of what an engine finds."""

    def __init__(self, engine: Engine, tokenizers: Tokenizers):
        self.engine, self.tokenizers = engine, tokenizers
        self._finders = WordFinder(tokenizers.source), WordFinder(tokenizers.target)

    def translation(
        self, before: Translation, source: list[int], prefix: str, found: Found, asked: Asked
    ) -> Translation:
        """What was found of a source, which begins with its prefix, told of together with what was known before.

        Raises UsageError where unknown words are to be copied and there is nothing to copy, or no telling what.
        """
        tokens = self.tokenizers.source.tokens(source)
        looked = _Looked(
            positions=len(self.engine.labels([*tokens, "the end"])),
            written=self._written(before.source, len(source), asked) if asked.copies else [],
            begun=self.tokenizers.target.written(prefix) if prefix else [],
        )
        alternatives = [self._alternative(one, looked, asked) for one in found.hypotheses]
        return replace(
            before,
            source_tokens=self.engine.labels(tokens),
            alternatives=alternatives if asked.options.sample else _distinct(alternatives),
            source_words=self._finders[0].words(source, before.source) if asked.words else None,
            trace=found.trace,
        )

    def _written(self, sentence: str, length: int, asked: Asked) -> list[str]:
        """What each source position may be copied as, [S]."""
        if self.tokenizers.source.of_files:
            raise UsageError("unknown: copy needs a source of text, and this one is of files; choose never or show")
        pieces = self.tokenizers.source.written(sentence[: asked.options.max_source_length * CHARACTERS])[:length]
        words = [piece.strip() or piece for piece in pieces]  # a blank may be a token
        return self.engine.labels([asked.dictionary.get(word, word) for word in words])

    def _alternative(self, found: Hypothesis, looked: _Looked, asked: Asked) -> Alternative:
        target, weights = self.tokenizers.target, found.attention
        if asked.copies and weights is None:
            raise UsageError(
                "unknown: copy needs attention over the source, and this model has none; choose never or show"
            )
        shown = None if weights is None else weights[..., : looked.positions]
        text, tokens = target.decode(found.tokens), target.tokens(found.tokens)
        if copies := looked.copies(found.tokens, shown):
            unknown = [copies.get(t, UNKNOWN_TEXT) for t, token in enumerate(found.tokens) if token == UNK]
            text = target.filled(found.tokens, unknown)
            tokens = [copies.get(t, token) for t, token in enumerate(tokens)]
        return Alternative(
            text,
            found.score,
            tokens,
            shown if asked.attention else None,
            found.log_prob,
            found.token_log_probs,
            self._finders[1].words(found.tokens, text) if asked.words else None,
        )


def _distinct(alternatives: list[Alternative]) -> list[Alternative]:
    """Of those that are the same text the first, which is the likeliest: other tokens may say the same."""
    first: dict[str, Alternative] = {}
    for alternative in alternatives:
        first.setdefault(alternative.text, alternative)
    return list(first.values())
