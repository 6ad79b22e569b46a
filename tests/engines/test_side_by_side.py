"""Batches that are searched at a time are what they are one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch
from tests.support.small_models import small_model

from seqloom.engines.base import Found, Request
from seqloom.engines.native import NativeEngine
from seqloom.engines.side_by_side import SideBySide
from seqloom.search import SearchOptions

SYMBOLS = 40


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == threads


SOURCES = [
    torch.randint(3, SYMBOLS, (1 + row % 9,), generator=torch.Generator().manual_seed(row)).tolist()
    for row in range(37)
]


@pytest.mark.parametrize("kind", ["transformer", "recurrent"])
@pytest.mark.parametrize(
    "options",
    [SearchOptions(beam_size=3, n_best=2, max_length=12), SearchOptions(sample=True, n_best=2, max_length=12)],
    ids=["beam", "sample"],
)
def test_every_sentence_is_found_what_it_is_found_alone(kind: str, options: SearchOptions) -> None:
    request = Request(options=options, trace=True, prefixes=[source[:1] for source in SOURCES], numbers=range(37))
    made = small_model(kind, SYMBOLS)
    parts = [range(start, 37, 5) for start in range(5)]

    def searched(engine: NativeEngine) -> list[Found]:
        founds = engine.at_once(lambda part: engine.search([SOURCES[i] for i in part], request.only(part)), parts)
        by_row = {
            row: found for part, of in zip(parts, founds, strict=True) for row, found in zip(part, of, strict=True)
        }
        return [by_row[row] for row in range(37)]

    whole, apart = NativeEngine(made).search(SOURCES, request), searched(NativeEngine(made, cores=3))
    for one, other in zip(whole, apart, strict=True):
        assert [h.tokens for h in one.hypotheses] == [h.tokens for h in other.hypotheses]
        assert [h.score for h in one.hypotheses] == pytest.approx([h.score for h in other.hypotheses], abs=1e-5)
        assert one.trace is not None and other.trace is not None
        assert len(one.trace.steps) == len(other.trace.steps)


def test_threads_share_the_cores_and_leave_others_theirs() -> None:
    before = torch.get_num_threads()
    for cores, each in [(2, 1), (4, 1), (9, 2)]:
        both = SideBySide(cores)
        assert both.run(lambda part: (part, torch.get_num_threads()), [1, 2, 3]) == [(part, each) for part in (1, 2, 3)]
        assert torch.get_num_threads() == before


def test_an_error_comes_when_nothing_runs_any_more() -> None:
    ended: list[int] = []

    def work(part: int) -> None:
        if part == 0:
            raise ValueError("no such part")
        time.sleep(0.01)
        ended.append(part)

    with pytest.raises(ValueError, match="no such part"):
        SideBySide(2).run(work, range(50))
    count = len(ended)
    assert count < 40  # what hadn't begun never does
    time.sleep(0.1)
    assert len(ended) == count
