"""What becomes of a sentence, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.glossary import TermReport
from seqloom.search.hypothesis import confidence
from seqloom.search.trace import Trace
from seqloom.tokenizers.words import Word


@dataclass(frozen=True)
class Alternative:
    """One finished hypothesis as text."""

    text: str
    score: float
    tokens: list[str]
    attention: NDArray[np.float32] | None = field(default=None, repr=False)  # [L, H, T + 1, S + 1], both ends with eos
    log_prob: float = 0.0
    token_log_probs: tuple[float, ...] = ()  # T + 1, eos last; none where the engine doesn't say
    words: list[Word] | None = None  # on request
    features: Mapping[str, float] = field(default_factory=dict)  # what a reranker saw, by its name

    @property
    def confidence(self) -> float | None:
        """The geometric mean of its tokens' probabilities, the end's included; None where the engine doesn't say."""
        return confidence(self.token_log_probs)

    def word_confidences(self) -> list[float | None]:
        """For each of its words the geometric mean of its tokens' probabilities."""
        return [confidence(self.token_log_probs[word.start : word.end]) for word in self.words or []]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        told: dict[str, Any] = {"text": self.text, "score": finite(self.score), "log_prob": finite(self.log_prob)}
        told |= {"confidence": self.confidence, "tokens": self.tokens}
        if self.words is not None:
            pairs = zip(self.words, self.word_confidences(), strict=True)
            told["words"] = [[word.text, sure] for word, sure in pairs]
        if self.features:
            told["features"] = {name: finite(value) for name, value in self.features.items()}
        return told


@dataclass(frozen=True)
class Translation:
    """What became of one source text; `alternatives` are the n best, the best first, and empty for an empty text."""

    source: str
    source_tokens: list[str]
    alternatives: list[Alternative]
    truncated: bool = False  # only the beginning of the source was used
    glossary: list[TermReport] | None = None  # what became of the terms that the source has, if there is a glossary
    source_words: list[Word] | None = None  # on request
    warnings: tuple[str, ...] | None = None  # what was wrong with what was found first, if a guard has looked
    redecoded: bool = False  # this is not what was found first
    trace: Trace | None = field(default=None, repr=False)  # of the search; its tokens are ids of target symbols

    @property
    def text(self) -> str:
        """The best translation."""
        return self.alternatives[0].text if self.alternatives else ""

    @property
    def score(self) -> float:
        """The score of the best translation; 0 for an empty text."""
        return self.alternatives[0].score if self.alternatives else 0.0

    @property
    def confidence(self) -> float | None:
        """The confidence of the best translation; None for an empty text."""
        return self.alternatives[0].confidence if self.alternatives else None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        told = {
            "source": self.source,
            "target": self.text,
            "score": finite(self.score),
            "confidence": self.confidence,
            "source_tokens": self.source_tokens,
            "alternatives": [alternative.as_dict() for alternative in self.alternatives],
            "truncated": self.truncated,
        }
        if self.source_words is not None:
            told["source_words"] = [word.text for word in self.source_words]
        if self.warnings is not None:
            told |= {"warnings": list(self.warnings), "redecoded": self.redecoded}
        return told if self.glossary is None else told | {"glossary": [term.as_dict() for term in self.glossary]}


def finite(value: float) -> float | None:
    """A number for JSON, which has no infinity: None stands for it."""
    return value if math.isfinite(value) else None
