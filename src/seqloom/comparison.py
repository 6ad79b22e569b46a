"""How much of what one engine says another one says, too: the proof that an export stands for its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from seqloom.metrics import Bleu
from seqloom.translate import Translation, Translator

RESAMPLES = 1000
AGREEMENT = {"float32": 0.99}  # the least share of tokens by precision, unless a user says otherwise; of others:
AGREEMENT_OF_OTHERS = 0.75
BLEU_LOSS = 0.5


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Translations of the same lines, by the native engine and by another."""

    lines: int
    equal: float  # the share of lines with the same translation
    tokens: float  # the share of tokens that need no edit to become the native ones
    mean_difference: float  # of scores, without their sign, where translations are the same
    largest_difference: float
    bleu: float  # the other's less the native one's
    low: float  # the ends of the difference's 95 % interval, from paired resamples
    high: float

    def complaint(self, *, least_agreement: float, most_bleu_loss: float) -> str | None:
        """Why this is too little; None if it isn't.

        BLEU that falls by more than is allowed counts if that can't be chance: if the interval is below 0.
        """
        if self.tokens < least_agreement:
            return f"{self.tokens:.1%} of its tokens are the native engine's, and {least_agreement:.1%} must be"
        if -self.bleu > most_bleu_loss and self.high < 0:
            return f"it loses {-self.bleu:.2f} BLEU, and {most_bleu_loss:g} may be lost"
        return None

    def __str__(self) -> str:
        return (
            f"{self.lines:,} lines beside the native engine: {self.equal:.1%} are equal, {self.tokens:.1%} of tokens; "
            f"scores differ by {self.mean_difference:.1e} in the mean and {self.largest_difference:.1e} at most; "
            f"BLEU {self.bleu:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self)


def compare(native: Translator, other: Translator, sources: Sequence[str], references: Sequence[str]) -> Comparison:
    """Let both translate these lines, of which there is one at least, as they do by themselves."""
    ours, theirs = native.translate(sources), other.translate(sources)
    tokens = [(_tokens(one), _tokens(two)) for one, two in zip(ours, theirs, strict=True)]
    edits = sum(edits_between(one, two) for one, two in tokens)
    count = sum(max(len(one), len(two)) for one, two in tokens)
    same = [abs(a.score - b.score) for a, b in zip(ours, theirs, strict=True) if a.text == b.text]
    texts = [one.text for one in ours], [one.text for one in theirs]
    difference, low, high = bleu_difference(*texts, references)
    return Comparison(
        lines=len(sources),
        equal=len(same) / len(sources),
        tokens=1 - edits / max(count, 1),
        mean_difference=float(np.mean(same)) if same else 0.0,
        largest_difference=max(same, default=0.0),
        bleu=difference,
        low=low,
        high=high,
    )


def edits_between(one: Sequence[str], other: Sequence[str]) -> int:
    """The fewest tokens to put in, take out or exchange that make one of the other (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, token in enumerate(one, 1):
        above, row = row, [i]
        for j, wanted in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (token != wanted)))
    return row[-1]


def _tokens(translation: Translation) -> list[str]:
    return translation.alternatives[0].tokens if translation.alternatives else []


def bleu_difference(
    ours: Sequence[str], theirs: Sequence[str], references: Sequence[str]
) -> tuple[float, float, float]:
    """BLEU of theirs less ours, and where 95 % of the differences lie when the same lines are drawn for both.

    https://aclanthology.org/W04-3250
    """
    bleu, random = Bleu(), np.random.default_rng(12345)
    counts = [bleu.statistics(texts, references) for texts in (theirs, ours)]
    whole = [bleu.value(side.sum(0)) for side in counts]
    drawn = (random.integers(len(ours), size=len(ours)) for _ in range(RESAMPLES))
    differences = [bleu.value(counts[0][rows].sum(0)) - bleu.value(counts[1][rows].sum(0)) for rows in drawn]
    low, high = np.quantile(differences, [0.025, 0.975])
    return whole[0] - whole[1], float(low), float(high)
