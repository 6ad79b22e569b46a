"""ROUGE of single sentences, averaged over the lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from seqloom.metrics.base import Metric
from seqloom.registry import register

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["1", "2", "l", 1, 2]
Value = Literal["f", "p", "r"]


@register("rouge")
class Rouge(Metric):
    """How much of a reference a line has, in words (kind 1), pairs of words (2) or the longest common subsequence (l).

    https://aclanthology.org/W04-1013.  `value` is recall (r), precision (p) or what joins them (f): F1 for 1 and 2, and
    for l equation 4 with its β = precision / recall.  A line counts each of its n-grams once.  A score is the mean
    over the lines, without stemming and without stop words; words are what whitespace separates.
    """

    def __init__(self, *, kind: Kind = "l", value: Value = "f") -> None:
        for name, chosen, choices in (("kind", kind, get_args(Kind)), ("value", value, get_args(Value))):
            if chosen not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices[:3])}, got {chosen!r}")
        self.kind, self.which = str(kind), value
        self.name = f"rouge_{kind}_{value}"
        self.label = f"ROUGE-{self.kind.upper()} {value.upper()}"

    def statistics(self, hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
        """The score of each line from 0 to 1, and 1 for its having been asked, [lines, 2]."""
        import numpy as np

        pairs = zip(hypotheses, references, strict=True)
        return np.array([(self._line(one.split(), other.split()), 1) for one, other in pairs], np.float64)

    def value(self, sums: NDArray[np.float64]) -> float:
        """The mean of the lines' scores, in percent."""
        return float(100 * sums[0] / sums[1])

    def signature(self, *, bootstrap: int, seed: int) -> str:
        """In the form of sacrebleu's signatures."""
        resampled = f"bs:{bootstrap}|seed:{seed}|" if bootstrap else ""
        what = "lcs:sentence|beta:p/r" if self.kind == "l" else "ngrams:sets"
        return f"nrefs:1|{resampled}case:mixed|tok:none|{what}|version:seqloom"

    def _line(self, hypothesis: list[str], reference: list[str]) -> float:
        if self.kind == "l":
            common, offered, wanted = common_subsequence(hypothesis, reference), len(hypothesis), len(reference)
        else:
            mine, theirs = (_ngrams(words, int(self.kind)) for words in (hypothesis, reference))
            common, offered, wanted = len(mine & theirs), len(mine), len(theirs)
        if not common:
            return 0.0
        precision, recall = common / offered, common / wanted
        if self.which != "f":
            return precision if self.which == "p" else recall
        beta = precision / recall if self.kind == "l" else 1.0
        return (1 + beta**2) * recall * precision / (recall + beta**2 * precision)


def _ngrams(words: list[str], order: int) -> set[tuple[str, ...]]:
    return set(zip(*(words[start:] for start in range(order)), strict=False))


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest sequence of words that both have in this order, whatever stands between them.

    A row of the usual table of prefixes is one integer whose zeros are the places where the length grows
    (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"), so that a long summary costs no more than its words.
    """
    places: dict[str, int] = defaultdict(int)
    for place, word in enumerate(one):
        places[word] |= 1 << place
    row = everything = (1 << len(one)) - 1
    for word in other:
        found = row & places.get(word, 0)
        row = (row + found) | (row - found)
    return len(one) - (row & everything).bit_count()
