"""Decodes with one toolkit, inside that toolkit's own environment, as often as it is asked to.

    PYTHON-OF-THE-TOOLKIT decoding.py NAME FOLDER

Questions come as lines of JSON, and so do answers.  {"text": FILE, "beam": 5, "batch": 64, "penalty": 1, "most": null}
is answered by {"seconds": ..., "busy": ..., "peak": MIB, "targets": [...]}; the first answer, unasked, says what
loading took.  A line of FILE is a sentence, cut into pieces unless NAME is seqloom, whose work that is.  Nothing of
Seqloom is imported unless NAME is seqloom.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from toolkits.base import How, Toolkit


def answer(toolkit: Toolkit, question: dict[str, Any]) -> dict[str, Any]:
    """Translate a file; nothing but translating is timed."""
    lines = Path(question.pop("text")).read_text("utf8").split("\n")[:-1]
    translate, order = toolkit.prepared(How(**question)), order_of(toolkit, lines)
    given = [lines[i] for i in order]
    forget_peak()
    wall, busy = time.perf_counter(), time.process_time()
    found = translate(given)
    took = {"seconds": time.perf_counter() - wall, "busy": time.process_time() - busy, "peak": peak()}
    return took | {"targets": [target for _, target in sorted(zip(order, found, strict=True))]}


def order_of(toolkit: Toolkit, lines: list[str]) -> list[int]:
    """The numbers of the lines in the order in which a toolkit is given them: by length, if it doesn't sort itself."""
    numbers = list(range(len(lines)))
    return numbers if toolkit.sorts else sorted(numbers, key=lambda i: len(lines[i].split()))


def forget_peak() -> None:
    """Let the most memory that this process held be counted anew, where the system can do that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """The most memory that this process held, in MiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(round(int(line.split()[1]) / 1024, 1) for line in status if line.startswith("VmHWM:"))


def main(name: str, folder: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf8")
    os.dup2(2, 1)  # whatever else is printed goes to the log
    module = import_module(f"toolkits.{name}")
    sys.path.pop(0)  # toolkits are imported only now, and this folder is no place to import from
    began = time.perf_counter()
    toolkit = module.Loaded(Path(folder))
    result: dict[str, Any] = {"loading": time.perf_counter() - began, "peak": peak()}
    while True:
        print(json.dumps(result), file=answers, flush=True)
        if not (line := sys.stdin.readline()):
            return
        result = answer(toolkit, json.loads(line))


if __name__ == "__main__":
    main(*sys.argv[1:])
