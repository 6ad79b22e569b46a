"""Batches of similar length, in an order that is a function of the seed and the position alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from seqloom.data.lengths import cut, length_order, padded
from seqloom.data.mixing import BY_SIZE, Mixing
from seqloom.data.permutation import Integers, key_of, shuffled, shuffled_stream
from seqloom.data.prepared import Ids, PreparedCorpus
from seqloom.data.variation import Variation
from seqloom.structures import Batch, Sequences

TIES, ORDER = -1, -2  # what a key is for, beside corpora 0, 1, ...


@dataclass(frozen=True)
class Position:
    """A place in the endless stream of batches: the next one to come is number `batch` of pool `pool`."""

    pool: int = 0
    batch: int = 0


@dataclass(frozen=True)
class Plan:
    """The batches of one pool: batch i holds the rows from `ends[i]` to `ends[i + 1]`, in the order `order`."""

    corpora: Integers  # [rows] which corpus a row is from
    indices: Integers  # [rows] its number there
    places: Integers  # [rows] its place in that corpus's endless stream
    ends: Integers  # [batches + 1]
    order: Integers  # [batches]

    def rows(self, batch: int) -> slice:
        """The rows of a batch."""
        which = self.order[batch]
        return slice(self.ends[which], self.ends[which + 1])


class TrainingBatches:
    """An endless stream of batches over a mixture of corpora.

    The data come in pools.  A pool takes the next pairs of each corpus's own endless shuffled stream, as many as the
    mixture says, sorts them by length, cuts them into batches and shuffles the batches.  With small data, mixed by size
    or so many times each, a pool is exactly one epoch; with larger ones an epoch is a whole number of pools.
    """

    def __init__(
        self,
        corpora: Sequence[PreparedCorpus],
        mixing: Mixing = BY_SIZE,
        *,
        batch_tokens: int,
        batch_sentences: int | None = None,
        seed: int,
        pool_size: int = 65536,
        variation: Variation | None = None,
    ):
        """The corpora are mixed by their sizes unless `mixing` says otherwise; `batch_tokens` counts padding too.

        With `batch_sentences` a batch has that many pairs instead, whatever their length; the last of a pool may have
        fewer.  A `variation` changes pairs after they are counted.  Raises ValueError for numbers that can't be meant.
        """
        if batch_tokens < 1 or pool_size < 1:
            raise ValueError(f"batch_tokens and pool_size must be at least 1, got {batch_tokens} and {pool_size}")
        if batch_sentences is not None and batch_sentences < 1:
            raise ValueError(f"batch_sentences must be at least 1, or None, got {batch_sentences}")
        self._corpora = corpora
        self._batch_tokens = batch_tokens
        self._batch_sentences = batch_sentences
        self._seed = seed
        self._variation = variation
        self._sizes = [len(corpus) for corpus in corpora]
        self._mixture = mixing.mixture(self._sizes, pool_size=pool_size)
        self._latest: tuple[int, Plan] | None = None  # planning is a function of the pool; this only saves time

    def iterate(self, start: Position = Position()) -> Iterator[tuple[Batch, Position]]:
        """Batches without end from `start`, each with the position after it, from where another `iterate` goes on."""
        pool, first = start.pool, start.batch
        while True:
            plan = self.plan(pool)
            for batch in range(first, len(plan.order)):
                last = batch + 1 == len(plan.order)
                yield self._collate(plan, batch), Position(pool + 1) if last else Position(pool, batch + 1)
            pool, first = pool + 1, 0

    def epoch(self, position: Position) -> float:
        """How often the data have been gone through at this position: pairs drawn so far / pairs of an epoch."""
        within = Fraction(position.batch, len(self.plan(position.pool).order)) if position.batch else 0
        return float((position.pool + within) * sum(self._mixture.rates) / self._mixture.epoch)

    @property
    def pairs(self) -> int:
        """How many pairs the corpora have together."""
        return sum(self._sizes)

    @property
    def tokens(self) -> tuple[int, int]:
        """How many source and target tokens the corpora have together, without bos and eos."""
        reports = [corpus.report for corpus in self._corpora]
        return sum(report.source_tokens for report in reports), sum(report.target_tokens for report in reports)

    def plan(self, pool: int) -> Plan:
        """The batches of a pool."""
        latest = self._latest  # once: another thread may be planning
        if latest is None or latest[0] != pool:
            self._latest = latest = pool, self._plan(pool)
        return latest[1]

    def _plan(self, pool: int) -> Plan:
        # 1. the next pairs of each corpus
        windows = [self._mixture.window(number, pool) for number in range(len(self._corpora))]
        places = [np.arange(*window, dtype=np.int64) for window in windows]
        drawn = [self._draw(number, own) for number, own in enumerate(places)]
        lengths = [corpus.lengths(indices) for corpus, indices in zip(self._corpora, drawn, strict=True)]
        source = np.concatenate([sides[0] for sides in lengths])
        target = np.concatenate([sides[1] for sides in lengths])
        # 2. in the order of their lengths, equals at random, cut into batches
        order = length_order(source, target, ties=shuffled(len(source), key_of(self._seed, TIES, pool)))
        ends = cut(np.maximum(source, target)[order] + 1, self._batch_tokens, self._batch_sentences)
        # 3. which come in a random order
        numbers = np.repeat(np.arange(len(drawn)), [len(indices) for indices in drawn])
        shuffle = shuffled(len(ends) - 1, key_of(self._seed, ORDER, pool))
        return Plan(numbers[order], np.concatenate(drawn)[order], np.concatenate(places)[order], ends, shuffle)

    def _draw(self, number: int, places: Integers) -> Integers:
        return shuffled_stream(places, size=self._sizes[number], key=key_of(self._seed, number))

    def _collate(self, plan: Plan, batch: int) -> Batch:
        rows = plan.rows(batch)
        corpora, indices = plan.corpora[rows], plan.indices[rows].tolist()
        pairs = [_pair(self._corpora[c], i) for c, i in zip(corpora.tolist(), indices, strict=True)]
        if self._variation:
            pairs = self._variation(pairs, corpora=corpora, places=plan.places[rows])
        return collate(pairs)


def valid_batches(corpus: PreparedCorpus, batch_tokens: int, batch_sentences: int | None = None) -> Iterator[Batch]:
    """Every pair of a corpus once, in batches of similar length."""
    for indices in valid_order(corpus, batch_tokens, batch_sentences):
        yield batch_of(corpus, indices)


def batch_of(corpus: PreparedCorpus, indices: Integers) -> Batch:
    """The batch with the pairs of a corpus at these indices."""
    return collate([_pair(corpus, i) for i in indices.tolist()])


def valid_order(corpus: PreparedCorpus, batch_tokens: int, batch_sentences: int | None = None) -> list[Integers]:
    """The indices of the pairs in each batch of `valid_batches`."""
    source, target = corpus.lengths(np.arange(len(corpus)))
    order = length_order(source, target, ties=np.arange(len(corpus)))
    ends = cut(np.maximum(source, target)[order] + 1, batch_tokens, batch_sentences)
    return np.split(order, ends[1:-1])


def _pair(corpus: PreparedCorpus, index: int) -> tuple[Ids, Ids]:
    return corpus.source(index), corpus.target(index)


def collate(pairs: Sequence[tuple[Ids, Ids]]) -> Batch:
    """A batch of these pairs of ids: eos behind the source, bos before and eos behind the target."""
    sources, targets = zip(*pairs, strict=True)
    return Batch(_padded(sources, before=0), _padded(targets, before=1), tuple(len(target) + 1 for target in targets))


def collate_source(rows: Sequence[Ids | Sequence[int]]) -> Sequences:
    """Source sentences [B, S] for a model: eos behind each."""
    return _padded([np.asarray(row, np.int64) for row in rows], before=0)


def _padded(rows: Sequence[NDArray[np.integer]], *, before: int) -> Sequences:
    return Sequences(*map(torch.from_numpy, padded(rows, before=before)))
