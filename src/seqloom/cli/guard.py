"""What `--guard` is, and what is said of it in the end."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seqloom.guard import Guard
    from seqloom.translation import Translation

HELP = "Translate a line again where its translation is degenerate."
Option = Annotated[bool | None, typer.Option("--guard/--no-guard", help=HELP)]


def guard(run: Path, wanted: bool | None) -> Guard | None:
    """What guards a run's translations, if anything is to; it knows of lengths what the run has facts about."""
    from seqloom.guard import Guard

    return Guard(ratio=_ratio(run / "facts.json")) if wanted else None


def _ratio(facts: Path) -> float | None:
    """How many target tokens there were to a source token."""
    try:
        corpora = json.loads(facts.read_bytes())["training"]
        return float(sum(each["target_tokens"] for each in corpora) / sum(each["source_tokens"] for each in corpora))
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError):
        return None  # an export, or a run that someone imported


class Watched:
    """Counts the degenerate among translations."""

    def __init__(self) -> None:
        self.warnings: Counter[str] = Counter()
        self.translations, self.degenerate, self.redecoded = 0, 0, 0

    def hear(self, translation: Translation) -> None:
        """Count what was wrong with a translation."""
        self.translations += 1
        self.warnings.update(translation.warnings or ())
        self.degenerate += bool(translation.warnings)
        self.redecoded += translation.redecoded

    def give(self) -> None:
        """Say how many there were, if there were any."""
        if self.degenerate:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.warnings.items()))
            of = f"{self.degenerate:,} of {self.translations:,} translations degenerate"
            print(f"guard: {of} ({kinds}), {self.redecoded:,} replaced", file=sys.stderr)
