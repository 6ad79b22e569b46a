"""Curves over steps as SVG that fits any width: what is drawn stretches, what is written does not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from seqloom.inspect.labels import visible_line
from seqloom.story.record import figures

Points = list[tuple[int, float]]  # step and value; NaN for what was no number
MOST = 400  # points of a curve that are drawn
DENSE = 150  # more of them are drawn with a finer line
LEAST = 1e-300  # of a scale's middle, that room for a single value can be made in proportion to
HEIGHT, FOOT, WIDTH = 150, 22, 1000  # of the drawing, of the labels below it, of the drawing's own units


@dataclass(frozen=True)
class Curve:
    """A named curve; a `marked` one has a dot at every point, since there are few."""

    name: str
    points: Points
    marked: bool = False

    @property
    def last(self) -> float:
        """The last value that was a number."""
        return next((value for _, value in reversed(self.points) if math.isfinite(value)), math.nan)


@dataclass(frozen=True)
class Chart:
    """Curves that share a scale; `log` if equal distances are equal ratios."""

    title: str
    curves: Sequence[Curve]
    log: bool = False
    from_zero: bool = False
    note: str = ""
    marks: Sequence[int] = ()  # steps at which something is to be noticed
    best: int | None = None  # the step of the best checkpoint
    steps: tuple[int, int] = field(default=(0, 1))

    @property
    def values(self) -> list[float]:
        """Every number in it that can be drawn."""
        drawn = (value for curve in self.curves for _, value in curve.points if math.isfinite(value))
        return [value for value in drawn if value > 0 or not self.log]


def thinned(points: Points, most: int = MOST) -> Points:
    """At most about so many of the points: of each stretch the lowest and the highest, so that no peak is lost."""
    if len(points) <= most:
        return points
    stretches, kept = most // 2, list[tuple[int, float]]()
    for number in range(stretches):
        stretch = points[number * len(points) // stretches : (number + 1) * len(points) // stretches]
        finite = [point for point in stretch if math.isfinite(point[1])]
        ends = {min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])} if finite else {stretch[0]}
        kept += sorted(ends)
    return [*({points[0]} - {kept[0]}), *kept, *({points[-1]} - {kept[-1]})]


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high`, placed from 0 to 1."""

    low: float
    high: float
    log: bool
    ticks: Sequence[float]

    @classmethod
    def of(cls, chart: Chart) -> Scale:
        """A scale with round ends for what is in a chart."""
        values = chart.values or [0.1, 1.0]
        low, high = min(values), max(values)
        if chart.log:
            return cls._log(low, high)
        if chart.from_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if high - low < 1e-9 * max(abs(high), abs(low), 1e-9):
            room = abs(low) / 2 if abs(low) > LEAST else 0.5
            low, high = low - room, high + room
        step = _round_step((high - low) / 3)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        return cls(first * step, last * step, False, [tick * step for tick in range(first, last + 1)])

    @classmethod
    def _log(cls, low: float, high: float) -> Scale:
        first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
        last = max(last, first + 1)
        within = (1, 2, 5) if last - first <= 2 else (1,)
        every = math.ceil((last - first) / 4)
        ticks = [d * 10.0**power for power in range(first, last + 1, every) for d in within]
        below = max((tick for tick in ticks if tick <= low * (1 + 1e-9)), default=10.0**first)
        above = min((tick for tick in ticks if tick >= high * (1 - 1e-9)), default=10.0**last)
        return cls(below, above if above > below else below * 10, True, [t for t in ticks if below <= t <= above])

    def place(self, value: float) -> float:
        """Where a value stands: 0 at the low end, 1 at the high one."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(max(value, self.low)) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def figure(chart: Chart, number: int) -> str:
    """A chart as HTML: a caption that says the last values, and the curves."""
    scale = Scale.of(chart)
    keys = "".join(
        f'<span class="key c{index}">{escape(visible_line(curve.name))} <b>{figures(curve.last)}</b></span>'
        for index, curve in enumerate(chart.curves)
    )
    note = f'<p class="faint note">{escape(chart.note)}</p>' if chart.note else ""
    said = f"{chart.title}: " + ", ".join(f"{visible_line(c.name)} {figures(c.last)}" for c in chart.curves)
    return f"""<figure class="chart" data-chart="{number}" tabindex="0">
<figcaption><h3>{escape(chart.title)}</h3><span class="keys">{keys}</span><span class="at faint"></span></figcaption>
<div class="frame">
{_numbers(scale)}
<svg class="plot" width="100%" height="{HEIGHT + FOOT}" role="img" aria-label="{escape(said)}">
{_grid(scale)}{_steps(chart)}
<svg y="6" width="100%" height="{HEIGHT - 12}" viewBox="0 0 {WIDTH} {HEIGHT - 12}" preserveAspectRatio="none"
 overflow="visible">
{"".join(_line(chart, scale, index) for index in range(len(chart.curves)))}</svg>
{"".join(_dots(chart, scale))}{"".join(_marks(chart))}
<line class="hair" y1="0" y2="{HEIGHT}" visibility="hidden"/>
</svg>
</div>{note}
</figure>
"""


def carried(chart: Chart) -> dict[str, Any]:
    """What the page's script needs to say the values at a step."""
    return {
        "steps": list(chart.steps),
        "curves": [
            [
                [step for step, _ in points],
                [float(f"{value:.4g}") if math.isfinite(value) else None for _, value in points],
            ]
            for points in (thinned(curve.points) for curve in chart.curves)
        ],
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _numbers(scale: Scale) -> str:
    """The labels of the values, beside the drawing."""
    texts = "".join(
        f'<text class="faint" x="38" y="{_y(scale.place(tick)) + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
        for tick in scale.ticks
    )
    return f'<svg class="scale" width="44" height="{HEIGHT + FOOT}" aria-hidden="true">{texts}</svg>'


def _grid(scale: Scale) -> str:
    return "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{_y(place):.1f}" y2="{_y(place):.1f}"/>'
        for place in map(scale.place, scale.ticks)
    )


def _steps(chart: Chart) -> str:
    """The labels of the first step, of the last, and of the middle."""
    first, last = chart.steps
    places = (("0", "start", first), ("50%", "middle", (first + last) // 2), ("100%", "end", last))
    return "".join(
        f'<text class="faint" x="{x}" y="{HEIGHT + 16}" text-anchor="{anchor}">{step:,}</text>'
        for x, anchor, step in places
    )


def _line(chart: Chart, scale: Scale, index: int) -> str:
    """A curve, broken where there was no number."""
    parts: list[list[str]] = [[]]
    for step, value in thinned(chart.curves[index].points):
        if not math.isfinite(value):
            parts.append([])
            continue
        parts[-1].append(f"{_x(chart, step) * WIDTH:.1f},{(1 - scale.place(value)) * (HEIGHT - 12):.1f}")
    dense = " dense" if sum(map(len, parts)) > DENSE else ""
    drawn = (" ".join(part) for part in parts if len(part) > 1)
    return "".join(f'<polyline class="line{dense} c{index}" points="{points}"/>' for points in drawn)


def _dots(chart: Chart, scale: Scale) -> Iterable[str]:
    for index, curve in enumerate(chart.curves):
        few = thinned(curve.points)
        for step, value in few if curve.marked and len(few) <= 60 or len(few) == 1 else ():
            if math.isfinite(value):
                x, y = 100 * _x(chart, step), _y(scale.place(value))
                ring = ' class="dot best' if step == chart.best else ' class="dot'
                radius = 4.5 if step == chart.best else 2.5
                yield f'<circle{ring} c{index}" cx="{x:.2f}%" cy="{y:.1f}" r="{radius}"/>'


def _marks(chart: Chart) -> Iterable[str]:
    for step, _ in thinned([(step, 0.0) for step in chart.marks], 200):
        x = f"{100 * _x(chart, step):.2f}%"
        yield f'<line class="mark" x1="{x}" x2="{x}" y1="{HEIGHT - 8}" y2="{HEIGHT}"/>'


def _x(chart: Chart, step: int) -> float:
    first, last = chart.steps
    return (step - first) / max(1, last - first)


def _y(place: float) -> float:
    return 6 + (1 - place) * (HEIGHT - 12)


def _round_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= rough * (1 - 1e-9))


def _short(value: float) -> str:
    """A tick's label: 12k, 0.5, 1e-4."""
    if abs(value) < 1e-12:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:.0e}".replace("e-0", "e-") if abs(value) < 1e-3 else f"{float(f'{value:.6g}'):g}"
