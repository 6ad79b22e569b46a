"""How much of each corpus there is in the training data: by size, by weight, by temperature, or so many times each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor


@dataclass(frozen=True)
class Mixture:
    """How many pairs of each corpus a pool has on average; exact fractions, so that nothing drifts."""

    rates: tuple[Fraction, ...]
    epoch: int  # pairs that the data are gone through with once

    def window(self, corpus: int, pool: int) -> tuple[int, int]:
        """From where to where in a corpus's endless stream a pool reaches."""
        return floor(self.rates[corpus] * pool), floor(self.rates[corpus] * (pool + 1))


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """What decides the shares of the corpora: one of these, or their sizes where all are None."""

    weights: Sequence[float] | None = None  # shares of the pairs
    temperature: float | None = None  # shares of size^(1 / temperature)
    upsample: Sequence[int] | None = None  # how often an epoch holds each corpus

    def mixture(self, sizes: Sequence[int], *, pool_size: int) -> Mixture:
        """The mixture of corpora with so many pairs.  Raises ValueError for numbers that can't be meant."""
        count = len(sizes)
        if self.weights is not None:
            return _shared(self.weights, sizes, pool_size)
        if self.temperature is not None:
            return _shared(tempered(sizes, self.temperature), sizes, pool_size)
        times = [1] * count if self.upsample is None else self.upsample
        if not count or len(times) != count or min(times) < 1:
            raise ValueError(f"each corpus is in an epoch at least once; got {count} corpora and {list(times)} times")
        return _whole([size * n for size, n in zip(sizes, times, strict=True)], pool_size)


BY_SIZE = Mixing()


def tempered(sizes: Sequence[int], temperature: float) -> list[float]:
    """The shares of corpora of these sizes at a temperature: size^(1 / temperature), summing to 1.

    At 1 they are by size, and the higher it is, the more alike they are; https://arxiv.org/abs/1907.05019, section 4.2.
    """
    raised = [(size / max(sizes)) ** (1 / temperature) for size in sizes]
    return [share / sum(raised) for share in raised]


def _shared(weights: Sequence[float], sizes: Sequence[int], pool_size: int) -> Mixture:
    """Pools of the usual size, of which each corpus has its share."""
    if not sizes or len(weights) != len(sizes) or min(weights) <= 0:
        raise ValueError(f"each corpus needs a weight above 0; got {len(sizes)} corpora and weights {list(weights)}")
    pairs, whole = max(min(pool_size, sum(sizes)), len(sizes)), sum(map(Fraction, weights))
    return Mixture(tuple(pairs * Fraction(weight) / whole for weight in weights), sum(sizes))


def _whole(counts: Sequence[int], pool_size: int) -> Mixture:
    """Pools of equal size, an epoch of which has exactly so many pairs of each corpus."""
    pools = ceil(sum(counts) / max(pool_size, 2 * len(counts)))  # so that no pool is without pairs
    return Mixture(tuple(Fraction(count, pools) for count in counts), sum(counts))
