"""What a terminal shows while data are made ready: a bar, as of a training."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # a command that prepares nothing needn't wait for it
    from rich.progress import Progress, TaskID

SOURCE = "seqloom.data.pace"  # whose records say how far a work is


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[None]:
    """Within this a bar takes the place of sentences such as "preparing: 120,000 of 1,000,000 pairs".

    It is drawn on `stream`, by default standard error.  Where that is no terminal, and on all ranks but the one that
    speaks, nothing changes.
    """
    stream = stream or sys.stderr
    if not stream.isatty() or os.environ.get("RANK", "0") != "0":
        yield
        return
    bar, source = PreparingBar(stream), logging.getLogger(SOURCE)
    before = source.level, source.propagate
    source.addHandler(bar)
    source.setLevel(logging.DEBUG)
    source.propagate = False  # the sentences would come on top
    try:
        yield
    finally:
        source.removeHandler(bar)
        source.level, source.propagate = before
        bar.end()


class PreparingBar(logging.Handler):
    """Draws what `Pace` says of one work after the other."""

    def __init__(self, stream: TextIO):
        super().__init__()
        self.stream = stream
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def emit(self, record: logging.LogRecord) -> None:
        said = vars(record)
        if "done" not in said:  # a sentence for those who see no bar
            return
        if said["done"] >= said["total"]:
            self.end()
            return
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=said["done"])
            return
        self.bar = _bar(self.stream)
        self.task = self.bar.add_task(said["what"], total=said["total"], completed=said["done"])
        self.bar.start()

    def end(self) -> None:
        """Leave the line as it was."""
        if self.bar is not None:
            self.bar.stop()
        self.bar = self.task = None


def _bar(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description} {task.completed:,.0f}/{task.total:,.0f} pairs"),
        BarColumn(None),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=Console(file=stream, highlight=False),
        transient=True,
    )
