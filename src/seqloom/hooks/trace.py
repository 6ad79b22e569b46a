"""Where the time of a training step goes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch.profiler import profile

from seqloom.bounds import Positive
from seqloom.errors import SeqloomError
from seqloom.hooks.base import Hook, write_text
from seqloom.registry import register
from seqloom.train import Trainer

ROWS = 40  # operations in the text
TOLD = 12  # operations that are told of
WARM_UP = 10  # steps after a start that aren't like those to come


@register("trace")
class Trace(Hook):
    """Records some steps: RUN/trace.json for a trace viewer (chrome://tracing), RUN/trace.txt with the longest.

    Whoever listens hears of the longest, too, in an event "profiled" with "lines".
    """

    def __init__(self, directory: Path, *, step: Positive = 10, steps: Positive = 1):
        """Records `steps` steps, of which `step` is the first."""
        self.directory, self.step, self.steps = directory, step, steps
        self._profile: profile | None = None

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "stepping" and metrics["step"] == self.step:
            if trainer.device.type == "cpu":  # there the profiler has nothing to say that a user could need
                os.environ.setdefault("KINETO_LOG_LEVEL", "6")
            self._profile = profile(record_shapes=True)
            self._profile.start()
        elif metrics.get("event") == "stepped" and self._profile and metrics["step"] == self.step + self.steps - 1:
            recorded, self._profile = self._profile, None
            recorded.stop()
            self._write(recorded, trainer.device.type)
            lines = [self._heading(TOLD), *longest(recorded, trainer.device.type)]
            trainer.report({"event": "profiled", "step": metrics["step"], "lines": lines})

    def _heading(self, count: int) -> str:
        which = f"Step {self.step}" if self.steps == 1 else f"Steps {self.step} to {self.step + self.steps - 1}"
        return f"{which}: the {count} operations that took the most time themselves"

    def _write(self, recorded: profile, device: str) -> None:
        path = self.directory / "trace.json"
        try:
            recorded.export_chrome_trace(str(path))
        except (OSError, RuntimeError) as error:
            raise SeqloomError(f"{path} could not be written: {error}; the last checkpoint stands") from error
        table = recorded.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=ROWS)
        write_text(self.directory / "trace.txt", f"{self._heading(ROWS)}\n{table}")


class Profile(Trace):
    """Records five steps once a training runs evenly, whenever it was started."""

    def __init__(self, directory: Path):
        super().__init__(directory, steps=5)

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "started":
            self.step = metrics["step"] + WARM_UP + 1
        super().__call__(trainer, metrics)


def longest(recorded: profile, device: str) -> Iterator[str]:
    """The operations that took the most time themselves, such as " 31.4 %  aten::mm, 450 times"."""
    found = [(getattr(row, f"self_{device}_time_total"), row) for row in recorded.key_averages()]
    total = sum(time for time, _ in found) or 1.0
    for time, row in sorted(found, key=lambda pair: pair[0], reverse=True)[:TOLD]:
        yield f"{100 * time / total:5.1f} %  {row.key}, {row.count:,} times"
