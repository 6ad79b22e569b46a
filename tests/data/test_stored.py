"""Ids come out of files as they went in, and reading them takes no memory that stays."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data import stored as stored_module
from seqloom.data.stored import StoredSide

SENTENCES = st.lists(st.lists(st.integers(0, 2**16 - 1), max_size=9), min_size=1, max_size=30)


def store(directory: Path, sentences: list[list[int]], kind: str = "uint16") -> StoredSide:
    np.array([i for sentence in sentences for i in sentence], kind).tofile(directory / "source.ids")
    np.cumsum([0, *map(len, sentences)], dtype=np.int64).tofile(directory / "source.ends")
    return StoredSide(directory, "source", kind)


@given(sentences=SENTENCES, draw=st.data(), kind=st.sampled_from(["uint16", "uint32"]), at_once=st.integers(1, 9))
def test_sentences_and_lengths_are_those_stored(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[int]], draw: st.DataObject, kind: str, at_once: int
) -> None:
    side = store(tmp_path_factory.mktemp("stored"), sentences, kind)
    assert [side.sentence(i).tolist() for i in range(len(sentences))] == sentences
    indices = draw.draw(st.lists(st.integers(0, len(sentences) - 1), max_size=40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_module, "AT_ONCE", at_once)
        found = side.lengths(np.array(indices, np.int64))
    assert found.tolist() == [len(sentences[i]) for i in indices]


def test_the_files_may_be_removed_meanwhile(tmp_path: Path) -> None:
    side = store(tmp_path, [[1, 2], [3]])
    for path in tmp_path.iterdir():
        path.unlink()
    assert (side.sentence(1).tolist(), side.lengths(np.array([0])).tolist()) == ([3], [2])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
def test_files_are_closed_with_their_owner(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    side = store(tmp_path, [[1]])
    assert len(os.listdir("/proc/self/fd")) == before + 2
    del side
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no /proc here")
def test_what_was_read_does_not_stay_in_memory(tmp_path: Path) -> None:
    count, length = 1_000_000, 8  # 8 MB of ends and 16 MB of ids
    (tmp_path / "source.ids").write_bytes(bytes(2 * length * count))
    np.arange(0, length * (count + 1), length, dtype=np.int64).tofile(tmp_path / "source.ends")
    side, indices = StoredSide(tmp_path, "source", "uint16"), np.random.default_rng(1).permutation(count)[:20_000]
    before = resident()
    assert (side.lengths(indices) == length).all()
    assert all(len(side.sentence(index)) == length for index in indices.tolist())
    assert resident() - before < 2_000


def resident() -> int:
    """The memory of this process in kB, mapped files included."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
