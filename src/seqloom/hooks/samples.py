"""What the model makes of a few sentences as training goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqloom.bounds import Positive
from seqloom.hooks.base import Hook, write_text
from seqloom.registry import register
from seqloom.train import Trainer

RULE = "=" * 80


@register("samples")
class Samples(Hook):
    """Writes RUN/samples/samples_NNNNNN.txt: predictions for the first validation sentences above their targets."""

    def __init__(
        self, directory: Path, *, every: Positive | None = 1000, seconds: Positive | None = None, count: Positive = 10
    ):
        """`count` sentences every so many steps, or whenever so many seconds have passed since the last time."""
        if every is None and seconds is None:
            raise ValueError("samples need an interval; set every (steps) or seconds")
        self.directory, self.every, self.seconds, self.count = directory / "samples", every, seconds, count
        self._last = 0.0

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        event = metrics.get("event")
        if event == "started":
            self._last = time.monotonic()
        elif event == "stepped" and self._is_due(metrics["step"]):
            trainer.model.eval()
            examples = trainer.task.show(trainer.model, self.count)
            pairs = [f"{prediction}\n{target}\n\n" for _, prediction, target in examples]
            step = metrics["step"]
            write_text(self.directory / f"samples_{step:06}.txt", f"{_heading(step)}{RULE}\n{''.join(pairs)}{RULE}\n")
            self._last = time.monotonic()

    def _is_due(self, step: int) -> bool:
        late = self.seconds is not None and time.monotonic() - self._last >= self.seconds
        return late or (self.every is not None and step % self.every == 0)


def _heading(step: int) -> str:
    return (
        f"Prediction followed by target @ step {step}\n"
        "Decoded freely, as in use: the model saw the source, and its own words in place of the target's.\n"
    )
