"""A still picture of a beam search, as SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from seqloom.inspect.beam_layout import Grid, Place, parent_of
from seqloom.inspect.labels import columns, shortened, visible, visible_line
from seqloom.inspect.picture import ACCENT, BED, COLUMN_WIDTH, FAINT, FONT, INK, LABEL_SIZE, MARGIN, PAPER
from seqloom.search.trace import Trace

LINE = "#c9ced6"
BOX, PITCH, GAP = 40, 50, 26  # height of a candidate's box, from one to the next below, and between columns
LABEL_COLUMNS = 18
START = 30  # the width of the dot that everything starts from, and the line's way there


@dataclass(frozen=True)
class BeamView:
    """The search for one sentence, with a name for every token in its trace."""

    trace: Trace
    names: Mapping[int, str]
    title: str = ""  # what was searched for, such as the source
    subtitle: str = ""  # how, such as "beam 4"

    def name(self, place: Place) -> str:
        """The token of a candidate, as a reader can see it; a token without a name is shown as its number."""
        token = self.trace.steps[place[0]][place[1]].token
        return visible(self.names.get(token, str(token)))


def beam_svg(view: BeamView, *, pruned: bool = True, prefix: str = "") -> str:
    """The tree as a file of its own: time to the right, the best path on top.

    Each box has its token, the token's log-probability and the hypothesis's score.  `pruned` shows what went no
    further, too.  With a `prefix` every box has an id, PREFIX-STEP-PLACE; colours are given as attributes and classes.
    """
    grid = Grid.of(view.trace, shown=lambda candidate: pruned or candidate.fate != "pruned")
    frame = _Frame(view, grid)
    width, height = frame.size
    heading = visible_line(view.title) or "Beam search"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="group" font-family="{escape(FONT)}" font-size="{LABEL_SIZE}">',
        f"<title>{escape(heading)}</title>",
        f'<rect class="paper" width="{width}" height="{height}" fill="{PAPER}"/>',
        f'<circle class="start" cx="{MARGIN}" cy="{frame.top + BOX / 2:g}" r="4" fill="{ACCENT}"/>',
        *(frame.line(place) for column in grid.columns for place in column),
        *(frame.box(place, prefix) for column in grid.columns for place in column),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def figure(number: float) -> str:
    """A number as it is read: two digits, a minus that is one, and none before 0.00."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


class _Frame:
    """Where boxes and lines stand, in pixels."""

    def __init__(self, view: BeamView, grid: Grid) -> None:
        self.view, self.grid, self.best, self.top = view, grid, view.trace.best(), MARGIN
        widths = [max((self._width(place) for place in column), default=0) for column in grid.columns]
        self.lefts, left = [], MARGIN + START
        for width in widths:
            self.lefts.append(left)
            left += width + GAP
        self.widths = widths
        self.size = max(left - GAP + MARGIN, 120), MARGIN + max(grid.height, 1) * PITCH - (PITCH - BOX) + MARGIN

    def line(self, place: Place) -> str:
        """From a candidate's parent to it."""
        x, y = self._corner(place)
        parent = parent_of(self.view.trace, place)
        if parent is None:
            before, height = MARGIN + 4, self.top
        else:
            before, height = self._corner(parent)
            before += self.widths[parent[0]]
        middle, start, end = (before + x) / 2, height + BOX / 2, y + BOX / 2
        chosen = place in self.best
        kind = "best" if chosen else self._fate(place)
        drawn = f'stroke="{ACCENT if chosen else LINE}" stroke-width="{2.5 if chosen else 1.5}"'
        dashes = ' stroke-dasharray="3 3"' if kind == "pruned" else ""
        return (
            f'<path class="line {kind}" data-to="{place[0]}-{place[1]}" fill="none" {drawn}{dashes}'
            f' d="M{before:g} {start:g}C{middle:g} {start:g} {middle:g} {end:g} {x:g} {end:g}"/>'
        )

    def box(self, place: Place, prefix: str) -> str:
        """A candidate: finished ones are round, pruned ones dashed and faint, those of the best path outlined."""
        fate, best = self._fate(place), " best" if place in self.best else ""
        named = f' id="{prefix}-{place[0]}-{place[1]}"' if prefix else ""
        return (
            f'<g class="node {fate}{best}"{named} data-place="{place[0]}-{place[1]}">'
            f"<title>{escape(self._said(place))}</title>{self._border(place)}{self._label(place)}</g>"
        )

    def _border(self, place: Place) -> str:
        (x, y), fate, best = self._corner(place), self._fate(place), place in self.best
        edge, fill = ACCENT if best or fate == "finished" else LINE, BED if fate == "finished" else PAPER
        dashes = ' stroke-dasharray="3 3"' if fate == "pruned" else ""
        return (
            f'<rect x="{x}" y="{y}" width="{self.widths[place[0]]}" height="{BOX}"'
            f' rx="{BOX // 2 if fate == "finished" else 5}" fill="{fill}"'
            f' stroke="{edge}" stroke-width="{2 if best else 1.2}"{dashes}/>'
        )

    def _label(self, place: Place) -> str:
        (x, y), best = self._corner(place), place in self.best
        middle = f'x="{x + self.widths[place[0]] / 2:g}" text-anchor="middle"'
        ink, weight = FAINT if self._fate(place) == "pruned" else INK, 600 if best else 400
        return (
            f'<text class="name" {middle} y="{y + 17}" fill="{ink}" font-weight="{weight}">'
            f"{escape(shortened(self.view.name(place), LABEL_COLUMNS))}</text>"
            f'<text class="figures" {middle} y="{y + 32}" font-size="11" fill="{FAINT}">{self._figures(place)}</text>'
        )

    def _figures(self, place: Place) -> str:
        trace = self.view.trace
        return f"{figure(trace.gain(*place))} · {figure(trace.steps[place[0]][place[1]].score)}"

    def _said(self, place: Place) -> str:
        """Everything about a candidate in one line."""
        trace = self.view.trace
        candidate = trace.steps[place[0]][place[1]]
        return (
            f"\u2068{self.view.name(place)}\u2069: {candidate.fate}, log-probability {figure(trace.gain(*place))}, "
            f"of the whole {figure(candidate.log_prob)}, score {figure(candidate.score)}"
        )

    def _fate(self, place: Place) -> str:
        return self.view.trace.steps[place[0]][place[1]].fate

    def _corner(self, place: Place) -> tuple[int, int]:
        return self.lefts[place[0]], self.top + PITCH * self.grid.rows[place]

    def _width(self, place: Place) -> int:
        label = min(columns(self.view.name(place)), LABEL_COLUMNS) * COLUMN_WIDTH
        return round(max(label, len(self._figures(place)) * 6.0)) + (26 if self._fate(place) == "finished" else 16)
