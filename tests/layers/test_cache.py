"""A cache is a value, whatever memory its positions share with those of others."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from seqloom.layers.cache import LEAST_ROOM, Cache

HEADS, SIZE = 2, 3


@dataclass(frozen=True)
class Plain:
    """The same, copied whole at every turn."""

    keys: Tensor  # [N, H, length, D]
    values: Tensor


def positions(rows: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    numbers = torch.randn(2, rows, HEADS, count, SIZE, generator=torch.Generator().manual_seed(seed))
    return numbers[0], numbers[1]


def check(cache: Cache, plain: Plain) -> None:
    memory = cache.memory()
    assert cache.length == plain.keys.size(2)
    assert torch.equal(memory.keys, plain.keys) and torch.equal(memory.values, plain.values)


def longer(kept: tuple[Cache, Plain], count: int, seed: int) -> tuple[Cache, Plain]:
    cache, plain = kept
    keys, values = positions(len(plain.keys), count, seed)
    both = Plain(torch.cat([plain.keys, keys], 2), torch.cat([plain.values, values], 2))
    return cache.extend(keys, values), both


def reordered(kept: tuple[Cache, Plain], rows: Tensor) -> tuple[Cache, Plain]:
    cache, plain = kept
    return cache.select(rows), Plain(plain.keys[rows], plain.values[rows])


MOVES = st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(0, 2**20))  # from which, how, and with what


@pytest.mark.parametrize("searching", [True, False])
@given(first=st.integers(1, 3), moves=st.lists(MOVES, max_size=30))
def test_nobody_sees_what_others_write(searching: bool, first: int, moves: list[tuple[int, int, int]]) -> None:
    """Many caches go on from one another, several from the same one: each still has what it had."""
    with torch.inference_mode() if searching else torch.enable_grad():
        empty = positions(3, 0, 0)
        kept = [longer((Cache(), Plain(*empty)), first, seed=1)]
        for number, how, seed in moves:
            before = kept[number % len(kept)]
            if how < 5:
                kept.append(longer(before, 1 + how // 3, seed))
            else:
                rows = torch.randint(
                    len(before[1].keys), (1 + seed % 4,), generator=torch.Generator().manual_seed(seed)
                )
                kept.append(reordered(before, rows))
            for cache, plain in kept:
                check(cache, plain)


@torch.inference_mode()
def test_a_long_target_is_written_in_place() -> None:
    cache, places = Cache(), set()
    for step in range(8 * LEAST_ROOM):
        cache = cache.extend(*positions(2, 1, step))
        places.add(cache.memory().keys.data_ptr())
    assert len(places) < 6


def test_gradients_go_through_every_position() -> None:
    pieces = [tuple(x.requires_grad_() for x in positions(2, count, count)) for count in (1, 2, 1)]
    cache = Cache()
    for keys, values in pieces:
        cache = cache.extend(keys, values).select(torch.tensor([1, 0]))
    memory = cache.memory()
    (memory.keys.square() + memory.values).sum().backward()
    for keys, values in pieces:
        assert_close(keys.grad, 2 * keys.detach())
        assert_close(values.grad, torch.ones_like(values))


def test_nothing_can_be_seen_of_an_empty_one() -> None:
    empty = Cache().select(torch.tensor([0, 0]))
    with pytest.raises(ValueError) as caught:
        empty.memory()
    assert str(caught.value) == "a cache without positions has nothing to look at"
