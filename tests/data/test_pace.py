"""A long work says now and then how far it is."""

from __future__ import annotations

from seqloom.data.pace import Pace


def test_sentences_become_rarer_and_a_short_work_says_nothing() -> None:
    now, heard = [0.0], list[tuple[float, str]]()
    pace = Pace("preparing", 1_000_000, say=lambda line: heard.append((now[0], line)), clock=lambda: now[0])
    for second in range(1, 1001):
        now[0] = float(second)
        pace(second * 1000)
    assert [when for when, _ in heard[:6]] == [5, 15, 35, 75, 135, 195]
    assert heard[0][1] == "preparing: 5,000 of 1,000,000 pairs, 1,000 a second, 16:35 left"
    assert heard[3][1] == "preparing: 75,000 of 1,000,000 pairs, 1,000 a second, 15:25 left"
