"""The endless stream goes through everything once an epoch, in any window, with nothing stored."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.permutation import key_of, shuffled, shuffled_stream

KEYS = st.integers(0, 2**40).map(key_of)


def stream(start: int, stop: int, size: int, key: np.uint64) -> list[int]:
    return shuffled_stream(np.arange(start, stop, dtype=np.int64), size=size, key=key).tolist()  # type: ignore[no-any-return]


@given(size=st.integers(1, 3000), key=KEYS, epoch=st.integers(0, 10**9))
def test_an_epoch_is_a_permutation(size: int, key: np.uint64, epoch: int) -> None:
    assert sorted(stream(epoch * size, (epoch + 1) * size, size, key)) == list(range(size))


@given(size=st.integers(1, 10**12), key=KEYS, start=st.integers(0, 10**15), cut=st.integers(0, 50))
def test_a_window_is_the_same_however_it_is_cut(size: int, key: np.uint64, start: int, cut: int) -> None:
    whole = stream(start, start + 50, size, key)
    assert whole == stream(start, start + cut, size, key) + stream(start + cut, start + 50, size, key)
    assert all(0 <= index < size for index in whole)


def test_every_place_sees_every_index_equally_often() -> None:
    for size in (2, 3, 5, 16, 37):
        seen = np.array(stream(0, 4000 * size, size, key_of(7))).reshape(4000, size)
        counts = np.stack([np.bincount(seen[:, place], minlength=size) for place in range(size)])
        expected = 4000 / size
        assert np.abs(counts - expected).max() < 6 * expected**0.5


def test_neighbours_are_not_neighbours_afterwards() -> None:
    order = np.array(stream(0, 29_000, 29_000, key_of(1)))
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(order, np.arange(29_000))[0, 1]) < 0.03


@given(count=st.integers(0, 2000), key=KEYS)
def test_shuffled_is_a_permutation(count: int, key: np.uint64) -> None:
    assert sorted(shuffled(count, key).tolist()) == list(range(count))


def test_the_order_never_changes() -> None:
    """Frozen numbers: another order would break the resuming of every run that exists."""
    assert stream(0, 8, 8, key_of(1, 2)) == FROZEN_STREAM
    assert shuffled(8, key_of(1, 2)).tolist() == FROZEN_SHUFFLE


FROZEN_STREAM = [7, 0, 2, 4, 5, 3, 6, 1]
FROZEN_SHUFFLE = [5, 7, 2, 6, 4, 0, 1, 3]
