"""What is to be translated: lines of files, or one side of parallel text, cut into shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from seqloom.data.cache import stamp
from seqloom.data.corpora import CorpusOptions, read_pairs
from seqloom.data.rows import Pair
from seqloom.data.shards import files_of
from seqloom.data.text import read_lines


@dataclass(frozen=True)
class Inputs:
    """Lines of `paths`, plain or compressed, patterns such as mono.*.gz among them; or the sources of a `corpus`."""

    paths: tuple[Path, ...] = ()
    corpus: CorpusOptions | None = None

    @property
    def files(self) -> list[Path]:
        """The files to read.  Raises DataError for a pattern that no file matches."""
        return list(self.corpus.files) if self.corpus else files_of(list(self.paths))

    def rows(self) -> Iterator[Pair]:
        """Each text with its reference, which is empty where none is known.  Raises DataError as reading does."""
        if self.corpus:
            yield from read_pairs(self.corpus)
        else:
            for path in self.files:
                yield from ((line or "", "") for line in read_lines(path))

    def blocks(self, lines: int) -> Iterator[list[Pair]]:
        """The rows, so many at a time."""
        rows = self.rows()
        while block := list(islice(rows, lines)):
            yield block

    def described(self) -> list[list[Any]]:
        """What changes when a file is written: its path, size and time of change.  Raises DataError."""
        return [[str(path), *stamp(path)[1:3]] for path in self.files]
