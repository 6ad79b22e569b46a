"""Lists of phrases: one a line."""

from __future__ import annotations

from pathlib import Path

from seqloom.data.text import read_lines


def read_phrases(path: Path | str) -> list[str]:
    """The phrases of a file, without blanks at their ends; empty lines are passed over.

    Raises DataError for a file that can't be read.
    """
    return [phrase for line in read_lines(path) if (phrase := (line or "").strip())]
