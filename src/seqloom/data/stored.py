"""Ids in files, of which no more is in memory than what is being looked at.

Mapped files would count as this process's memory page by page, until all of a corpus that is drawn from at random does;
so sentences are read, and the map that lengths come from is let go of as it is walked through.
"""

from __future__ import annotations

import mmap
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 512  # lengths looked up between two releases of the map: they touch as many pages at most
ENDS = np.dtype(np.int64)


class StoredSide:
    """One side of a corpus: NAME.ids has all ids one behind the other, NAME.ends 0 and where each sentence ends."""

    def __init__(self, directory: Path, name: str, kind: str):
        """Raises OSError if a file can't be opened."""
        self._kind = np.dtype(kind)
        self._ids, self._ends = (_opened(self, directory / f"{name}.{suffix}") for suffix in ("ids", "ends"))

    def sentence(self, index: int) -> NDArray[Any]:
        """The ids of a sentence, [length]."""
        start, end = np.frombuffer(os.pread(self._ends, 2 * ENDS.itemsize, index * ENDS.itemsize), ENDS).tolist()
        size = self._kind.itemsize
        return np.frombuffer(os.pread(self._ids, (end - start) * size, start * size), self._kind)

    def lengths(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many ids each of these sentences has."""
        found, order = np.empty(len(indices), np.int64), np.argsort(indices)  # neighbours share pages
        with mmap.mmap(self._ends, 0, access=mmap.ACCESS_READ) as mapped:
            for start in range(0, len(order), AT_ONCE):
                places = order[start : start + AT_ONCE]
                found[places] = _lengths(mapped, indices[places])
                _release(mapped)
        return found


def _lengths(mapped: mmap.mmap, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    ends = np.frombuffer(mapped, ENDS)
    return ends[indices + 1] - ends[indices]


def _release(mapped: mmap.mmap) -> None:
    """Stop counting the map's pages as ours; they stay in the system's cache."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _opened(owner: object, path: Path) -> int:
    """A descriptor that is closed when `owner` is gone."""
    descriptor = os.open(path, os.O_RDONLY)
    weakref.finalize(owner, os.close, descriptor)
    return descriptor
