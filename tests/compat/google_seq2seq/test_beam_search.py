"""Our search against the numbers in google/seq2seq's own test of beam search (seq2seq/test/beam_search_test.py).

Its beam is a mixture of what is finished and what goes on; of ours it is the K best by score after each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqloom.decoders import Decoder
from seqloom.inspect.arrays import save_searches
from seqloom.search import Recorder, SearchOptions, beam_search
from seqloom.structures import Encoded, Output, State
from seqloom.vocabulary import BOS, EOS

OPTIONS = SearchOptions(beam_size=3, n_best=3, length_penalty=0.6, max_length=9)
SYMBOLS = 5  # theirs end with 0: ours are the same with 0 and 1 changed for each other
SWAPPED = [1, 0, 2, 3, 4]
BEGINNINGS = [2, 3, 4]  # the first tokens of the three hypotheses, equally likely but for what puts them in order


def test_length_penalties() -> None:
    penalties = [-1 / OPTIONS.score(-1.0, length) for length in (1, 2, 3)]
    assert penalties == pytest.approx([1.0, 1.0969026, 1.1884017], abs=1e-6)


@dataclass(frozen=True)
class Step(State):
    number: int


class Script(Decoder):
    """What follows depends on the step and on the last token."""

    def __init__(self, scores: list[Tensor]):
        super().__init__()
        self.scores, self.readout = scores, nn.Identity()

    def start(self, source: Encoded) -> Step:
        return Step(0)

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, Step]:
        assert isinstance(state, Step)
        return Output(self.scores[min(state.number, len(self.scores) - 1)][tokens]), Step(state.number + 1)


def only(*tokens: int) -> Tensor:
    """Scores [V, V] where each symbol is followed by one of `tokens` for sure."""
    scores = torch.full((SYMBOLS, SYMBOLS), -torch.inf)
    for symbol in range(SYMBOLS):
        scores[symbol, tokens[symbol]] = 0
    return scores


def third_step(tmp_path: Path, logits: np.ndarray, second: Tensor) -> dict[str, np.ndarray]:
    """What the beam is after a third step with these logits (in their numbering), and its hypotheses' lengths."""
    first = torch.full((SYMBOLS, SYMBOLS), -torch.inf)
    first[BOS, BEGINNINGS] = torch.tensor([1e-6, 0.0, -1e-6])
    third = torch.zeros(SYMBOLS, SYMBOLS)
    third[BEGINNINGS] = torch.tensor(logits[:, SWAPPED]).float()
    ends = only(*[EOS] * SYMBOLS)
    keys, recorder = torch.zeros(1, 2, 1), Recorder()
    source = Encoded(keys, keys, torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 1))
    beam_search(Script([first, second, third, ends]), source, OPTIONS, recorder=recorder)
    trace = recorder.trace(0)
    save_searches(tmp_path / "beams.npz", [trace], beam_size=3, numbers=dict(enumerate(SWAPPED)))
    with np.load(tmp_path / "beams.npz") as file:
        assert (np.diff(file["scores"][0, 2, :3]) <= 0).all()
        found = {name: file[name][0, 2, :3] for name in ("predicted_ids", "beam_parent_ids", "log_probs")}
        ids, parents = file["predicted_ids"][0], file["beam_parent_ids"][0]
    paths = [[ids[2, w], ids[1, parents[2, w]], ids[0, parents[1, parents[2, w]]]] for w in range(3)]
    return found | {"lengths": np.array([sum(token != 0 for token in path) for path in paths])}


def even(**scores: float) -> np.ndarray:
    """Logits [3, 5] that are all but 0, apart from those said: r0t2=1.9 is row 0, token 2."""
    logits = np.full((3, SYMBOLS), 0.0001)
    for name, score in scores.items():
        logits[int(name[1]), int(name[3])] = score
    return logits


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted: np.ndarray = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return shifted


def test_a_step_without_an_end(tmp_path: Path) -> None:
    logits = even(r0t2=1.9, r0t3=2.1, r1t3=3.1, r1t4=0.9)
    beam = third_step(tmp_path, logits, only(*range(SYMBOLS)))
    assert beam["predicted_ids"].tolist() == [3, 3, 2]
    assert beam["beam_parent_ids"].tolist() == [1, 0, 0]
    assert beam["lengths"].tolist() == [3, 3, 3]
    added = log_softmax(logits)
    assert beam["log_probs"] == pytest.approx(-np.log(3) + added[[1, 0, 0], [3, 3, 2]], abs=1e-5)


def test_a_step_after_an_end(tmp_path: Path) -> None:
    logits = even(r0t2=1.1, r1t2=1.0, r2t2=1.0)
    beam = third_step(tmp_path, logits, only(0, 1, 2, EOS, 4))
    assert beam["predicted_ids"].tolist() == [0, 2, 2]
    assert beam["beam_parent_ids"].tolist() == [1, 0, 2]
    assert beam["lengths"].tolist() == [1, 3, 3]
    added = log_softmax(logits)
    finished_stays = [0.0, added[0, 2], added[2, 2]]
    assert beam["log_probs"] == pytest.approx(-np.log(3) + np.array(finished_stays), abs=1e-5)


def test_a_step_with_an_end(tmp_path: Path) -> None:
    logits = even(r0t0=1.9, r0t3=2.1, r1t3=3.1, r1t4=0.9)
    beam = third_step(tmp_path, logits, only(*range(SYMBOLS)))
    assert beam["predicted_ids"].tolist() == [3, 3, 0]
    assert beam["beam_parent_ids"].tolist() == [1, 0, 0]
    assert beam["lengths"].tolist() == [3, 3, 2]
    added = log_softmax(logits)
    assert beam["log_probs"] == pytest.approx(-np.log(3) + added[[1, 0, 0], [3, 3, 0]], abs=1e-5)
