"""Another order for what a search found: by what more can be known of whole translations than word by word.

A `Reranker` takes translations with several alternatives each and puts these in another order.  What it went by is
their new score; what that was made of is among their features, by its name.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, get_args

import numpy as np

from seqloom.metrics.sentences import UTILITIES, Utility, similarities
from seqloom.translate import Translator
from seqloom.translation import Alternative, Translation

TOGETHER = 64  # translations that are reranked at a time
LABELS = {"chrf": "chrF", "bleu": "BLEU"}
Weighting = Literal["counts", "probabilities"]


class Reranker(ABC):
    """One way to put alternatives in order."""

    @abstractmethod
    def rerank(self, translations: Sequence[Translation]) -> list[Translation]:
        """The same translations, the alternatives of each in their new order, the best first."""


def reranked(translations: Iterable[Translation], reranker: Reranker) -> Iterator[Translation]:
    """The translations of a stream, some at a time."""
    remaining = iter(translations)
    while some := list(islice(remaining, TOGETHER)):
        yield from reranker.rerank(some)


@dataclass(frozen=True)
class MinimumBayesRisk(Reranker):
    """The alternative first that is most like all of them (https://arxiv.org/abs/2005.10283).

    Its score is the mean `utility` of an alternative with each of them as its reference, itself included.  They weigh
    as "counts" say, each as often as it was drawn, which is right for samples; or as their "probabilities", which is
    right for the results of a beam (https://aclanthology.org/N04-1022).
    """

    utility: Utility = "chrf"
    weighting: Weighting = "counts"

    def __post_init__(self) -> None:
        """Raises ValueError for what isn't known."""
        if self.utility not in UTILITIES:
            raise ValueError(f"a utility must be {' or '.join(UTILITIES)}, got {self.utility!r}")
        if self.weighting not in get_args(Weighting):
            raise ValueError(f"weighting must be {' or '.join(get_args(Weighting))}, got {self.weighting!r}")

    def rerank(self, translations: Sequence[Translation]) -> list[Translation]:
        return [self._reranked(translation) for translation in translations]

    def _reranked(self, translation: Translation) -> Translation:
        alternatives = translation.alternatives
        distinct = list(dict.fromkeys(alternative.text for alternative in alternatives))
        if not distinct:
            return translation
        weights = dict.fromkeys(distinct, 0.0)
        for alternative, weight in zip(alternatives, self._weights(alternatives), strict=True):
            weights[alternative.text] += weight
        shares = np.array(list(weights.values()))
        expected = similarities(distinct, self.utility) @ (shares / shares.sum())
        scores = dict(zip(distinct, expected.tolist(), strict=True))
        label = LABELS[self.utility]
        return _in_order(translation, [({label: scores[one.text]}, scores[one.text]) for one in alternatives])

    def _weights(self, alternatives: Sequence[Alternative]) -> list[float]:
        if self.weighting == "counts":
            return [1.0] * len(alternatives)
        most = max(alternative.log_prob for alternative in alternatives)
        return [math.exp(alternative.log_prob - most) for alternative in alternatives]


@dataclass(frozen=True)
class NoisyChannel(Reranker):
    """The alternative first that a model of the other direction thinks its source comes from, too.

    An alternative's score is its own + `weight` * what the `reverse` model scores the source, given the alternative, +
    `length_weight` * its tokens; both models' scores are normalised for length as their own options say.  The first two
    terms are those of a noisy channel (https://arxiv.org/abs/1908.05731, 2) and of mutual information
    (https://arxiv.org/abs/1510.03055).  A `tag` is what was put before each source; the reverse model isn't asked about
    it.
    """

    reverse: Translator
    weight: float = 0.5
    length_weight: float = 0.0
    tag: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a weight that is no number."""
        for name in ("weight", "length_weight"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)}")

    def rerank(self, translations: Sequence[Translation]) -> list[Translation]:
        """Raises UsageError for an engine of the reverse model that can't score."""
        sources = [t.source.removeprefix(f"{self.tag} ") if self.tag else t.source for t in translations]
        texts = [[alternative.text for alternative in t.alternatives] for t in translations]
        pairs = [(text, source) for source, several in zip(sources, texts, strict=True) for text in several]
        scores = (scored.score for scored in self.reverse.score(pairs))
        return [_in_order(t, [self._weighed(one, next(scores)) for one in t.alternatives]) for t in translations]

    def _weighed(self, alternative: Alternative, reverse: float) -> tuple[Mapping[str, float], float]:
        features = {"Model": alternative.score, "Reverse": reverse, "Length": float(len(alternative.tokens))}
        total = alternative.score + self.weight * reverse + self.length_weight * features["Length"]
        return features, total if math.isfinite(total) else -math.inf


def _in_order(translation: Translation, judged: Sequence[tuple[Mapping[str, float], float]]) -> Translation:
    """The translation with its alternatives by their new scores; those that are equally good stay in their order."""
    rescored = [
        replace(alternative, score=score, features={**alternative.features, **features})
        for alternative, (features, score) in zip(translation.alternatives, judged, strict=True)
    ]
    return replace(translation, alternatives=sorted(rescored, key=lambda alternative: -alternative.score))
