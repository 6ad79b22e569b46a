"""Processes that turn blocks of text into ids, so that all cores prepare a corpus.

A worker is a fresh interpreter behind two pipes, no copy of this process: so it doesn't matter which threads run here,
and when this process ends, however it ends, its workers find their pipes closed and end too.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from seqloom.data.encoding import Block, EncodedBlock, Encoding
from seqloom.errors import DataError, SeqloomError, UnreadableError
from seqloom.tokenizers import Tokenizers

LINES_EACH = 50_000  # a worker takes a moment to start, which fewer lines don't earn back
READY, DONE, FAULT, UNREADABLE, BUG = b"R", b"D", b"F", b"U", b"B"  # what an answer begins with
HEAD = struct.Struct("<Q")
log = logging.getLogger(__name__)


def workers_for(lines: int, wanted: int | None) -> int:
    """How many processes so many lines are worth: at most those wanted, by default one for each core."""
    return max(1, min(wanted or _cores(), lines // LINES_EACH))


def encoded(
    encoding: Encoding, blocks: Iterable[Block], *, workers: int, directory: Path
) -> Generator[EncodedBlock, None, None]:
    """What `encoding` makes of the blocks, in their order; with more than one worker in other processes.

    `directory` may hold the tokenizers for a moment.  Raises what `encoding` does, and DataError if a worker dies.
    """
    with ExitStack() as stack:
        team = _team(stack, encoding, workers, directory) if workers > 1 else []
        yield from _dealt(blocks, team) if team else map(encoding, blocks)


def _dealt(blocks: Iterable[Block], team: list[_Worker]) -> Iterator[EncodedBlock]:
    """Give the workers block after block, and collect in the same order what they make of them."""
    working: list[_Worker] = []  # in the order of their blocks
    for block in blocks:
        if len(working) == len(team):
            yield working[0].answer()
            working.append(working.pop(0))
        else:
            working.append(team[len(working)])
        working[-1].ask(json.dumps(block).encode())
    for worker in working:
        yield worker.answer()


class _Worker:
    """One process, which answers one question at a time: were it two, both sides might wait for an empty pipe."""

    def __init__(self, process: subprocess.Popen[bytes]):
        self._process = process

    def ask(self, question: bytes) -> None:
        """Send a block, or the first question: what to do with blocks."""
        assert self._process.stdin is not None
        try:
            _send(self._process.stdin, question)
        except OSError as error:
            raise self._dead() from error

    def hear(self) -> bytes:
        """The answer.  Raises what the worker met with."""
        assert self._process.stdout is not None
        answer = _receive(self._process.stdout)
        if answer is None:
            raise self._dead()
        _raise(answer[:1], answer[1:])
        return answer[1:]

    def answer(self) -> EncodedBlock:
        """The block as ids."""
        return EncodedBlock.from_bytes(self.hear())

    def _dead(self) -> DataError:
        self._process.kill()
        code = self._process.wait()
        return DataError(
            f"a process that prepares data ended by itself (code {code}); if memory ran out, set data.workers to 1"
        )


def _team(stack: ExitStack, encoding: Encoding, workers: int, directory: Path) -> list[_Worker]:
    """Workers that know the tokenizers; none where they can't, such as a class that only this process knows."""
    team = [stack.enter_context(_started()) for _ in range(workers)]
    try:
        _teach(team, encoding, directory)
    except DataError as error:
        log.warning("One process alone prepares the data: %s", error)
        return []
    return team


def _teach(team: Sequence[_Worker], encoding: Encoding, directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=directory, prefix="tokenizers-") as place:
        encoding.tokenizers.save(Path(place))
        lesson = {"tokenizers": place, "max_length": encoding.max_length, "cut": encoding.cut}
        for worker in team:
            worker.ask(json.dumps(lesson).encode())
        for worker in team:
            worker.hear()


@contextmanager
def _started() -> Iterator[_Worker]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "seqloom.data.workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        process_group=0,  # Ctrl-C is for us: a worker's own complaint about it would help nobody
    )
    try:
        yield _Worker(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                _close(pipe)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:  # it held a part of a question to a worker that is gone
        pass


def _raise(kind: bytes, said: bytes) -> None:
    """Raise what a worker met with; nothing for a good answer."""
    if kind == UNREADABLE:
        message, text = json.loads(said)
        raise UnreadableError(message, text)
    if kind == FAULT:
        raise DataError(said.decode())
    if kind == BUG:
        raise RuntimeError(f"a process that prepares data failed:\n{said.decode()}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(HEAD.pack(len(message)))
    stream.write(message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    """The next message, or None where the stream ends."""
    head = stream.read(HEAD.size)
    size = HEAD.unpack(head)[0] if len(head) == HEAD.size else None
    message = stream.read(size) if size is not None else b""
    return message if len(message) == size else None


# What follows runs in the worker.


def _serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one question after the other, until there are no more."""
    encoding: Encoding | None = None
    while (question := _receive(questions)) is not None:
        try:
            said = json.loads(question)
            if encoding is None:
                encoding = _learnt(said)
                answer = READY
            else:
                answer = DONE + encoding(said).to_bytes()
        except UnreadableError as error:
            answer = UNREADABLE + json.dumps([str(error), error.text]).encode()
        except SeqloomError as error:
            answer = FAULT + str(error).encode()
        except Exception:
            answer = BUG + traceback.format_exc().encode()
        _send(answers, answer)


def _learnt(lesson: dict[str, Any]) -> Encoding:
    source, target = lesson["max_length"]
    return Encoding(Tokenizers.load(Path(lesson["tokenizers"])), (source, target), lesson["cut"])


def _main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    try:
        _serve(sys.stdin.buffer, answers)
    except BrokenPipeError:  # whoever asked is gone
        os._exit(0)


if __name__ == "__main__":
    _main()
