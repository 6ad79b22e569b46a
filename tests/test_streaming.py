"""A translation is told while it is being found, and the last word is that of a plain call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from exports import TOKENIZERS, exported, model

from seqloom.cli.interactive import check_alone, show
from seqloom.cli.writers import Output
from seqloom.engines.base import Engine
from seqloom.engines.listening import Listener, overheard
from seqloom.engines.native import NativeEngine
from seqloom.errors import UsageError
from seqloom.search import SearchOptions
from seqloom.translate import Translator

MODEL = model({}, {}, seed=1)
OPTIONS = SearchOptions(beam_size=1, max_length=12)
LINES = ["w1 w2 w3", "w4", "w5 w5 w2 w1", ""]


@pytest.fixture(params=["native", "ctranslate2"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return NativeEngine(MODEL) if request.param == "native" else exported(MODEL, tmp_path / "model")


def test_greedy_search_tells_every_token_and_changes_none(engine: Engine) -> None:
    translator = Translator(engine, TOKENIZERS, OPTIONS)
    for line in LINES:
        *parts, last = translator.stream_tokens(line)
        assert last == translator.translate([line])[0].text
        assert all(last.startswith(part) for part in parts)
        words = last.split()
        assert parts in ([" ".join(words[:count]) for count in range(1, len(words))], [])


def test_a_beam_ends_with_what_a_plain_call_finds(engine: Engine) -> None:
    translator = Translator(engine, TOKENIZERS, replace(OPTIONS, beam_size=3))
    for line in LINES:
        *_, last = translator.stream_tokens(line)
        assert last == translator.translate([line])[0].text


def test_some_line_is_told_in_parts() -> None:
    told = [list(Translator(NativeEngine(MODEL), TOKENIZERS, OPTIONS).stream_tokens(line)) for line in LINES]
    assert max(map(len, told)) > 2


def test_what_goes_wrong_is_raised_where_it_is_listened_to() -> None:
    def work(listener: Listener) -> str:
        listener((3,))
        raise UsageError("no")

    heard = overheard(work)
    assert next(heard) == (3,)
    with pytest.raises(UsageError, match="no"):
        next(heard)


def test_what_nobody_listens_to_any_more_is_not_torn_down() -> None:
    program = """
import time
from seqloom.engines.listening import overheard

def work(listener):
    listener((3,))
    time.sleep(0.5)
    print("done")
    return ""

next(overheard(work))
raise KeyboardInterrupt
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "done\n" and "KeyboardInterrupt" in ended.stderr


def test_a_sentence_that_is_too_long_is_known_before_it_is_translated(engine: Engine) -> None:
    translator = Translator(engine, TOKENIZERS, replace(OPTIONS, max_source_length=3))
    for line in [*LINES, "w1 w2 w3 w4", "w1 " * 1000]:
        assert translator.truncates(line) == translator.translate([line])[0].truncated == (len(line.split()) > 3)


def test_a_text_that_grows_is_written_once_and_one_that_changes_anew(capsys: pytest.CaptureFixture[str]) -> None:
    show(["a", "a dog", "a cat", "a cat sat"])
    assert capsys.readouterr().out == "a dog\r\x1b[Ja cat sat\n"


def test_a_long_text_is_erased_row_by_row(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    show(["a" * 25, "b"])
    assert capsys.readouterr().out == f"{'a' * 25}\x1b[2A\r\x1b[Jb\n"


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: check_alone(Output(json=True)), "--json"),
        (lambda: check_alone(Output(n_best=3)), "--n-best"),
        (lambda: check_alone(Output(), input=Path("x")), "--input"),
        (lambda: check_alone(Output(), guard=True), "--guard"),
    ],
)
def test_a_conversation_takes_no_other_form(make: Callable[[], None], option: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value) == f"--interactive reads what is typed and writes plain text; leave out {option}"


def test_a_conversation_alone_is_fine() -> None:
    check_alone(Output(), input=None, guard=None)
    check_alone(Output(), guard=False)
