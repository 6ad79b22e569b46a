"""How alike sentences are, each to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Utility = Literal["chrf", "bleu"]
UTILITIES: tuple[str, ...] = get_args(Utility)


def similarities(texts: Sequence[str], utility: Utility = "chrf") -> NDArray[np.float64]:
    """Sentence-level chrF2 or BLEU as sacrebleu scores it, [n, n], in percent: of text i, with text j as its reference.

    Each text is counted once, and what two have in common once for both directions.  Raises ValueError for a utility
    that isn't known.
    """
    import numpy as np

    if utility not in UTILITIES:
        raise ValueError(f"a utility must be {' or '.join(UTILITIES)}, got {utility!r}")
    counts = _Characters() if utility == "chrf" else _Words()
    counted = [counts.count(text) for text in texts]
    result = np.empty((len(texts), len(texts)))
    for i, one in enumerate(counted):
        result[i, i] = counts.score(one, one, _common(one, one))
    for (i, one), (j, other) in combinations(enumerate(counted), 2):
        common = _common(one, other)
        result[i, j], result[j, i] = counts.score(one, other, common), counts.score(other, one, common)
    return result


Counts = list[Counter[Any]]  # the n-grams of a text, for each n


def _common(one: Counts, other: Counts) -> list[int]:
    """How many n-grams two texts have in common, for each n."""
    return [_shared(*sorted(pair, key=len)) for pair in zip(one, other, strict=True)]


def _shared(few: Counter[Any], many: Counter[Any]) -> int:
    return sum(min(count, many[ngram]) for ngram, count in few.items() if ngram in many)


class _Characters:
    """chrF2."""

    def __init__(self) -> None:
        from sacrebleu.metrics.chrf import CHRF

        self.scorer: Any = CHRF()

    def count(self, text: str) -> Counts:
        # sacrebleu names these methods as its own, but has no public way to count a text once
        ngrams: Counts = self.scorer._extract_reference_info([self.scorer._preprocess_segment(text)])["ref_ngrams"][0]
        return ngrams

    def score(self, text: Counts, reference: Counts, common: list[int]) -> float:
        statistics = []
        for own, wanted, shared in zip(text, reference, common, strict=True):
            statistics += [own.total() if wanted else 0, wanted.total(), shared]
        return float(self.scorer._compute_score_from_stats(statistics).score)


class _Words:
    """BLEU of the orders that a sentence has, as sacrebleu's own sentence score."""

    def __init__(self) -> None:
        from sacrebleu.metrics.bleu import BLEU

        self.scorer: Any = BLEU(effective_order=True)

    def count(self, text: str) -> Counts:
        info = self.scorer._extract_reference_info([self.scorer._preprocess_segment(text)])
        by_order: Counts = [Counter() for _ in range(self.scorer.max_ngram_order)]
        for ngram, count in info["ref_ngrams"].items():
            by_order[len(ngram) - 1][ngram] = count
        return by_order

    def score(self, text: Counts, reference: Counts, common: list[int]) -> float:
        totals = [ngrams.total() for ngrams in text]
        statistics = [totals[0], reference[0].total(), *common, *totals]
        return float(self.scorer._compute_score_from_stats(statistics).score)
