"""Curves keep what matters of any number of points, on scales with round ends."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.story.curves import HEIGHT, MOST, WIDTH, Chart, Curve, Scale, carried, figure, thinned

FINITE = st.floats(-1e9, 1e9)
VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=1, max_size=300)


def points(values: list[float]) -> list[tuple[int, float]]:
    return list(enumerate(values, 1))


@given(values=VALUES, most=st.integers(4, 50))
def test_thinning_keeps_the_ends_and_every_extreme(values: list[float], most: int) -> None:
    kept = thinned(points(values), most)
    assert [step for step, _ in kept] == sorted({step for step, _ in kept}), "in order, none twice"
    assert {str(point) for point in kept} <= {str(point) for point in points(values)}
    assert len(kept) <= most + 2 or len(kept) == len(values)
    finite = [value for value in values if math.isfinite(value)]
    left = [value for _, value in kept if math.isfinite(value)]
    assert (kept[0][0], kept[-1][0]) == (1, len(values))
    assert not finite or (min(left), max(left)) == (min(finite), max(finite))


def test_what_is_short_is_left_as_it_is() -> None:
    few = points([float(value) for value in range(MOST)])
    assert thinned(few) == few


@given(values=st.lists(FINITE, min_size=1, max_size=5), from_zero=st.booleans())
def test_a_scale_holds_every_value_between_its_ticks(values: list[float], from_zero: bool) -> None:
    scale = Scale.of(Chart("", [Curve("", points(values))], from_zero=from_zero))
    assert all(-1e-6 <= scale.place(value) <= 1 + 1e-6 for value in values)
    assert 2 <= len(scale.ticks) <= 6
    assert scale.place(scale.ticks[0]) == pytest.approx(0) and scale.place(scale.ticks[-1]) == pytest.approx(1)
    assert not from_zero or any(abs(tick) < 1e-9 * (scale.high - scale.low) for tick in scale.ticks)


@given(values=st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=5))
def test_a_logarithmic_scale_holds_every_value(values: list[float]) -> None:
    scale = Scale.of(Chart("", [Curve("", points(values))], log=True))
    assert all(-1e-6 <= scale.place(value) <= 1 + 1e-6 for value in values)
    assert 1 <= len(scale.ticks) <= 8
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)


def test_a_curve_is_drawn_where_its_values_are() -> None:
    chart = Chart("Loss", [Curve("training", [(0, 0.0), (5, 1.0), (10, 2.0)])], steps=(0, 10))
    (drawn,) = re.findall(r'<polyline class="line c0" points="([^"]*)"', figure(chart, 0))
    bottom = HEIGHT - 12
    assert drawn == f"0.0,{bottom}.0 {WIDTH / 2},{bottom / 2} {WIDTH}.0,0.0"


def test_a_curve_breaks_where_there_was_no_number() -> None:
    values = [1.0, 2.0, math.nan, 3.0, 4.0, math.nan, 5.0]
    chart = Chart("Loss", [Curve("training", points(values))], steps=(0, 7))
    assert figure(chart, 0).count("<polyline") == 2
    assert carried(chart)["curves"] == [[[1, 2, 3, 4, 5, 6, 7], [1, 2, None, 3, 4, None, 5]]]
    assert "training 5" in figure(chart, 0)


def test_one_point_and_the_best_one_can_be_seen() -> None:
    alone = figure(Chart("BLEU", [Curve("validation", [(4, 30.0)])], steps=(0, 4)), 0)
    assert alone.count("<circle") == 1 and "<polyline" not in alone
    few = Curve("validation", [(2, 10.0), (4, 30.0)], marked=True)
    assert figure(Chart("BLEU", [few], best=4, steps=(0, 4)), 0).count('class="dot best c0"') == 1


def test_equal_values_and_zeros_are_no_trouble() -> None:
    for values in ([3.0, 3.0], [0.0, 0.0], [-2.0]):
        for log in (False, True):
            figure(Chart("Rate", [Curve("rate", points(values))], log=log, steps=(0, 2)), 0)
