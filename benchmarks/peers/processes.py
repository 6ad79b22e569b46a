"""Programs that are trained in turns: one runs while all others stand still."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

S = TypeVar("S")
LEAST = 3  # batches a window
PATIENCE = 240.0  # seconds until the first batch


class Seen(NamedTuple):
    """A batch as `observed.py` writes it: when its step began, and what it held."""

    began: float  # seconds of the machine's clock
    busy: float  # seconds that the process had used of the processor by then
    rows: int
    source_tokens: int
    source_places: int
    target_tokens: int
    target_places: int


@dataclass(frozen=True)
class Window:
    """What was trained on in a stretch of time, from the start of one step to the start of another."""

    seconds: float
    busy: float
    batches: Sequence[Seen]

    @property
    def tokens(self) -> int:
        """Real target tokens."""
        return sum(batch.target_tokens for batch in self.batches)


def window(seen: Sequence[Seen], since: float) -> Window | None:
    """The whole steps behind a moment; None unless there is one.

    The first step that begins behind it ends the one in which the program was stopped, and the last is not over yet.
    """
    behind = [batch for batch in seen if batch.began >= since]
    if len(behind) < 2:
        return None
    first, last = behind[0], behind[-1]
    return Window(last.began - first.began, last.busy - first.busy, behind[:-1])


def read(text: str) -> list[Seen]:
    """The whole lines of a file of `observed.py`."""
    lines = (line.split() for line in text[: text.rfind("\n") + 1].splitlines())
    return [Seen(float(began), float(busy), *map(int, counts)) for began, busy, *counts in lines]


class Failed(Exception):
    """A program ended, or never trained."""


class Program:
    """A training in a process of its own, with all that it starts itself."""

    def __init__(self, name: str, command: Sequence[str], *, seen: Path, log: Path, threads: int):
        self.name, self.seen, self.log = name, seen, log
        seen.unlink(missing_ok=True)
        threaded = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | threaded,
                start_new_session=True,  # so that a signal reaches its workers, too
            )

    def batches(self) -> list[Seen]:
        return read(self.seen.read_text()) if self.seen.exists() else []

    def run(self, seconds: float) -> Window:
        """Let it run for so long, and for a few steps at least."""
        since = time.monotonic()
        self._signal(signal.SIGCONT)
        while True:
            time.sleep(0.05)
            found = [batch for batch in self.batches() if batch.began >= since]
            late = time.monotonic() - since
            if late >= seconds and len(found) > LEAST:
                self._signal(signal.SIGSTOP)
                result = window(self.batches(), since)
                assert result is not None
                return result
            if self.process.poll() is not None or late > PATIENCE + seconds:
                raise Failed(f"{self.name} does not train; {self.log} ends with: {last_line(self.log)}")

    def end(self) -> None:
        """Nothing of it is left."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass


def rotated(systems: Sequence[S], turn: int) -> Sequence[S]:
    """The same in another order each turn, so that nobody always comes behind the same."""
    by = turn % max(1, len(systems))
    return [*systems[by:], *systems[:by]]


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
