"""Scores on test sets are kept beside a run, and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqloom.metrics import Score
from seqloom.metrics.journal import NAME, TestSet, keep, newest
from seqloom.story import Record, card, page
from seqloom.story.finals import finals, measured

from .conftest import validated

BLEU = Score("BLEU", 36.53, 35.1, 37.9, "nrefs:1|bs:1000|seed:12345|tok:13a", 1000)
EXACT = Score("exact match", 2.0, None, None, "nrefs:1", 1000)
LINES = [["a", "b"], ["c", "d"]]
SEARCH = {"beam_size": 5, "length_penalty": 1.0}


@pytest.fixture
def tried(run: Callable[..., Path]) -> Path:
    """A run with a validation, whose directory is that of a training."""
    directory = run([validated(2, best=True)])
    (directory / "checkpoints").mkdir()
    return directory


def kept(run: Path, name: str = "test.en", lines: Any = LINES, search: Any = SEARCH, **how: Any) -> bool:
    chosen: dict[str, Any] = {"checkpoint": "best", "tag": None, "search": search} | how
    on = TestSet.of(Path("data") / name, Path("data/test.de"), lines)
    return keep(run, on, {"bleu": BLEU, "exact": EXACT}, **chosen)


def test_a_line_says_all_that_makes_a_score_comparable(tried: Path) -> None:
    assert kept(tried)
    (line,) = map(json.loads, (tried / NAME).read_text().splitlines())
    assert line.pop("time").endswith("+00:00")
    assert (line.pop("source"), line.pop("reference"), line.pop("lines")) == ("test.en", "test.de", 2)
    assert line.pop("sha256") == TestSet.of(Path("x"), Path("y"), LINES).sha256, "of what is in them, not of names"
    assert line.pop("scores") == {"bleu": BLEU.as_dict(), "exact": EXACT.as_dict()}
    assert line == {"checkpoint": "best", "tag": None, "search": SEARCH}


def test_sides_can_not_be_confused() -> None:
    hashes = {
        TestSet.of(Path("a"), Path("b"), lines).sha256 for lines in (LINES, LINES[::-1], [["a", "b"], ["cd", ""]])
    }
    assert len(hashes) == 3


def test_the_report_and_the_card_show_every_question_once(tried: Path) -> None:
    for name, search in (("test.en", SEARCH), ("other.en", {**SEARCH, "beam_size": 1}), ("test.en", SEARCH)):
        kept(tried, name, lines=[[name], ["c"]], search=search)
    kept(tried, tag="<2de>", checkpoint="last")
    record = Record.read(tried)
    assert [time.what for time in finals(record)] == [
        "test.en, 1 lines: beam size 5, length penalty 1.0",
        "other.en, 1 lines: beam size 1, length penalty 1.0",
        "test.en, 2 lines: beam size 5, length penalty 1.0, checkpoint last, tag <2de>",
    ]
    assert measured(finals(record)) == {"BLEU": BLEU.signature, "exact match": EXACT.signature}
    shown, said = page(record), card(record)
    assert "Final scores" in shown and shown.count("36.53 [35.1, 37.9]") == 3 and BLEU.signature in shown
    assert "tag &lt;2de&gt;" in shown, "text of a user is text"
    assert "## Scores on test sets" in said and said.count("36.53 [35.1, 37.9]") == 3 and BLEU.signature in said


def test_the_last_of_the_same_question_counts() -> None:
    def line(value: float, **changed: Any) -> dict[str, Any]:
        return {"sha256": "a", "search": SEARCH, "scores": {"bleu": {"value": value}}} | changed

    lines = [line(1.0), line(2.0, search={}), line(3.0), line(4.0, scores={"chrf": {"value": 4.0}})]
    assert newest(lines) == [lines[2], lines[1], lines[3]]


def test_a_run_without_scores_shows_none(tried: Path) -> None:
    record = Record.read(tried)
    assert "Final scores" not in page(record) and "test sets" not in card(record)


ODD = ["", "{", "[]", "1", "{}", '{"source": 1, "scores": {"bleu": {"value": 1}}}', '{"source": "a", "scores": []}']
ODD += ['{"source": "a", "scores": {"bleu": 3}}', '{"source": "a", "scores": {"bleu": {}}}']


@pytest.mark.parametrize("line", ODD)
def test_odd_lines_say_nothing(tried: Path, line: str) -> None:
    (tried / NAME).write_text(line + "\n")
    assert "Final scores" not in page(Record.read(tried))


def test_half_a_score_is_shown_as_far_as_it_goes(tried: Path) -> None:
    (tried / NAME).write_text(
        '{"source": "a", "lines": "?", "search": [], "scores": {"x": {"value": "<b>", "low": 1}}}\n'
    )
    (time,) = finals(Record.read(tried))
    assert (time.what, time.time, dict(time.scores)) == ("a", "", {"None": "–"})


def test_where_nothing_can_be_kept_nothing_is_said(tried: Path, tmp_path: Path) -> None:
    assert not kept(tmp_path), "no training's directory"
    (tried / NAME).mkdir()
    assert not kept(tried)
