"""Parallel text made of translations: which pairs stay, and files that are whole or absent."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqloom.bulk.results import Found, one_line, replacing
from seqloom.data.rows import Pair

Row = tuple[int, Pair, Found]
# The line to be written for each side, or the reason why there is none.
Make = Callable[[int, Pair, Found], Pair | str]


@dataclass(frozen=True)
class Selection:
    """Which pairs stay, by their lengths in the model's own tokens (https://arxiv.org/abs/1808.09381, 4.1)."""

    min_length: int = 1
    max_length: int | None = 250
    max_ratio: float | None = 1.5  # of the longer to the shorter side

    def __post_init__(self) -> None:
        """Raises ValueError for what no pair could meet."""
        if self.min_length < 1:
            raise ValueError(f"min_length must be at least 1, got {self.min_length}")
        if self.max_length is not None and self.max_length < self.min_length:
            raise ValueError(f"max_length must be at least min_length {self.min_length}, got {self.max_length}")
        if self.max_ratio is not None and not self.max_ratio >= 1:
            raise ValueError(f"max_ratio must be at least 1, got {self.max_ratio}")

    def objection(self, one: int, other: int) -> str | None:
        """Why a pair of these lengths doesn't stay; the first reason counts."""
        short, long = sorted((one, other))
        if short == 0:
            return "empty"
        if short < self.min_length:
            return "too short"
        if self.max_length is not None and long > self.max_length:
            return "too long"
        if self.max_ratio is not None and long > self.max_ratio * short:
            return "length ratio"
        return None


ALL = Selection(max_length=None, max_ratio=None)  # but those with an empty side


@dataclass
class Side:
    """One file under way."""

    path: Path
    file: Any
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, text: str) -> None:
        data = f"{one_line(text)}\n".encode("utf8", "replace")
        self.digest.update(data)
        self.file.write(data)


def write_corpus(directory: Path, rows: Iterable[Row], make: Make) -> dict[str, Any]:
    """Write source.txt and target.txt; how many lines there were, how many were kept, and why others were not."""
    lines, kept, dropped = 0, 0, Counter[str]()
    with ExitStack() as stack:
        paths = [directory / f"{side}.txt" for side in ("source", "target")]
        sides = [Side(path, stack.enter_context(replacing(path))) for path in paths]
        for lines, row in enumerate(rows, 1):  # noqa: B007 - counts after the loop
            made = make(*row)
            if isinstance(made, str):
                dropped[made] += 1
                continue
            kept += 1
            for side, text in zip(sides, made, strict=True):
                side.add(text)
    sums = {side.path.name: side.digest.hexdigest() for side in sides}
    return {"lines": lines, "kept": kept, "dropped": dict(dropped), "sha256": sums}
