"""Batches hold every pair once an epoch, little padding, and the same rows wherever one starts."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seqloom.data.batches import (
    Position,
    TrainingBatches,
    collate,
    collate_source,
    valid_batches,
    valid_order,
)
from seqloom.data.lengths import LEAST, ROWS, SLACK, cut, cut_among
from seqloom.data.mixing import Mixing
from seqloom.data.prepared import Ids, PreparedCorpus
from seqloom.data.writer import Report
from seqloom.structures import Batch, Sequences
from seqloom.vocabulary import BOS, EOS


class MadeUp(PreparedCorpus):
    """A corpus in memory, of given lengths; every source starts with its own number."""

    def __init__(self, source: NDArray[np.int64], target: NDArray[np.int64], *, first: int = 4):
        self.report = Report(len(source), source_tokens=int(source.sum()), target_tokens=int(target.sum()))
        self._sizes = source, target
        self._first = first

    def source(self, index: int) -> Ids:
        return np.full(self._sizes[0][index], self._first + index)

    def target(self, index: int) -> Ids:
        return np.full(self._sizes[1][index], self._first + index)

    def lengths(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self._sizes[0][indices], self._sizes[1][indices]


def captions(count: int, *, seed: int = 0, first: int = 4) -> MadeUp:
    """Lengths like those of image captions: mean 13, deviation 4, correlated."""
    noise = np.random.default_rng(seed).multivariate_normal([13, 13], [[16, 12.8], [12.8, 16]], count)
    source, target = np.clip(np.rint(noise), 1, None).astype(np.int64).T
    return MadeUp(source, target, first=first)


def seen(batches: list[Batch]) -> Counter[int]:
    return Counter(number for batch in batches for number in batch.source.ids[:, 0].tolist())


def same(one: Any, other: Any) -> bool:
    return all(
        torch.equal(getattr(getattr(one, side), field), getattr(getattr(other, side), field))
        for side in ("source", "target")
        for field in ("ids", "mask")
    )


def one_pool(batches: TrainingBatches, pool: int = 0) -> list[Batch]:
    count = len(batches.plan(pool).order)
    return [batch for batch, _ in islice(batches.iterate(Position(pool)), count)]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=60),
    batch_tokens=st.integers(1, 200),
    seed=st.integers(0, 2**31),
    pool=st.integers(0, 10**6),
)
def test_a_pool_of_small_data_is_an_epoch(
    sizes: list[tuple[int, int]], batch_tokens: int, seed: int, pool: int
) -> None:
    corpus = MadeUp(*np.array(sizes).T)
    batches = TrainingBatches([corpus], batch_tokens=batch_tokens, seed=seed)
    made = one_pool(batches, pool)
    assert seen(made) == Counter(range(4, 4 + len(sizes)))
    assert batches.epoch(Position(pool)) == pool
    for batch in made:
        rows, longest = len(batch.source.ids), max(batch.source.ids.shape[1], batch.target.ids.shape[1] - 1)
        assert rows == 1 or rows * longest <= batch_tokens


@given(data=st.data(), weighted=st.booleans(), pool_size=st.sampled_from([50, 65536]))
def test_starting_anywhere_goes_on_the_same(data: st.DataObject, weighted: bool, pool_size: int) -> None:
    corpora = [captions(40, seed=1), captions(70, seed=2, first=100)]

    def fresh() -> TrainingBatches:
        mixing = Mixing(weights=[3.0, 1.0] if weighted else None)
        return TrainingBatches(corpora, mixing, batch_tokens=60, seed=5, pool_size=pool_size)

    whole = list(islice(fresh().iterate(), 120))
    start = data.draw(st.integers(1, 100))
    again = list(islice(fresh().iterate(whole[start - 1][1]), 20))
    assert [position for _, position in again] == [position for _, position in whole[start : start + 20]]
    assert all(same(one[0], other[0]) for one, other in zip(again, whole[start:], strict=False))


def test_seeds_and_epochs_differ() -> None:
    corpus = captions(500)
    orders = [
        tuple(
            number
            for batch in one_pool(TrainingBatches([corpus], batch_tokens=300, seed=seed), pool)
            for number in batch.source.ids[:, 0].tolist()
        )
        for seed, pool in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert len(set(orders)) == 4


def test_large_data_come_in_pools_and_each_pair_once_an_epoch() -> None:
    batches = TrainingBatches([captions(1000)], batch_tokens=300, seed=3, pool_size=100)
    pools = [seen(one_pool(batches, pool)) for pool in range(20)]
    assert all(sum(pool.values()) == 100 for pool in pools)
    assert sum(pools[:10], Counter()) == sum(pools[10:], Counter()) == Counter(range(4, 1004))
    assert batches.epoch(Position(10)) == 1.0
    assert 0.1 < batches.epoch(Position(1, 1)) < 0.2


def test_weights_are_shares_of_the_pairs() -> None:
    corpora = [captions(1000), captions(100, first=5000)]
    batches = TrainingBatches(corpora, Mixing(weights=[1.0, 3.0]), batch_tokens=300, seed=3, pool_size=400)
    counts = sum((seen(one_pool(batches, pool)) for pool in range(10)), Counter())
    heavy = [counts[number] for number in range(5000, 5100)]
    assert sum(heavy) == 3000
    assert set(heavy) == {30}  # an over-sampled corpus is gone through evenly
    assert {counts[number] for number in range(4, 1004)} == {1}
    assert (batches.pairs, batches.tokens[0]) == (1100, sum(corpus.report.source_tokens for corpus in corpora))


@pytest.mark.parametrize("count", [29_000, 65_536])
def test_little_padding_and_little_time(count: int) -> None:
    batches = TrainingBatches([captions(count)], batch_tokens=2048, seed=0)
    started = time.process_time()
    batches.plan(0)
    assert time.process_time() - started < 1.0  # about 0.1 s on a quiet core
    made = one_pool(batches)
    for side in ("source", "target"):
        masks = [getattr(batch, side).mask for batch in made]
        assert 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks) < 0.05


@given(
    lengths=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=60),
    sentences=st.integers(1, 70),
    seed=st.integers(0, 2**31),
)
def test_batches_of_so_many_sentences(lengths: list[tuple[int, int]], sentences: int, seed: int) -> None:
    corpus = MadeUp(*np.array(lengths).T)
    made = one_pool(TrainingBatches([corpus], batch_tokens=1, batch_sentences=sentences, seed=seed))
    assert sum((seen([batch]) for batch in made), Counter()) == seen(list(valid_batches(corpus, 10**6)))
    sizes = sorted((len(batch.source.ids) for batch in made), reverse=True)
    assert sizes[:-1] == [sentences] * (len(sizes) - 1) and 0 < sizes[-1] <= sentences
    ranges = sorted((*batch.target.lengths().aminmax(),) for batch in made)
    assert all(before[1] <= after[0] for before, after in zip(ranges, ranges[1:], strict=False)), "of similar length"


def test_batches_of_sentences_go_on_the_same_from_anywhere() -> None:
    def fresh() -> TrainingBatches:
        return TrainingBatches([captions(90)], batch_tokens=60, batch_sentences=7, seed=5, pool_size=50)

    whole = list(islice(fresh().iterate(), 40))
    for start in (1, 13, 20):
        again = list(islice(fresh().iterate(whole[start - 1][1]), 20))
        assert [position for _, position in again] == [position for _, position in whole[start : start + 20]]
        assert all(same(one[0], other[0]) for one, other in zip(again, whole[start:], strict=False))


@pytest.mark.parametrize("sentences", [None, 7])
def test_valid_batches_hold_every_pair_once(sentences: int | None) -> None:
    corpus = captions(300)
    made = list(valid_batches(corpus, 200, sentences))
    assert seen(made) == Counter(range(4, 304))
    assert sentences is None or [len(batch.source.ids) for batch in made] == [7] * 42 + [6]
    order = np.concatenate(valid_order(corpus, 200, sentences))
    assert torch.cat([batch.source.ids[:, 0] for batch in made]).tolist() == (order + 4).tolist()


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1) | st.lists(st.integers(1, 5) | st.just(50), min_size=30),
    batch_tokens=st.integers(1, 200),
)
def test_cuts_fit_and_none_could_be_left_out(lengths: list[int], batch_tokens: int) -> None:
    """But for the few rows that make a large batch a multiple of so many."""
    ends = cut(np.array(lengths), batch_tokens).tolist()
    assert (ends[0], ends[-1]) == (0, len(lengths))
    for start, end in zip(ends, ends[1:], strict=False):
        assert end == start + 1 or (end - start) * max(lengths[start:end]) <= batch_tokens
        if end < len(lengths):
            whole = end - start if end - start < 2 * ROWS else end - start + ROWS - 1
            assert (whole + 1) * max(lengths[start : start + whole + 1]) > batch_tokens
            assert (end - start) % ROWS == 0 or end - start < 2 * ROWS


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=400).map(sorted),
    batch_tokens=st.integers(60, 4000),
    workers=st.integers(1, 4),
)
def test_workers_get_as_many_batches_each(lengths: list[int], batch_tokens: int, workers: int) -> None:
    ends, alone = (
        part.tolist()
        for part in (cut_among(np.array(lengths), batch_tokens, workers), cut(np.array(lengths), batch_tokens))
    )
    assert (ends[0], ends[-1]) == (0, len(lengths)) and ends == sorted(set(ends))
    tokens = [(end - start) * lengths[end - 1] for start, end in zip(ends, ends[1:], strict=False)]
    assert max(tokens) <= batch_tokens * (1 + SLACK * workers)
    if workers == 1 or sum(lengths) < workers * LEAST and len(alone) == 2:
        assert ends == alone
    else:
        assert len(tokens) <= -(-len(alone) // workers) * workers


def test_no_worker_waits_for_the_last_batch() -> None:
    lengths = np.sort(np.random.default_rng(0).poisson(13, 1000) + 1)
    assert len(cut(lengths, 4096)) - 1 == 5
    ends = cut_among(lengths, 4096, 2)
    tokens = np.diff(ends) * lengths[ends[1:] - 1]
    assert len(tokens) == 4 and max(tokens) < 1.1 * min(tokens)
    assert len(cut_among(lengths[::4], 4096, 2)) - 1 == 2, "both have something to do"
    assert len(cut_among(lengths[::40], 4096, 2)) - 1 == 1, "little is not worth it"


def rows_of(value: Sequences) -> list[list[int]]:
    assert value.ids.dtype == torch.int64
    assert torch.equal(value.mask, value.mask.sort(1, descending=True).values), "padding comes last"
    return [ids[mask].tolist() for ids, mask in zip(value.ids, value.mask, strict=True)]


ROW = st.lists(st.integers(4, 60_000), max_size=9)


@given(pairs=st.lists(st.tuples(ROW, ROW), min_size=1, max_size=9))
def test_collating_adds_specials_and_padding(pairs: list[tuple[list[int], list[int]]]) -> None:
    batch = collate([(np.array(s, np.uint16), np.array(t, np.uint16)) for s, t in pairs])
    assert rows_of(batch.source) == [[*source, EOS] for source, _ in pairs]
    assert rows_of(batch.target) == [[BOS, *target, EOS] for _, target in pairs]
    assert batch.source.ids.shape[1] == max(len(source) for source, _ in pairs) + 1
    assert rows_of(collate_source([source for source, _ in pairs])) == rows_of(batch.source)


@pytest.mark.parametrize(
    ("weights", "numbers", "sentence"),
    [
        ([1.0, 2.0], {}, "each corpus needs a weight above 0; got 1 corpora and weights [1.0, 2.0]"),
        ([0.0], {}, "each corpus needs a weight above 0; got 1 corpora and weights [0.0]"),
        (None, {"batch_tokens": 0}, "batch_tokens and pool_size must be at least 1, got 0 and 65536"),
        (None, {"batch_sentences": 0}, "batch_sentences must be at least 1, or None, got 0"),
    ],
)
def test_bad_calls_are_sentences(weights: list[float] | None, numbers: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        TrainingBatches([captions(3)], Mixing(weights=weights), **{"batch_tokens": 10, "seed": 0, **numbers})
    assert str(said.value) == sentence
