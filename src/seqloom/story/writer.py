"""The page and the model card of a run, written beside what they tell of."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqloom.hooks.base import write_text
from seqloom.story.card import MARK, card
from seqloom.story.page import page
from seqloom.story.record import Record
from seqloom.train import Trainer

log = logging.getLogger(__name__)


class Story:
    """A hook that writes RUN/report.html and RUN/README.md when training starts and at every validation.

    Both can be made again at any time, so nothing that goes wrong with them ends a training: it is said once.
    """

    def __init__(self, directory: Path):
        self.directory, self._complained = directory, False

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "started" or any(name.startswith("valid.") for name in metrics):
            try:
                write(self.directory)
            except Exception as error:  # whatever it is
                if not self._complained:
                    log.warning("the report is not up to date: %s; training goes on", error)
                self._complained = True


def write(directory: Path) -> list[Path]:
    """Make the page and the model card of a run from its files; the paths that were written.

    A README.md that is not ours stays as it is.  Raises SeqloomError if one can't be written.
    """
    record = Record.read(directory)
    made = {directory / "report.html": page(record)}
    if _is_ours(directory / "README.md"):
        made[directory / "README.md"] = card(record)
    for path, text in made.items():
        write_text(path, text)
    return list(made)


def _is_ours(path: Path) -> bool:
    """Whether a file may be written over: there is none, or it says that it was made here."""
    try:
        return MARK in path.read_text("utf8", "replace")
    except FileNotFoundError:
        return True
