"""The numbers of a training for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seqloom.errors import SeqloomError, UsageError
from seqloom.hooks.base import Hook
from seqloom.registry import register
from seqloom.train import Trainer

SHOWN = 3  # examples of a validation


@register("tensorboard")
class TensorBoard(Hook):
    """Writes every number that is reported, and what the model says, to RUN/tensorboard: `tensorboard --logdir RUN`.

    What was written of steps that a resumed training makes again is not shown any more.
    """

    def __init__(self, directory: Path):
        self.directory = directory / "tensorboard"
        self._writer: Any = None

    def check(self) -> None:
        """Raises UsageError if the package is not installed."""
        if find_spec("tensorboard") is None:
            raise UsageError("TensorBoard needs a package: pip install 'seqloom[tensorboard]'")

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        event, step = metrics.get("event"), metrics["step"]
        try:
            if event == "started":
                self._open(step)
            elif event == "skipped":
                self._writer.add_scalar("skipped", 1, step)
                self._writer.flush()
            elif event is None:
                self._write(metrics, step)
                self._writer.flush()
        except OSError as error:
            what = f"{self.directory} could not be written: {error.strerror or error}; the last checkpoint stands"
            raise SeqloomError(what) from error

    def _open(self, step: int) -> None:
        self.check()
        from torch.utils.tensorboard import SummaryWriter  # slow, and there only if its package is

        self._writer = SummaryWriter(str(self.directory), purge_step=step + 1)

    def _write(self, metrics: Mapping[str, Any], step: int) -> None:
        for name, value in metrics.items():
            if name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool):
                place = name.replace("valid.", "valid/", 1) if name.startswith("valid.") else f"train/{name}"
                self._writer.add_scalar(place, value, step)
        for number, (source, output, reference) in enumerate(metrics.get("examples", ())[:SHOWN], 1):
            said = "\n\n".join(_as_code(line) for line in (source, output, reference))
            self._writer.add_text(f"examples/{number}", said, step)


def _as_code(line: str) -> str:
    """A line as a block of Markdown in which nothing has a meaning."""
    return f"    {line}"
