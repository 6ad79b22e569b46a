"""The best extensions are those that sorting everything would find."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqloom.search.largest import WITHIN, Extensions


@given(
    seed=st.integers(0, 2**32 - 1),
    sentences=st.integers(1, 4),
    rows=st.integers(1, 5),
    symbols=st.integers(2, 40 * WITHIN),
    count=st.integers(1, 12),
    levels=st.sampled_from([3, 1000, 10**6]),
)
def test_they_are_those_that_sorting_finds(
    seed: int, sentences: int, rows: int, symbols: int, count: int, levels: int
) -> None:
    """Few levels make many sums equal; impossible rows and tokens are among them, as in every search."""
    generator = torch.Generator().manual_seed(seed)
    log_probs = -torch.randint(levels, (sentences * rows, symbols), generator=generator).float()
    log_probs[torch.rand(log_probs.shape, generator=generator) < 0.2] = -torch.inf
    before = -torch.rand(sentences * rows, generator=generator)
    before[torch.rand(before.shape, generator=generator) < 0.3] = -torch.inf
    count = min(count, rows * symbols)
    best, places = Extensions(log_probs).best(before, rows=rows, count=count)
    sums = (before[:, None] + log_probs).view(sentences, -1)
    assert torch.equal(best, sums.sort(1, descending=True)[0][:, :count])
    assert torch.equal(sums.gather(1, places), best)
    assert all(len(set(row)) == count for row in places.tolist())


@pytest.mark.parametrize("symbols", [5, 64, 1000])
def test_there_may_be_fewer_than_wanted(symbols: int) -> None:
    best, places = Extensions(torch.zeros(2, symbols)).best(torch.zeros(2), rows=2, count=3 * symbols)
    assert best.shape == places.shape == (1, 2 * symbols)
