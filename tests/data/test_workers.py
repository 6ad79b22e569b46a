"""Many processes make the same files as one, and none of them outlives what it was started for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from seqloom.data import encoding as encoding_module
from seqloom.data import workers as workers_module
from seqloom.data.corpora import CorpusOptions
from seqloom.data.encoding import Encoding
from seqloom.data.prepared import PreparedCorpus, prepare
from seqloom.data.workers import encoded, workers_for
from seqloom.errors import DataError, UnreadableError
from seqloom.tokenizers import Characters, Parts, SentencePiece, Tokenizers, Words

LINES = 300


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusOptions:
    """Lines of many lengths, some empty, some too long, one with a lone surrogate as JSON may have it."""
    sides = (("a bc " * (number % 23) + str(number), "d" * (number % 7) or " ") for number in range(LINES))
    rows = [f"{json.dumps({'source': source, 'target': target})}\n" for source, target in sides]
    (tmp_path / "text.jsonl").write_text("".join([*rows, '{"source": "a \\ud800", "target": "b"}\n']))
    return CorpusOptions(jsonl=tmp_path / "text.jsonl")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding_module, "BLOCK_LINES", 7)
    monkeypatch.setattr(workers_module, "LINES_EACH", 1)


def words() -> Tokenizers:
    made = Words()
    made.train(["a bc d 1 2 3"])
    return Tokenizers(made, made)


def pieces() -> Tokenizers:
    source, target = SentencePiece(size=30), Characters()
    source.train(["a bc a bc a 1 2 3 4 5 6 7 8 9 0"] * 50)
    target.train(["d b"])
    return Tokenizers(source, target)


def files(prepared: PreparedCorpus, cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (cache / "prepared" / prepared.key).iterdir()}


@pytest.mark.parametrize("make", [words, pieces])
def test_many_processes_write_the_same_files(tmp_path: Path, corpus: CorpusOptions, make: type) -> None:
    tokenizers = make()
    heard: dict[int, list[int]] = {1: [], 3: []}
    made = {
        workers: files(
            prepare(
                corpus,
                tokenizers,
                cache=tmp_path / str(workers),
                max_length=40,
                workers=workers,
                progress=heard[workers].append,
            ),
            tmp_path / str(workers),
        )
        for workers in (1, 3)
    }
    assert made[1] == made[3]
    assert set(made[1]) == {"header.json", "source.ids", "target.ids", "source.ends", "target.ends"}
    assert heard[1][-1] == heard[3][-1] == LINES + 1
    assert len(heard[1]) == len(heard[3])


def test_few_lines_are_not_worth_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "LINES_EACH", 100)
    monkeypatch.setattr(workers_module, "_cores", lambda: 4)
    assert [workers_for(lines, None) for lines in (0, 199, 200, 350, 1000)] == [1, 1, 2, 3, 4]
    assert [workers_for(1000, wanted) for wanted in (1, 2, 8)] == [1, 2, 8]


def test_a_faulty_text_is_named_as_by_one_process(tmp_path: Path) -> None:
    plain = Words()
    plain.train(["a b"])
    parts = Parts(tokenizer=lambda: plain, parts=2)
    parts.train(["a ||| b"])
    encoding = Encoding(Tokenizers(parts, plain), (9, 9), cut=False)
    blocks = [[("a ||| b", "a")], [("a", "b")]]
    said = []
    for workers in (1, 2):
        with pytest.raises(UnreadableError) as raised:
            list(encoded(encoding, blocks, workers=workers, directory=tmp_path))
        said.append((str(raised.value), raised.value.text))
    assert said[0] == said[1]
    assert said[0][1] == "a"


class Local(Words):
    """A tokenizer that is known here and to no other process."""


Local.__module__ = "nowhere"


def test_a_tokenizer_that_only_this_process_knows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    local = Local()
    local.train(["a b"])
    encoding = Encoding(Tokenizers(local, local), (9, 9), cut=False)
    (made,) = encoded(encoding, [[("a", "b")]], workers=2, directory=tmp_path)
    assert made.report.kept == 1
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("One process alone prepares the data: ")


def test_a_process_that_dies_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(workers_module.subprocess, "Popen", recording(started))
    encoding = Encoding(words(), (9, 9), cut=False)

    def blocks() -> Sequence[object]:
        for number in range(10):
            if number == 5:
                started[0].kill()
            yield [("a", "d")]

    with pytest.raises(DataError) as said:
        list(encoded(encoding, blocks(), workers=2, directory=tmp_path))
    assert str(said.value) == (
        "a process that prepares data ended by itself (code -9); if memory ran out, set data.workers to 1"
    )
    assert [process.poll() is not None for process in started] == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_who_stops_listening_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(workers_module.subprocess, "Popen", recording(started))
    made = encoded(Encoding(words(), (9, 9), cut=False), [[("a", "d")]] * 9, workers=2, directory=tmp_path)
    next(made)
    made.close()
    assert [process.poll() is not None for process in started] == [True, True]


def recording(started: list[subprocess.Popen[bytes]]) -> object:
    real = subprocess.Popen

    def start(*arguments: object, **keywords: object) -> subprocess.Popen[bytes]:
        process = real(*arguments, **keywords)  # type: ignore[call-overload]
        started.append(process)
        return process

    return start


SLOW = """
import signal, sys, time
from pathlib import Path
from seqloom.data import encoding, workers
from seqloom.data.corpora import CorpusOptions
from seqloom.data.prepared import prepare
from seqloom.tokenizers import Tokenizers

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
encoding.BLOCK_LINES, workers.LINES_EACH = 7, 1
folder = Path(sys.argv[1])

def slowly(done):
    print(done, flush=True)
    time.sleep(0.05)

tokenizers = Tokenizers.load(folder / "tokenizers")
prepare(CorpusOptions(jsonl=folder / "text.jsonl"), tokenizers, cache=folder / "cache", workers=2, progress=slowly)
"""


@pytest.fixture
def preparing(tmp_path: Path, corpus: CorpusOptions) -> subprocess.Popen[str]:
    """A process that prepares the corpus with two workers, slowly, and has begun."""
    words().save(tmp_path / "tokenizers")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) < LINES
    return process


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whoever_is_killed_leaves_no_workers_and_no_harm(
    tmp_path: Path, corpus: CorpusOptions, preparing: subprocess.Popen[str], number: signal.Signals
) -> None:
    workers = children(preparing.pid)
    assert len(workers) == 2
    sent = time.monotonic()
    os.kill(preparing.pid, number)
    preparing.communicate()
    deadline = sent + 20
    while any(map(is_alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    left = list((tmp_path / "cache" / "prepared").iterdir())
    assert all(entry.name.startswith(".") for entry in left)  # nothing that could be taken for a prepared corpus
    assert len(left) == (0 if number == signal.SIGINT else 1)
    made = prepare(corpus, words(), cache=tmp_path / "cache")
    assert [entry.name for entry in (tmp_path / "cache" / "prepared").iterdir()] == [made.key]
