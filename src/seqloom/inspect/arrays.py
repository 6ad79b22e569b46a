"""Searches and attention as NumPy files, and searches back from them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqloom.data.text import cannot_read
from seqloom.errors import DataError
from seqloom.inspect.attention import AttentionView
from seqloom.search.trace import Candidate, Fate, Trace
from seqloom.vocabulary import EOS

Place = tuple[int, int]  # step and place among its candidates
NEEDED = ("predicted_ids", "beam_parent_ids", "scores")
NOTHING = -1  # a place of the beam that nobody had


def save_attention(path: Path, views: Sequence[AttentionView | None]) -> None:
    """Write arr_0, arr_1 ... [T, S], one a view: the mean over layers and heads; empty where there is none."""
    np.savez(path, *(np.zeros((0, 0)) if view is None else view.matrix() for view in views))


def save_searches(path: Path, traces: Sequence[Trace], *, beam_size: int, numbers: Mapping[int, int]) -> None:
    """Write the beam after every step of N searches; `numbers` says which number stands for a token.

    predicted_ids, beam_parent_ids, scores and log_probs are [N, T, W].  The beam has all hypotheses under way and the
    `beam_size` best that are finished, the best score first; what is finished repeats its end.  Parents are places in
    the beam of the step before.  Where there is nothing, ids and parents are -1 and the others -inf.
    end_id is the number of the end sign.
    """
    beams = [list(_beams(trace, beam_size)) for trace in traces]
    steps = max(map(len, beams), default=0)
    width = max((len(beam) for search in beams for beam in search), default=0)
    ids, parents = (np.full((len(traces), steps, width), NOTHING, np.int32) for _ in range(2))
    scores, log_probs = (np.full((len(traces), steps, width), -np.inf, np.float32) for _ in range(2))
    for n, (trace, search) in enumerate(zip(traces, beams, strict=True)):
        before: list[Place] = []
        for t, beam in enumerate(search):
            for w, place in enumerate(beam):
                candidate = trace.steps[place[0]][place[1]]
                parent = place if place[0] < t else (t - 1, candidate.parent or 0)
                ids[n, t, w], parents[n, t, w] = numbers[candidate.token], before.index(parent) if before else 0
                scores[n, t, w], log_probs[n, t, w] = candidate.score, candidate.log_prob
            before = beam
    end = np.array(numbers[EOS], np.int32)
    np.savez(path, predicted_ids=ids, beam_parent_ids=parents, scores=scores, log_probs=log_probs, end_id=end)


def _beams(trace: Trace, beam_size: int) -> list[list[Place]]:
    """After every step, where the hypotheses of the beam stand, the best score first."""

    def score(place: Place) -> float:
        return -trace.steps[place[0]][place[1]].score

    beams, finished = [], list[Place]()
    for t, step in enumerate(trace.steps):
        fates: dict[Fate, list[Place]] = {"kept": [], "finished": [], "pruned": []}
        for k, candidate in enumerate(step):
            fates[candidate.fate].append((t, k))
        finished = sorted([*finished, *fates["finished"]], key=score)[:beam_size]
        beams.append(sorted([*finished, *fates["kept"]], key=score))
    return beams


def load_searches(path: Path, *, end: int | None = None) -> list[Trace]:
    """The searches in a file like those of `save_searches`.

    A hypothesis is finished by the token `end`, by default the file's end_id if it has one, and by the last step.
    Raises DataError for any other file.
    """
    arrays = _arrays(path)
    ids, parents, scores = (arrays[name] for name in NEEDED)
    log_probs = arrays.get("log_probs", scores)
    if end is None and "end_id" in arrays:
        end = arrays["end_id"].tolist()
    try:
        return [_trace(*search, end=end) for search in zip(ids, parents, scores, log_probs, strict=True)]
    except (IndexError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: its arrays don't fit each other, hold something else than finite numbers, or name a parent that "
            "is not in the beam"
        ) from error


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(path) as file:
            missing = [name for name in NEEDED if name not in file.files]
            if missing:
                raise DataError(f"{path}: it has no array {missing[0]}; a file of beams has {', '.join(NEEDED)}")
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise cannot_read(path, error) from error
    # what NumPy and zipfile answer damaged files with
    except (ValueError, TypeError, AttributeError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is not a file of beams that can be read; if its arrays are pickled objects, as NumPy makes of "
            "searches of different lengths, write it again with seqloom infer"
        ) from error


def _trace(
    ids: NDArray[np.generic],
    parents: NDArray[np.generic],
    scores: NDArray[np.generic],
    log_probs: NDArray[np.generic],
    *,
    end: int | None,
) -> Trace:
    """One search, from arrays [T, W].  Raises IndexError, ValueError or TypeError if they are of none."""
    if not ids.ndim == 2 or not ids.shape == parents.shape == scores.shape == log_probs.shape:
        raise ValueError("arrays of one search are [T, W]")
    if not all(array.dtype.kind in "iuf" and np.isfinite(array[ids != NOTHING]).all() for array in (scores, log_probs)):
        raise ValueError("scores of tokens are finite numbers")
    steps: list[list[Candidate]] = []
    beam: list[Place | None] = []  # where each place of the last beam stands; None where there is nothing
    length = int((ids != NOTHING).any(1).sum())  # of steps in which there is anything
    for t, row in enumerate(zip(ids, parents, scores, log_probs, strict=True)):
        after: list[Place | None] = []
        steps.append([])
        for token, parent, score, log_prob in zip(*(column.tolist() for column in row), strict=True):
            if token == NOTHING:
                after.append(None)
                continue
            before = beam[parent] if t else None
            if t and (parent < 0 or before is None):
                raise ValueError("a parent is a place of the beam before")
            if before and steps[before[0]][before[1]].fate == "finished":
                after.append(before)  # it had ended before
                continue
            fate: Fate = "finished" if token == end or t == length - 1 else "kept"
            after.append((t, len(steps[t])))
            steps[t].append(Candidate(before[1] if before else None, token, log_prob, score, fate))
        beam = after
    return Trace(tuple(tuple(step) for step in steps[:length]))
