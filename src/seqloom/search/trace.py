"""What a beam search did on its way: every step's candidates, and what became of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]
Fate = Literal["kept", "finished", "pruned"]


@dataclass(frozen=True)
class Candidate:
    """One token behind one hypothesis, and what the search made of the two."""

    parent: int | None  # the place, among the candidates of the step before, of what was extended; None in step 0
    token: int
    log_prob: float  # of the hypothesis as a whole
    score: float  # the same under the length penalty: what finished hypotheses are ranked by
    fate: Fate


@dataclass(frozen=True)
class Trace:
    """The search for one sentence: step t has the candidates that were looked at for token t, the most likely first.

    What was kept is extended in the next step; what is finished ends there; what is pruned went no further.
    """

    steps: tuple[tuple[Candidate, ...], ...]

    def finished(self) -> list[tuple[int, int]]:
        """Step and place of every finished hypothesis, the best score first."""
        ended = [
            (t, k)
            for t, step in enumerate(self.steps)
            for k, candidate in enumerate(step)
            if candidate.fate == "finished"
        ]
        return sorted(ended, key=lambda place: -self.steps[place[0]][place[1]].score)

    def best(self) -> frozenset[tuple[int, int]]:
        """Step and place of all that led to the best finished hypothesis; nothing if there is none."""
        return frozenset(place for end in self.finished()[:1] for place in self.path(*end))

    def path(self, step: int, place: int) -> Iterator[tuple[int, int]]:
        """Step and place of each candidate that led there, the last first."""
        parent: int | None = place
        while parent is not None:
            yield step, parent
            step, parent = step - 1, self.steps[step][parent].parent

    def tokens(self, step: int, place: int) -> list[int]:
        """The hypothesis that ends there."""
        return [self.steps[t][k].token for t, k in self.path(step, place)][::-1]

    def gain(self, step: int, place: int) -> float:
        """The log-probability of that candidate's token alone, given those before it."""
        candidate = self.steps[step][place]
        before = 0.0 if candidate.parent is None else self.steps[step - 1][candidate.parent].log_prob
        return candidate.log_prob - before


class Extension(NamedTuple):
    """One step of a search over B sentences with K rows each, as arrays."""

    sentences: Array  # [B] which ones are still searched
    parents: Array  # [B, C] which of its sentence's K rows each candidate extends
    tokens: Array  # [B, C]
    log_probs: Array  # [B, C] falling; -inf where there is no candidate
    coverage: Array  # [B, C] what of its score is for coverage, before it is weighed
    finished: Array  # [B, C] True where a hypothesis was found
    kept: Array  # [B, K] which candidates are the next rows
    going: Array  # [B] False where the search ends here, whatever was kept


class Recorder:
    """Collects the traces of the sentences of one search; `beam_search` fills it if it is given one."""

    def __init__(self) -> None:
        self._steps: dict[int, list[tuple[Candidate, ...]]] = {}
        self._rows: dict[int, list[int]] = {}  # where the next step's parents stand among the last candidates

    def trace(self, sentence: int) -> Trace:
        """What was done for this sentence of the batch."""
        return Trace(tuple(self._steps.get(sentence, ())))

    def settle(self, sentence: int, targets: Sequence[Sequence[int]]) -> None:
        """Of what was found of this sentence only these targets counted; the rest went no further."""
        trace, counted = self.trace(sentence), set(map(tuple, targets))
        for t, k in trace.finished():
            if tuple(trace.tokens(t, k)[:-1]) not in counted:
                step = list(self._steps[sentence][t])
                step[k] = replace(step[k], fate="pruned")
                self._steps[sentence][t] = tuple(step)

    def add(self, step: Extension, score: Callable[[float, float], float]) -> None:
        """Note what a step did; `score` ranks a hypothesis that is as long as those of this step."""
        for sentence, parents, tokens, log_probs, coverage, finished, kept, going in zip(
            *(column.tolist() for column in step), strict=True
        ):
            rows, next_rows = self._rows.get(sentence), set(kept) if going else set()
            candidates = tuple(
                Candidate(
                    None if rows is None else rows[parents[k]],
                    tokens[k],
                    log_probs[k],
                    score(log_probs[k], coverage[k]),
                    "finished" if finished[k] else "kept" if k in next_rows else "pruned",
                )
                for k in range(len(tokens))
                if log_probs[k] > -math.inf  # those without a chance stand last, and are no places of others
            )
            self._steps.setdefault(sentence, []).append(candidates)
            self._rows[sentence] = kept
