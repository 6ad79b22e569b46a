"""Toolkits that decode when they are asked to, each in a process of its own that waits in between."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.processes import Failed, last_line

LOADING = 300.0  # seconds until it answers for the first time
ANSWERING = 3600.0
Answer = dict[str, Any]


class Worker:
    """One `decoding.py`; the first answer, unasked, says what loading took."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, threads: int):
        self.name, self.log = name, log
        threaded = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        quiet = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=os.environ | threaded | quiet,
                start_new_session=True,
            )
        self.waiting = b""

    def loaded(self) -> Answer:
        return self._answer(LOADING)

    def ask(self, **question: object) -> Answer:
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        except (OSError, ValueError):  # it ended, now or before
            raise self._failed() from None
        return self._answer(ANSWERING)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _answer(self, patience: float) -> Answer:
        assert self.process.stdout
        until, output = time.monotonic() + patience, self.process.stdout.fileno()
        while b"\n" not in self.waiting:
            ready, _, _ = select.select([output], [], [], max(0.0, until - time.monotonic()))
            piece = os.read(output, 1 << 16) if ready else b""
            if not piece:
                raise self._failed()
            self.waiting += piece
        line, self.waiting = self.waiting.split(b"\n", 1)
        answer: Answer = json.loads(line)
        return answer

    def _failed(self) -> Failed:
        self.end()
        return Failed(f"{self.name} does not answer; {self.log} ends with: {last_line(self.log)}")
