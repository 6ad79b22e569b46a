"""How probable given targets are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from seqloom.data.lengths import cut
from seqloom.engines.base import Engine
from seqloom.search.hypothesis import confidence
from seqloom.search.options import SearchOptions
from seqloom.tokenizers import Tokenizer, Tokenizers
from seqloom.tokenizers.words import Word, WordFinder
from seqloom.translation import finite

WINDOW = 2000  # pairs sorted by length together
BATCH_TOKENS = 4096  # of the longer side, padding included, scored together
CHARACTERS = 32  # the most that a token stands for

Pair = tuple[str, str]


@dataclass(frozen=True)
class Scored:
    """What a model says of one target, given its source."""

    source: str
    target: str
    score: float  # by which a search would rank it
    log_prob: float
    tokens: list[str]
    token_log_probs: tuple[float, ...]  # T + 1, eos last; none for an empty source
    words: list[Word]
    truncated: bool = False  # only the beginning of a side was used

    @property
    def confidence(self) -> float | None:
        """The geometric mean of its tokens' probabilities, the end's included; None for an empty source."""
        return confidence(self.token_log_probs)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON, which has no infinity: null stands for it."""
        sure = [confidence(self.token_log_probs[word.start : word.end]) for word in self.words]
        return {
            "source": self.source,
            "target": self.target,
            "score": finite(self.score),
            "log_prob": finite(self.log_prob),
            "confidence": self.confidence,
            "tokens": self.tokens,
            "token_log_probs": list(self.token_log_probs),
            "words": [[word.text, share] for word, share in zip(self.words, sure, strict=True)],
            "truncated": self.truncated,
        }


class Scorer:
    """A trained model, whatever engine runs it, that is asked about targets."""

    def __init__(self, engine: Engine, tokenizers: Tokenizers, options: SearchOptions):
        self.engine, self.tokenizers, self.options = engine, tokenizers, options
        self._words = WordFinder(tokenizers.target)

    def scores(self, pairs: Iterable[Pair]) -> Iterator[Scored]:
        """What the model says of each target, given its source; in constant memory and in their order.

        An empty source has an empty target for certain, since that is what search makes of it: its log-probability is
        0, and that of any other target -inf.  Raises UsageError for an engine that can't score.
        """
        remaining = iter(pairs)
        while window := list(islice(remaining, WINDOW)):
            yield from self._window(window)

    def _window(self, pairs: list[Pair]) -> list[Scored]:
        most = self.options.max_source_length
        sources, targets = zip(*pairs, strict=True)
        read = _cut(self.tokenizers.source, sources, self.tokenizers.source.length or most)
        written = _cut(self.tokenizers.target, targets, most + 50)  # as long as a search lets them get
        found = self._token_log_probs([ids for ids, _ in read], [ids for ids, _ in written])
        rows = zip(pairs, read, written, found, strict=True)
        return [
            self._scored(pair, out, log_probs, truncated=less or short)
            for pair, (_, less), (out, short), log_probs in rows
        ]

    def _token_log_probs(self, sources: list[list[int]], targets: list[list[int]]) -> list[tuple[float, ...]]:
        """T + 1 for each target [T], and none where the source is empty."""
        lengths = np.array([max(map(len, pair)) + 1 for pair in zip(sources, targets, strict=True)])
        order = np.argsort(lengths, kind="stable")
        order = order[[len(sources[i]) > 0 for i in order]]
        found: list[tuple[float, ...]] = [()] * len(sources)
        for rows in np.split(order, cut(lengths[order], BATCH_TOKENS)[1:-1]) if len(order) else []:
            scored = self.engine.score([sources[i] for i in rows], [targets[i] for i in rows])
            for i, log_probs in zip(rows, scored, strict=True):
                found[i] = tuple(log_probs)
        return found

    def _scored(self, pair: Pair, ids: Sequence[int], log_probs: tuple[float, ...], *, truncated: bool) -> Scored:
        source, target = pair
        log_prob = sum(log_probs) if log_probs else 0.0 if not ids else -math.inf
        words = self._words.words(ids, target)
        score = self.options.score(log_prob, len(ids) + 1)
        return Scored(source, target, score, log_prob, self.tokenizers.target.tokens(ids), log_probs, words, truncated)


def _cut(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> list[tuple[list[int], bool]]:
    """The ids of each text, so many at most, and whether it has more."""
    encoded = tokenizer.encode([text[: most * CHARACTERS] for text in texts])
    return [
        (ids[:most], len(ids) > most or len(text) > most * CHARACTERS) for text, ids in zip(texts, encoded, strict=True)
    ]
