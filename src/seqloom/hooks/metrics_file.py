"""What training reports, as lines of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqloom.errors import SeqloomError
from seqloom.train import Trainer


class MetricsFile:
    """One JSON object a line for every report that has numbers: RUN/metrics.jsonl."""

    def __init__(self, path: Path):
        self.path = path

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") in (None, "skipped"):
            line = json.dumps(_finite(metrics), ensure_ascii=False, allow_nan=False)
            try:
                with open(self.path, "a", encoding="utf8") as file:
                    file.write(line + "\n")
            except OSError as error:
                raise SeqloomError(
                    f"{self.path} could not be written: {error.strerror}; the last checkpoint stands"
                ) from error

    def forget_after(self, step: int) -> None:
        """Drop the lines of steps that are about to be trained again, and a last line that was cut off."""
        if self.path.exists():
            kept = [line for line in self.path.read_text("utf8").split("\n") if _step(line) <= step]
            scratch = self.path.with_suffix(".new")
            scratch.write_text("".join(line + "\n" for line in kept), "utf8")
            scratch.replace(self.path)


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: such a number becomes null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}
