"""Searches as NumPy files: whatever is written comes back, and what is none is refused."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqloom.errors import DataError
from seqloom.inspect.arrays import load_searches, save_searches
from seqloom.search import Candidate, Trace
from seqloom.vocabulary import EOS

END = EOS
Steps = list[tuple[Candidate, ...]]


def searched(numbers: np.random.Generator, beam_size: int, length: int) -> Trace:
    """A trace as search leaves it: of random steps the best are kept, and at last nothing but the end may follow."""
    steps: Steps = []
    for t in range(length):
        parents = [k for k, c in enumerate(steps[-1]) if c.fate == "kept"] if steps else [None]
        last = t == length - 1
        pairs = [(parent, token) for parent in parents for token in ((END,) if last else (END, 2, 3, 4))]
        found = []
        for parent, token in pairs:
            log_prob = (0.0 if parent is None else steps[-1][parent].log_prob) - float(numbers.exponential())
            found.append(Candidate(parent, token, log_prob, log_prob / (t + 6), "pruned"))
        found = sorted(found, key=lambda candidate: -candidate.log_prob)[: 2 * beam_size]
        kept = [c for c in found if c.token != END][:beam_size]
        ended = [c for k, c in enumerate(found) if c.token == END and k < beam_size]
        steps.append(tuple(_decided(c, kept, ended) for c in found))
    return Trace(tuple(steps))


def _decided(candidate: Candidate, kept: list[Candidate], ended: list[Candidate]) -> Candidate:
    fate = "kept" if candidate in kept else "finished" if candidate in ended else "pruned"
    return Candidate(candidate.parent, candidate.token, candidate.log_prob, candidate.score, fate)  # type: ignore[arg-type]


@given(seed=st.integers(0, 2**32 - 1), beam_size=st.integers(1, 4), lengths=st.lists(st.integers(1, 6), max_size=3))
def test_what_was_kept_and_finished_comes_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, beam_size: int, lengths: list[int]
) -> None:
    numbers, path = np.random.default_rng(seed), tmp_path_factory.mktemp("arrays") / "beams.npz"
    sent = [searched(numbers, beam_size, length) for length in lengths]
    save_searches(path, sent, beam_size=beam_size, numbers={token: token for token in range(5)})
    back = load_searches(path)
    assert len(back) == len(sent)
    for one, other in zip(sent, back, strict=True):
        wanted = [(one.tokens(*place), one.steps[place[0]][place[1]].score) for place in one.finished()[:beam_size]]
        found = [(other.tokens(*place), other.steps[place[0]][place[1]].score) for place in other.finished()]
        assert [tokens for tokens, _ in found][: len(wanted)] == [tokens for tokens, _ in wanted]
        assert [score for _, score in found][: len(wanted)] == pytest.approx([score for _, score in wanted], rel=1e-5)
        for t, step in enumerate(one.steps):
            kept = {tuple(one.tokens(t, k)) for k, c in enumerate(step) if c.fate == "kept"}
            assert kept == {tuple(other.tokens(t, k)) for k, c in enumerate(other.steps[t]) if c.fate == "kept"}


@given(seed=st.integers(0, 2**32 - 1))
def test_a_beam_stays_sorted_and_names_its_parents(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = tmp_path_factory.mktemp("arrays") / "beams.npz"
    traces = [searched(np.random.default_rng(seed), 3, length) for length in (5, 2)]
    save_searches(path, traces, beam_size=3, numbers={token: token for token in range(5)})
    with np.load(path) as file:
        ids, parents, scores, log_probs = (file[n] for n in ("predicted_ids", "beam_parent_ids", "scores", "log_probs"))
    assert ids.shape == parents.shape == scores.shape == log_probs.shape
    assert (scores[:, :, 1:] <= scores[:, :, :-1]).all()
    assert ((ids == -1) == np.isneginf(scores)).all() and ((ids == -1) == (parents == -1)).all()
    for n, t, w in zip(*np.nonzero(ids[:, 1:] >= 0), strict=True):
        before, now = (n, t, parents[n, t + 1, w]), (n, t + 1, w)
        assert ids[before] >= 0
        assert log_probs[now] <= log_probs[before]
        if ids[before] == END:  # finished: it stays what it is
            assert (ids[now], scores[now]) == (END, scores[before])


def test_searches_of_one_shape_each_are_read_as_they_are(tmp_path: Path) -> None:
    """Following parents back from every place of the last step; the values are those of google/seq2seq's own test."""
    ids = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]])
    parents = np.array([[[0, 0, 0], [0, 1, 1], [2, 1, 2]]])
    np.savez(tmp_path / "beams.npz", predicted_ids=ids, beam_parent_ids=parents, scores=np.zeros(ids.shape))
    (trace,) = load_searches(tmp_path / "beams.npz")
    paths = torch.tensor([trace.tokens(2, place) for place in range(3)]).T
    assert paths.tolist() == [[2, 2, 2], [6, 5, 6], [7, 8, 9]]
    assert trace.finished() == [(2, 0), (2, 1), (2, 2)]


SOUND: dict[str, Any] = {
    "predicted_ids": np.array([[[3, -1], [1, 5]]]),
    "beam_parent_ids": np.array([[[0, -1], [0, 0]]]),
    "scores": np.array([[[-1.0, -np.inf], [-2.0, -3.0]]]),
}


@pytest.mark.parametrize(
    "different",
    [
        {"beam_parent_ids": np.array([[[0, 0], [5, 0]]])},
        {"beam_parent_ids": np.array([[[0, 0], [-2, 0]]])},
        {"beam_parent_ids": np.array([[[0, 0], [0, 1]]])},  # nobody had that place
        {"beam_parent_ids": np.array([[[0, 0]]])},
        {"beam_parent_ids": np.zeros((2, 2, 2), int)},
        {"beam_parent_ids": np.zeros((1, 2, 2))},
        {"scores": SOUND["scores"].astype(str)},
        {"scores": SOUND["scores"].astype(complex)},
        {"scores": np.full((1, 2, 2), np.nan)},
        {"scores": np.full((1, 2, 2), -np.inf)},
        dict.fromkeys(SOUND, np.array(1)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, different: dict[str, Any]) -> None:
    path = tmp_path / "beams.npz"
    np.savez(path, **SOUND)
    assert len(load_searches(path)) == 1
    np.savez(path, **SOUND | different)
    with pytest.raises(DataError) as caught:
        load_searches(path)
    assert str(caught.value) == (
        f"{path}: its arrays don't fit each other, hold something else than finite numbers, or name a parent that "
        "is not in the beam"
    )


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_file_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, place: int, byte: int) -> None:
    path = tmp_path_factory.mktemp("arrays") / "beams.npz"
    np.savez_compressed(path, **SOUND)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    with suppress(DataError):
        load_searches(path)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path, ragged = tmp_path / "beams.npz", np.empty(2, object)
    ragged[:] = [np.zeros((2, 3)), np.zeros((3, 3))]
    np.savez(path, predicted_ids=ragged, beam_parent_ids=ragged, scores=ragged, log_probs=ragged)
    with pytest.raises(DataError) as caught:
        load_searches(path)
    assert str(caught.value) == (
        f"{path} is not a file of beams that can be read; if its arrays are pickled objects, as NumPy makes of "
        "searches of different lengths, write it again with seqloom infer"
    )
