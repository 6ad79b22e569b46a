"""Where the time of a training step goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.profiler import profile

from seqloom.bounds import Positive
from seqloom.errors import SeqloomError
from seqloom.hooks.base import Hook, write_text
from seqloom.registry import register
from seqloom.train import Trainer

ROWS = 40  # operations in the text


@register("trace")
class Trace(Hook):
    """Records one step: RUN/trace.json for a trace viewer (chrome://tracing), RUN/trace.txt with the longest."""

    def __init__(self, directory: Path, *, step: Positive = 10):
        self.directory, self.step = directory, step
        self._profile: profile | None = None

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "stepping" and metrics["step"] == self.step:
            if trainer.device.type == "cpu":  # there the profiler has nothing to say that a user could need
                os.environ.setdefault("KINETO_LOG_LEVEL", "6")
            self._profile = profile(record_shapes=True)
            self._profile.start()
        elif metrics.get("event") == "stepped" and self._profile is not None:
            self._profile.stop()
            self._write(self._profile, trainer.device.type)
            self._profile = None

    def _write(self, recorded: profile, device: str) -> None:
        path = self.directory / "trace.json"
        try:
            recorded.export_chrome_trace(str(path))
        except (OSError, RuntimeError) as error:
            raise SeqloomError(f"{path} could not be written: {error}; the last checkpoint stands") from error
        table = recorded.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=ROWS)
        heading = f"Step {self.step}: the {ROWS} operations that took the most time themselves\n"
        write_text(self.directory / "trace.txt", heading + table)
