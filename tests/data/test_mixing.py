"""Mixtures hold exactly what was asked for, start anywhere at once, and leave what is prepared alone."""

from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.config.root import read_config
from seqloom.data import cache, permutation
from seqloom.data.batches import Position, TrainingBatches
from seqloom.data.mixing import Mixing, tempered
from seqloom.data.prepared import Ids, PreparedCorpus
from seqloom.data.report import Report
from seqloom.structures import Batch

FAR = 10**12  # pools


class Counting(PreparedCorpus):
    """A corpus of any size that holds nothing: source i is [i], and it notes what it was asked for."""

    def __init__(self, size: int, *, first: int = 3):
        self.report = Report(size)
        self.first, self.asked = first, 0

    def source(self, index: int) -> Ids:
        return np.array([self.first + index])

    def target(self, index: int) -> Ids:
        return np.array([3])

    def lengths(self, indices: Any) -> tuple[Any, Any]:
        self.asked += len(indices)
        return np.ones(len(indices), np.int64), np.ones(len(indices), np.int64)


def corpora(sizes: list[int]) -> list[Counting]:
    return [Counting(size, first=3 + sum(sizes[:number])) for number, size in enumerate(sizes)]


def drawn(batches: TrainingBatches, first: int, last: int) -> Counter[int]:
    """How often each pair comes in these pools."""
    found: Counter[int] = Counter()
    for pool in range(first, last):
        made: list[Batch] = [b for b, _ in islice(batches.iterate(Position(pool)), len(batches.plan(pool).order))]
        found.update(number for batch in made for number in batch.source.ids[:, 0].tolist())
    return found


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=3)


@settings(max_examples=20)
@given(data=st.data(), sizes=SIZES, pool_size=st.integers(1, 50), seed=st.integers(0, 2**32))
def test_an_epoch_holds_each_pair_exactly_so_many_times(
    data: st.DataObject, sizes: list[int], pool_size: int, seed: int
) -> None:
    times = data.draw(st.lists(st.integers(1, 4), min_size=len(sizes), max_size=len(sizes)))
    mixing = Mixing(upsample=times)
    batches = TrainingBatches(corpora(sizes), mixing, batch_tokens=30, seed=seed, pool_size=pool_size)
    pools = next(pool for pool in range(1, 10**6) if batches.epoch(Position(pool)) == 1)
    wanted = Counter(n for n in _numbers(sizes, times))
    assert drawn(batches, 0, pools) == drawn(batches, 7 * pools, 8 * pools) == wanted
    assert pools == 1 or sum(drawn(batches, 0, 1).values()) <= max(pool_size, 2 * len(sizes)) + len(sizes)


def _numbers(sizes: list[int], times: list[int]) -> list[int]:
    each = [n for size, n in zip(sizes, times, strict=True) for n in [n] * size]
    return [3 + number for number, n in enumerate(each) for _ in range(n)]


@settings(max_examples=20)
@given(sizes=SIZES, pool_size=st.integers(1, 50), pools=st.integers(1, 9), data=st.data())
def test_weights_are_shares_to_the_pair(sizes: list[int], pool_size: int, pools: int, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 10), min_size=len(sizes), max_size=len(sizes)))
    batches = TrainingBatches(corpora(sizes), Mixing(weights=weights), batch_tokens=30, seed=1, pool_size=pool_size)
    found, whole = drawn(batches, 0, pools), pools * max(min(pool_size, sum(sizes)), len(sizes))
    for number, (corpus, weight) in enumerate(zip(corpora(sizes), weights, strict=True)):
        own = [found[corpus.first + index] for index in range(sizes[number])]
        assert 0 <= Fraction(weight) / sum(map(Fraction, weights)) * whole - sum(own) < 1
        assert max(own) - min(own) <= 1, "and a corpus is gone through evenly"


@given(sizes=st.lists(st.integers(1, 10**9), min_size=1, max_size=6), temperature=st.floats(0.5, 100))
def test_temperature(sizes: list[int], temperature: float) -> None:
    shares = tempered(sizes, temperature)
    wanted = np.array(sizes, float) ** (1 / temperature)
    assert np.allclose(shares, wanted / wanted.sum())
    assert np.allclose(tempered(sizes, 1), np.array(sizes) / sum(sizes))
    spread = [max(made) / min(made) for made in (tempered(sizes, t) for t in (1, 2, 5, 100))]
    assert spread == sorted(spread, reverse=True)


def test_a_tempered_mixture_is_drawn_so() -> None:
    batches = TrainingBatches(corpora([6400, 100]), Mixing(temperature=2), batch_tokens=300, seed=1, pool_size=900)
    found = drawn(batches, 0, 9)
    small = [found[number] for number in range(6403, 6503)]
    assert (sum(found.values()), sum(small), set(small)) == (8100, 900, {9})  # the square roots of sizes are 80 and 10
    by_size = TrainingBatches(corpora([6400, 100]), Mixing(temperature=1), batch_tokens=300, seed=1)
    assert drawn(by_size, 0, 1) == drawn(TrainingBatches(corpora([6400, 100]), batch_tokens=300, seed=1), 0, 1)


@pytest.mark.parametrize("mixing", [Mixing(), Mixing(upsample=[1, 7]), Mixing(temperature=3), Mixing(weights=[1, 2])])
def test_any_place_is_reached_without_what_stands_before_it(mixing: Mixing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place a trillion pools away costs what the first costs: as many rows are looked at, in about the same time."""
    rounds: list[int] = []
    feistel = permutation._feistel
    monkeypatch.setattr(
        permutation, "_feistel", lambda values, *rest: rounds.append(len(values)) or feistel(values, *rest)
    )
    costs, seconds = [], []
    for pool in (0, FAR):
        made = corpora([3_000_000, 40_000])
        batches = TrainingBatches(made, mixing, batch_tokens=4000, seed=1, pool_size=20_000)
        rounds.clear()
        started = time.process_time()
        next(batches.iterate(Position(pool, 1)))
        seconds.append(time.process_time() - started)
        costs.append((sum(one.asked for one in made), sum(rounds)))
    (near, near_rounds), (far, far_rounds) = costs
    assert abs(near - far) <= 2 and far <= 20_002
    assert far_rounds < 1.2 * near_rounds
    assert seconds[1] < 10 * seconds[0] + 0.1


def test_another_mixture_leaves_what_is_prepared_alone(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path / "cache"))
    one, other = (f"{{source: {toy}/{name}.source, target: {toy}/{name}.target" for name in ("train", "valid"))

    def prepared(name: str, *overrides: str) -> dict[str, tuple[int, int]]:
        config = read_config(toy / "toy.yml", overrides)
        config.make_task().prepare(tmp_path / name)
        files = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    before = prepared("first", f"data.train=[{one}}}, {other}}}]", "data.filters=[Duplicates]")
    assert len(before) > 10

    def unwanted(*_: object) -> None:
        raise AssertionError("something is made again")

    monkeypatch.setattr(cache, "_move", unwanted)
    for overrides in (
        [f"data.train=[{one}}}, {other}, upsample: 3}}]", "train.batch_tokens=64"],
        [f"data.train=[{one}, weight: 1}}, {other}, weight: 9}}]", "train.batch_sentences=7"],
        [f"data.train=[{one}}}, {other}}}]", "data.temperature=5", "seed=9"],
        [f"data.train=[{one}}}, {other}, noise: []}}]", "data.noise=[WordDrop, WordShuffle]"],
    ):
        assert prepared(overrides[-1], *overrides, "data.filters=[Duplicates]") == before
