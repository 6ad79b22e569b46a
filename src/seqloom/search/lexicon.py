"""Which target symbols stand for which source symbols, learnt from sentences that mean the same.

IBM model 1 (Brown et al. 1993, https://aclanthology.org/J93-2003, 4.1): each target symbol was made by one symbol of
the source, or by none, whatever their places; expectation maximisation finds the probabilities t(target | source).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 4_000_000  # links of a source and a target symbol looked at together: some 200 MB
ROUNDS = 5

Ids = NDArray[Any]
Pair = tuple[Ids, Ids]  # source [S] and target [T], with neither bos nor eos
Pairs = Callable[[], Iterable[Pair]]  # the same ones, as often as it is called


@dataclass(frozen=True)
class Lexicon:
    """All pairs of symbols that were seen together, M of them; the source symbol after the last stands for none."""

    source: NDArray[np.int64]  # [M]
    target: NDArray[np.int64]  # [M]
    probability: NDArray[np.float64]  # [M] t(target | source)
    count: NDArray[np.float64]  # [M] how often the source symbol made the target symbol, as far as one can tell
    sources: int  # how many symbols there are on each side
    targets: int


@dataclass(frozen=True)
class _Links:
    """Some sentences' links: each target position with each symbol that may have made it."""

    keys: NDArray[np.int64]  # [N] source * symbols + target; those of a target position stand together
    starts: NDArray[np.int64]  # [P] where those of each target position begin


def learn_lexicon(pairs: Pairs, *, sources: int, targets: int, rounds: int = ROUNDS) -> Lexicon:
    """The lexicon of these pairs of sentences, with so many symbols a side; memory grows with what is seen together.

    Raises ValueError if there is no pair.
    """
    keys = np.zeros(0, np.int64)
    for links in _links(pairs(), sources, targets):
        keys = np.union1d(keys, links.keys)
    if not len(keys):
        raise ValueError("there are no sentences to learn from")
    source, target = np.divmod(keys, targets)
    probability, counts = np.full(len(keys), 1 / targets), np.zeros(len(keys))
    for _ in range(rounds):
        counts = np.zeros(len(keys))
        for links in _links(pairs(), sources, targets):
            places = np.searchsorted(keys, links.keys)
            counts += np.bincount(places, _shares(probability[places], links.starts), len(keys))
        totals = np.bincount(source, counts, sources + 1)
        probability = counts / np.maximum(totals[source], np.finfo(float).tiny)
    return Lexicon(source, target, probability, counts, sources, targets)


def _shares(weights: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weights [N] of each target position's links, made to add up to 1."""
    sizes = np.diff(starts, append=len(weights))
    totals: NDArray[np.float64] = np.maximum(np.add.reduceat(weights, starts), np.finfo(float).tiny)
    return weights / totals.repeat(sizes)


def _links(pairs: Iterable[Pair], sources: int, targets: int) -> Iterator[_Links]:
    """The links of all sentences, some sentences at a time."""
    found: list[NDArray[np.int64]] = []
    sizes: list[NDArray[np.int64]] = []
    waiting = 0
    for source, target in pairs:
        makers = np.append(np.unique(source.astype(np.int64)), sources)  # the last one is none of them
        found.append((makers * targets + target.astype(np.int64)[:, None]).ravel())
        sizes.append(np.full(len(target), len(makers)))
        waiting += found[-1].size
        if waiting >= AT_ONCE:
            yield _joined(found, sizes)
            found, sizes, waiting = [], [], 0
    if waiting:
        yield _joined(found, sizes)


def _joined(found: list[NDArray[np.int64]], sizes: list[NDArray[np.int64]]) -> _Links:
    ends = np.cumsum(np.concatenate(sizes))
    return _Links(np.concatenate(found), np.append(0, ends[:-1]))
