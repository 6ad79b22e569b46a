"""What a user sees of a training: a bar on a terminal, plain lines elsewhere; all on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from seqloom.train import Progress as TrainingProgress
from seqloom.train import Trainer

QUIET = 5.0  # seconds between two plain lines


class ProgressDisplay:
    """A hook that shows step, loss, speed and time left, and each validation with an example."""

    def __init__(self, steps: int, keep_best: str):
        self.console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(None),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("left"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self.steps, self.keep_best, self.last = steps, keep_best, 0.0
        self.task: TaskID | None = None
        self.first: tuple[int, float] | None = None  # the step and the time of the start

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        event = metrics.get("event")
        if event == "started":
            self._started(trainer, resumed=metrics["resumed"])
        elif event == "skipped":
            self._say(f"step {metrics['step']}: the gradient was not finite, so this update was left out")
        elif event == "profiled":
            for line in metrics["lines"]:
                self._say(line)
        elif event == "stopping":
            self._say("stopping after this step; once more to stop at once")
        elif "valid.loss" in metrics:
            self._validated(metrics)
        elif "loss" in metrics:
            self._trained(trainer, metrics)

    def close(self, progress: TrainingProgress, directory: Path) -> None:
        """Say how it went, and what to type next."""
        best = (
            ""
            if progress.best is None
            else f"; best {self.keep_best} {progress.best:.2f} at step {progress.best_step:,}"
        )
        self._say(f"trained {progress.step:,} steps in {_duration(progress.seconds)}{best}")
        self._say(f"{directory / 'report.html'} shows how it went, {directory / 'README.md'} is its model card")
        self._say(
            f"next: seqloom translate {directory} < FILE    or: seqloom inspect {directory} 'a sentence' -o page.html"
        )

    def _started(self, trainer: Trainer, *, resumed: bool) -> None:
        weights = sum(parameter.numel() for parameter in trainer.model.parameters())
        how = f"going on from step {trainer.progress.step:,}" if resumed else "training"
        self._say(f"{how}: {weights:,} parameters on {trainer.device}")
        self.first = (trainer.progress.step, time.monotonic())
        self.task = self.bar.add_task("", total=self.steps, completed=trainer.progress.step, numbers="")
        self.bar.start()

    def _trained(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        loss = metrics["loss"]
        numbers = f"loss {loss:.3f}  {metrics['tokens_per_second']:,.0f} tokens/s  epoch {metrics['epoch']:.1f}"
        if self.task is not None:
            self.bar.update(self.task, completed=metrics["step"], numbers=numbers)
        if not self.console.is_terminal and time.monotonic() - self.last > QUIET:
            self.last = time.monotonic()
            self._say(f"step {metrics['step']:,}/{self.steps:,}  {numbers}  {self._left(trainer)} left")

    def _left(self, trainer: Trainer) -> str:
        assert self.first is not None
        step, started = self.first
        done = trainer.progress.step - step
        left = (time.monotonic() - started) / max(done, 1) * (self.steps - trainer.progress.step)
        if trainer.options.minutes is not None:
            left = min(left, 60 * trainer.options.minutes - trainer.progress.seconds)
        return _duration(left)

    def _validated(self, metrics: Mapping[str, Any]) -> None:
        numbers = {name[6:]: value for name, value in metrics.items() if name.startswith("valid.")}
        said = "  ".join(f"{name} {value:.2f}" for name, value in numbers.items())
        self._say(f"step {metrics['step']:,}  validation: {said}{'  (best so far)' if metrics['best'] else ''}")
        for source, hypothesis, reference in metrics["examples"][:1]:
            for label, line in (("source", source), ("model", hypothesis), ("reference", reference)):
                self._say(f"    {label:9} {line[:200]}")

    def _say(self, line: str) -> None:
        # A sentence of the data is text, not markup; and a line that is cut by a pipe stays one line.
        if self.console.is_terminal:
            self.bar.console.print(Text(line), soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(0, math.ceil(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
