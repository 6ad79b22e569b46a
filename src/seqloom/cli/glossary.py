"""What `--glossary` reads, and what is said of it in the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seqloom.glossary import Glossary, TermReport
    from seqloom.search import SearchOptions

SHOWN = 10  # terms that were not honoured; the rest is counted
Option = Annotated[
    Path | None,
    typer.Option("--glossary", help="Lines SOURCE<TAB>TARGET[<TAB>TARGET...]: terms that a translation must have."),
]


def read(path: Path | None, options: SearchOptions) -> Glossary | None:
    """The glossary in a file, where there is one; DataError for faults in it, UsageError for a search without beam."""
    from seqloom.glossary import Glossary, check_steerable

    if path is None:
        return None
    check_steerable(options)
    return Glossary.read(path)


class Honoured:
    """Counts the terms that sentences have and translations honour, and tells of those that they don't."""

    def __init__(self) -> None:
        self.asked, self.honoured = 0, 0

    def hear(self, number: int, terms: Sequence[TermReport] | None) -> None:
        """Count the terms of a line, counted from 0."""
        for term in terms or ():
            self.asked, self.honoured = self.asked + 1, self.honoured + (term.found is not None)
            if term.found is None and self.asked - self.honoured <= SHOWN:
                targets = " or ".join(map(repr, term.targets))
                why = f": {term.problem}" if term.problem else ""
                print(f"seqloom: line {number + 1}: {term.source!r} did not become {targets}{why}", file=sys.stderr)

    def give(self) -> None:
        """Say how many there were."""
        print(f"glossary: {self.honoured:,} of {self.asked:,} terms honoured", file=sys.stderr)
