"""What a batch knows of its rows without asking its tensors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.batches import collate
from seqloom.structures import Batch, Sequences
from seqloom.train.halves import halves

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=9)


def batch(lengths: list[int]) -> Batch:
    """Targets of these lengths, each with an id of its own."""
    side = [torch.full((length,), 10 + row).numpy() for row, length in enumerate(lengths)]
    return collate([(ids, ids) for ids in side])


def same(one: Batch, other: Batch) -> bool:
    sides = zip((one.source, one.target), (other.source, other.target), strict=True)
    equal = all(torch.equal(a.ids, b.ids) and torch.equal(a.mask, b.mask) for a, b in sides)
    return equal and one.wanted == other.wanted


@given(LENGTHS)
def test_a_batch_knows_what_its_mask_says(lengths: list[int]) -> None:
    made = batch(lengths)
    real = made.target.mask[:, 1:]
    assert made.wanted == tuple(real.sum(1).tolist()) == Batch(made.source, made.target).wanted
    assert torch.equal(made.target.ids[:, 1:].flatten()[made.places()], made.target.ids[:, 1:][real])


@given(LENGTHS, st.integers(0, 3), st.integers(1, 4))
def test_a_part_is_a_selection_of_rows(lengths: list[int], first: int, every: int) -> None:
    made = batch(lengths)
    rows = torch.arange(len(lengths))[first::every]
    assert same(made.part(slice(first, None, every)), made.select(rows))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_halves_have_every_row_once(count: int) -> None:
    made = batch(list(range(count)))
    parts = [half for half, _ in halves(made, seed=3)]
    assert [number for half in parts for number in half.wanted] == list(made.wanted)
    assert len(parts) == min(2, count) and {len(half.wanted) for half in parts} <= {count // 2, -(-count // 2)}
    assert len({seed for _, seed in halves(made, seed=3)}) == len(parts)


def test_a_batch_takes_its_knowledge_along() -> None:
    assert batch([3, 1]).to("meta").wanted == (4, 2)
    assert Batch(Sequences(*[torch.zeros(0, 3).bool()] * 2), Sequences(*[torch.zeros(0, 3).bool()] * 2)).wanted == ()
