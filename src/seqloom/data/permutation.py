"""Random order without memory: numbers and permutations that are functions of a key."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]


def key_of(*numbers: int) -> np.uint64:
    """A well-mixed 64-bit key for a tuple of integers."""
    return np.uint64(int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "big"))


def mixed(words: Words) -> Words:
    """Every word replaced by another that looks unrelated, one to one (the finaliser of splitmix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def shuffled(count: int, key: np.uint64) -> Integers:
    """The integers below `count` in an order that `key` decides, the same on every machine."""
    return np.argsort(mixed(np.arange(count, dtype=np.uint64) + key), kind="stable").astype(np.int64)


def shuffled_stream(positions: Integers, *, size: int, key: np.uint64) -> Integers:
    """What stands at these places of an endless stream that goes through the integers below `size` again and again.

    Each epoch, `size` places long, has a permutation of its own.  Nothing is stored, so any window costs its length:
    a Feistel network permutes the smallest fitting domain, and what lands outside goes through it again.
    """
    epochs, places = np.divmod(positions, size)
    if size == 1:
        return places
    keys = mixed(epochs.astype(np.uint64) + key)
    half = np.uint64(((size - 1).bit_length() + 1) // 2)
    values = _feistel(places.astype(np.uint64), keys, half)
    outside = np.flatnonzero(values >= size)
    while len(outside):
        values[outside] = _feistel(values[outside], keys[outside], half)
        outside = outside[values[outside] >= size]
    return values.astype(np.int64)


def _feistel(values: Words, keys: Words, half: np.uint64) -> Words:
    """A permutation of the integers of 2 * `half` bits for each key."""
    ones = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & ones
    for turn in range(1, ROUNDS + 1):
        step = np.uint64(turn * 0x9E3779B97F4A7C15 % 2**64)
        left, right = right, left ^ (mixed(right + (keys ^ step)) & ones)
    return (left << half) | right
