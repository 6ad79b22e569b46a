"""A bar on a terminal while data are prepared, and plain sentences elsewhere."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqloom.cli.preparing import SOURCE, shown
from seqloom.data import encoding, sifting
from seqloom.data.corpora import CorpusOptions
from seqloom.data.filters import Length
from seqloom.data.pace import Pace
from seqloom.data.prepared import prepare
from seqloom.data.sifting import sift
from seqloom.tokenizers import Tokenizers, Words


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("RANK", raising=False)


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusOptions:
    lines = [f"line {number}\n" for number in range(2500)]
    for side in ("source", "target"):
        (tmp_path / side).write_text("".join(lines))
    return CorpusOptions(source=tmp_path / "source", target=tmp_path / "target")


def clock() -> Iterator[float]:
    """Every look takes an hour: enough for each to be worth a sentence."""
    now = 0.0
    while True:
        now += 3600
        yield now


def test_a_terminal_shows_a_bar_for_each_work_and_no_sentence(
    corpus: CorpusOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sifting, "ROWS", 1000)
    monkeypatch.setattr(encoding, "BLOCK_LINES", 1000)
    screen, words = Terminal(), Words(size=100)
    words.train(["line 1 2 3"])
    with shown(screen), caplog.at_level(logging.INFO):
        sifted = sift(corpus, [Length(most=50)], cache=tmp_path)
        prepare(corpus, Tokenizers(words, words), cache=tmp_path, sifted=sifted)
    drawn = screen.getvalue()
    for what in ("filtering", "preparing"):
        assert f"{what} 1,000/2,500 pairs" in drawn, "the first block of each is done"
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 2, "the cursor was hidden, and is back"
    assert not caplog.records


def test_a_short_work_shows_nothing(corpus: CorpusOptions, tmp_path: Path) -> None:
    screen = Terminal()
    with shown(screen):
        sift(corpus, [Length(most=50)], cache=tmp_path)
    assert screen.getvalue() == ""


def test_it_ends_with_what_went_wrong(corpus: CorpusOptions) -> None:
    screen = Terminal()
    with pytest.raises(ValueError, match="broken"), shown(screen), Pace("preparing", 10) as pace:
        pace(5)
        assert "preparing 5/10 pairs" in screen.getvalue()
        raise ValueError("broken")
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize("stream, rank", [(io.StringIO(), "0"), (Terminal(), "1")])
def test_elsewhere_sentences_are_said(
    stream: io.StringIO, rank: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    hours = clock()
    with shown(stream), caplog.at_level(logging.INFO), Pace("preparing", 10, clock=lambda: next(hours)) as pace:
        pace(5)
    assert [record.message for record in caplog.records] == ["preparing: 5 of 10 pairs, 0 a second, 60:00 left"]
    assert stream.getvalue() == ""


def test_afterwards_all_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    source = logging.getLogger(SOURCE)
    before = source.level, source.propagate, list(source.handlers)
    with shown(Terminal()):
        assert (source.level, source.propagate) == (logging.DEBUG, False)
    assert (source.level, source.propagate, source.handlers) == before
