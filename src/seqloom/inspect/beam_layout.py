"""Where the candidates of a beam search stand in a picture: a column a step, no two lines crossing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seqloom.search.trace import Candidate, Trace

Place = tuple[int, int]  # step and place among its candidates


@dataclass(frozen=True)
class Grid:
    """A row for each place that is shown; the best path has the first row to itself."""

    columns: list[list[Place]]  # downwards
    rows: Mapping[Place | None, int]  # None: the dot that everything starts from
    height: int  # rows

    @classmethod
    def of(cls, trace: Trace, *, shown: Callable[[Candidate], bool]) -> Grid:
        """Children stand beside their parent where there is room, and below those that promise more."""
        promise, columns = _promises(trace), []
        rows: dict[Place | None, int] = {None: 0}
        above: dict[Place | None, int] = {None: 0}  # the order of the column before
        for t, step in enumerate(trace.steps):
            column = [(t, k) for k, candidate in enumerate(step) if shown(candidate)]
            column.sort(key=lambda place: (above[parent_of(trace, place)], *promise[place]))
            columns.append(column)
            above = {place: order for order, place in enumerate(column)}
        best = trace.best()
        tops = [0 if best.isdisjoint(column) else -1 for column in columns]  # the row above the column
        height = max((top + 1 + len(column) for top, column in zip(tops, columns, strict=True)), default=0)
        for row, column in zip(tops, columns, strict=True):
            for order, place in enumerate(column):
                beside, lowest = rows[parent_of(trace, place)], height - (len(column) - order)
                row = rows[place] = max(row + 1, min(beside, lowest))
        return cls(columns, rows, height)


def parent_of(trace: Trace, place: Place) -> Place | None:
    """The place that a candidate extends; None in the first step."""
    parent = trace.steps[place[0]][place[1]].parent
    return None if parent is None else (place[0] - 1, parent)


def _promises(trace: Trace) -> dict[Place, tuple[float, bool, float]]:
    """A sort key for siblings: the best score that came of each, then whether it went on, then its own likelihood."""
    best: dict[Place, float] = {}
    for end in trace.finished():  # the best first
        for place in trace.path(*end):
            best.setdefault(place, trace.steps[end[0]][end[1]].score)
    return {
        (t, k): (-best.get((t, k), -math.inf), candidate.fate == "pruned", -candidate.log_prob)
        for t, step in enumerate(trace.steps)
        for k, candidate in enumerate(step)
    }
