"""BLEU and chrF as sacrebleu computes them, and exact match."""

from __future__ import annotations

import copy
import importlib.util
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from seqloom.metrics.base import Metric
from seqloom.registry import register

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tokenize = Literal["13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none"]
Smooth = Literal["exp", "floor", "add-k", "none"]

_DOWNLOADED = ("spm", "flores101", "flores200", "spBLEU-1K")
_NEEDS = {"ja-mecab": ("MeCab", "sacrebleu[ja]"), "ko-mecab": ("mecab_ko", "sacrebleu[ko]")}


class _Sacrebleu(Metric):
    """A measure that sacrebleu counts and adds up, so that its numbers are the ones that papers compare."""

    @cached_property
    def scorer(self) -> Any:
        """The metric object of sacrebleu, made at first use because the import is slow."""
        return self.build()

    @abstractmethod
    def build(self) -> Any:
        """A new metric object of sacrebleu."""

    def statistics(self, hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
        """The n-gram counts of each line, [lines, C]."""
        import numpy as np

        # sacrebleu names this method as its own, but has no public way to the counts of a line
        counts = self.scorer._extract_corpus_statistics(hypotheses, [references])
        return np.array(counts, dtype=np.float64)

    def value(self, sums: NDArray[np.float64]) -> float:
        """The score in percent that these counts [C] amount to."""
        return float(self.scorer._compute_score_from_stats(sums.tolist()).score)

    def signature(self, *, bootstrap: int, seed: int) -> str:
        """sacrebleu's own signature."""
        scorer = copy.copy(self.scorer)  # what it notes for the signature must not stay
        scorer.num_refs = 1
        scorer.n_bootstrap, scorer.seed = (bootstrap, str(seed)) if bootstrap else (None, None)
        return str(scorer.get_signature())


@register("bleu")
class Bleu(_Sacrebleu):
    """BLEU of whole corpora, free of a tokenizer's choices because it brings its own.

    https://arxiv.org/abs/1804.08771.  With `tokenize` and `smooth` "none" it is the multi-bleu.perl of Moses, for text
    that was cut into tokens before.  Raises ValueError for a tokenizer that needs the network or a missing package.
    """

    name = "bleu"
    label = "BLEU"

    def __init__(self, *, tokenize: Tokenize = "13a", lowercase: bool = False, smooth: Smooth = "exp") -> None:
        _check_tokenizer(tokenize)
        if smooth not in get_args(Smooth):
            raise ValueError(f"smooth must be one of {', '.join(get_args(Smooth))}, got {smooth!r}")
        self.tokenize = tokenize
        self.lowercase = lowercase
        self.smooth = smooth

    def build(self) -> Any:
        """A new `sacrebleu.BLEU`."""
        from sacrebleu.metrics.bleu import BLEU

        # whoever chose no tokenizer knows that the text looks tokenized, and needs no warning (`force`)
        known = self.tokenize == "none"
        return BLEU(tokenize=self.tokenize, lowercase=self.lowercase, smooth_method=self.smooth, force=known)


@register("chrf")
class Chrf(_Sacrebleu):
    """F-score of character 6-grams, weighing recall twice; with `word_order` 2 it is chrF++.

    https://aclanthology.org/W15-3049.  Raises ValueError for a negative `word_order`.
    """

    name = "chrf"

    def __init__(self, *, word_order: int = 0) -> None:
        if word_order < 0:
            raise ValueError(f"word_order must be 0 or more, got {word_order}")
        self.word_order = word_order
        self.label = "chrF2" + "+" * word_order

    def build(self) -> Any:
        """A new `sacrebleu.CHRF`."""
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order)


@register("exact")
class ExactMatch(Metric):
    """The share of lines that equal their reference, blanks at both ends aside."""

    name = "exact"
    label = "exact match"

    def statistics(self, hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
        """One line each: 1 if it is right, and 1 for having been asked, [lines, 2]."""
        import numpy as np

        pairs = zip(hypotheses, references, strict=True)
        return np.array([(hypothesis.strip() == reference.strip(), 1) for hypothesis, reference in pairs], np.float64)

    def value(self, sums: NDArray[np.float64]) -> float:
        """The right lines among all, in percent."""
        return float(100 * sums[0] / sums[1])

    def signature(self, *, bootstrap: int, seed: int) -> str:
        """In the form of sacrebleu's signatures."""
        resampled = f"bs:{bootstrap}|seed:{seed}|" if bootstrap else ""
        return f"nrefs:1|{resampled}case:mixed|strip:yes|version:seqloom"


def _check_tokenizer(tokenize: str) -> None:
    choices = ", ".join(get_args(Tokenize))
    if tokenize in _DOWNLOADED:
        raise ValueError(
            f"tokenize {tokenize!r} would download a model, and measuring must work offline; choose one of {choices}"
        )
    if tokenize not in get_args(Tokenize):
        raise ValueError(f"tokenize must be one of {choices}, got {tokenize!r}")
    if tokenize in _NEEDS and importlib.util.find_spec(_NEEDS[tokenize][0]) is None:
        raise ValueError(f"tokenize {tokenize!r} needs a package that is not here: pip install '{_NEEDS[tokenize][1]}'")
