"""Text in any number of files: which ones a path, a list or a pattern names, in the order in which people count."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from seqloom.errors import DataError

Paths = Path | list[Path]  # each a file, or a pattern such as train.en.*.gz


def files_of(paths: Paths) -> list[Path]:
    """The files that these paths name, those of a pattern in natural order: part-2 comes before part-10.

    Raises DataError for a pattern that no file matches.
    """
    return [file for path in _listed(paths) for file in _matching(Path(path))]


def named(paths: Paths) -> str:
    """How messages call them: as the user wrote them, of a long list the first and how many more there are."""
    first, *others = map(str, _listed(paths))
    return f"{first} and {len(others)} more" if len(others) > 1 else " and ".join([first, *others])


def paired(sources: Paths, targets: Paths) -> list[tuple[Path, Path]]:
    """The files of both sides, the first with the first.  Raises DataError if one side has more."""
    ours, theirs = files_of(sources), files_of(targets)
    if len(ours) != len(theirs):
        raise DataError(
            f"{named(sources)} {_counted(ours)} and {named(targets)} {_counted(theirs)}:"
            " file i of one must translate file i of the other"
        )
    return list(zip(ours, theirs, strict=True))


def _listed(paths: Paths) -> list[Path]:
    return paths if isinstance(paths, list) else [paths]


def _counted(files: Sequence[Path]) -> str:
    return f"is {len(files)} file{'s' * (len(files) != 1)}"


def _matching(path: Path) -> list[Path]:
    if not glob.has_magic(str(path)) or path.exists():
        return [path]
    found = sorted(map(Path, sorted(glob.glob(str(path)))), key=_natural)
    if not found:
        raise DataError(f"{path}: no file matches this pattern")
    return found


def _natural(path: Path) -> list[str | int]:
    """A key that compares runs of digits as numbers; text and numbers take turns in it."""
    return [int(piece) if turn % 2 else piece for turn, piece in enumerate(re.split("([0-9]+)", str(path)))]
