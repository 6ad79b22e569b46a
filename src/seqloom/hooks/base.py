"""What every hook that a configuration can name does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from seqloom.errors import SeqloomError
from seqloom.train import Trainer


class Hook(ABC):
    """Something that happens beside training.  It is given the run's directory, to write into.

    A hook may draw random numbers and leave the model in any mode: each step seeds its own and sets its own.  One that
    changes weights does so when a run is new, never when it goes on.
    """

    given: ClassVar[tuple[str, ...]] = ("directory",)

    def check(self) -> None:  # noqa: B027 - most hooks can always work
        """Called before anything else in a new run.  Raises SeqloomError for what would only fail later."""

    @abstractmethod
    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        """Hear a report.  One with an "event" says where training is; one without has numbers.

        The events are "started" (with "resumed"), "stepping" and "stepped" around each step, "skipped" for one whose
        gradient was not finite, "validating", "saved" and "stopping"; each has its "step".
        """


def is_beginning(metrics: Mapping[str, Any]) -> bool:
    """Whether this report says that a new run starts."""
    return metrics.get("event") == "started" and not metrics["resumed"]


def write_text(path: Path, text: str) -> None:
    """Write a file of the run in one step, in a folder made for it if need be.  Raises SeqloomError if it can't be.

    Whoever is killed in the middle, or has no room left, leaves the file as it was.
    """
    scratch = path.with_name(f".new-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, "utf8")
        scratch.replace(path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise SeqloomError(f"{path} could not be written: {error.strerror}; the last checkpoint stands") from error
