"""What translations are to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Annotated

import typer

from seqloom.cli.groups import Group
from seqloom.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class Prefix(Group):
    """The beginning of translations."""

    prefix: Annotated[str | None, typer.Option("--prefix", help="Begin every translation with this text.")] = None
    prefixes: Annotated[
        Path | None, typer.Option("--prefixes", help="Begin each translation with a line of this file.")
    ] = None

    def lines(self) -> Prefixes:
        """UsageError if both are said, DataError for a file that can't be read."""
        if self.prefix is not None and self.prefixes is not None:
            raise UsageError("--prefix is the same for all lines and --prefixes are of each; choose one")
        return Prefixes(self.prefix or "", self.prefixes)


class Prefixes:
    """One prefix for each line that comes."""

    def __init__(self, prefix: str, path: Path | None):
        from seqloom.data.text import read_lines

        self._path = path
        self._any = bool(prefix or path)
        self._lines: Iterator[str] = repeat(prefix) if path is None else (line or "" for line in read_lines(path))

    def next(self, count: int) -> list[str] | None:
        """Those of the next lines; None where there are none at all.  DataError if the file has too few."""
        if not self._any:
            return None
        some = list(islice(self._lines, count))
        if len(some) < count:
            raise DataError(f"{self._path} has fewer lines than the input: each line needs a prefix, if an empty one")
        return some

    def finish(self) -> None:
        """DataError if the file has more lines than there were."""
        if self._path is not None and next(self._lines, None) is not None:
            raise DataError(f"{self._path} has more lines than the input: which line has which prefix is in doubt")
