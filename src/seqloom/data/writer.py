"""Writing a corpus as ids, block by block, and counting what becomes of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from seqloom.data.corpora import TooLong
from seqloom.data.rows import Pair
from seqloom.errors import DataError
from seqloom.tokenizers import Tokenizer, Tokenizers
from seqloom.vocabulary import UNK

FORMAT = 2  # raise this when the files or the meaning of an option change
BLOCK_LINES = 10_000
BLOCK_CHARACTERS = 4_000_000  # so that a block of very long lines stays small too


@dataclass(frozen=True)
class Report:
    """What became of a corpus: pairs kept and left out, and the tokens kept, without bos and eos."""

    kept: int = 0
    empty: int = 0  # a side without a token
    too_long: int = 0
    skipped: int = 0  # not UTF-8, or not a pair
    cut: int = 0  # kept, but only the first tokens of a side
    source_tokens: int = 0
    target_tokens: int = 0
    source_unknowns: int = 0
    target_unknowns: int = 0
    filtered: Mapping[str, int] = field(default_factory=dict)  # what filters left out, by their reasons

    def __add__(self, other: Report) -> Report:
        mine, theirs = asdict(self), asdict(other)
        filtered = Counter(mine.pop("filtered")) + Counter(theirs.pop("filtered"))
        return Report(**{name: mine[name] + theirs[name] for name in mine}, filtered=dict(filtered))

    def __str__(self) -> str:
        """Such as "29,000 pairs, 1 of them cut; left out: 2 too long"."""
        reasons = (("with an empty side", self.empty), ("too long", self.too_long), ("not readable", self.skipped))
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in (*reasons, *self.filtered.items()) if count)
        kept = f"{self.kept:,} pair{'s' * (self.kept != 1)}" + (f", {self.cut:,} of them cut" if self.cut else "")
        return kept + (f"; left out: {left_out}" if left_out else "")


class Writer:
    """Writes a corpus block by block."""

    def __init__(self, directory: Path, tokenizers: Tokenizers, max_length: tuple[int, int], too_long: TooLong):
        """`max_length` is that of sources and of targets; a side whose length is always the same may be longer."""
        self._directory = directory
        self._max_length = max_length
        self._cuts = too_long == "cut"
        self._report = Report()
        self._files = ExitStack()
        self._sides = [self._side("source", tokenizers.source), self._side("target", tokenizers.target)]

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._files.__exit__(*failure)

    def _side(self, name: str, tokenizer: Tokenizer) -> _Side:
        ids, ends = (
            self._files.enter_context((self._directory / f"{name}.{kind}").open("wb")) for kind in ("ids", "ends")
        )
        return _Side(tokenizer, ids, ends)

    def write(self, block: list[Pair | None]) -> None:
        """Encode and append a block of rows; None stands for a row that could not be read."""
        pairs = [pair for pair in block if pair is not None]
        rows = [side.tokenizer.encode([pair[i] for pair in pairs]) for i, side in enumerate(self._sides)]
        lengths = np.array([[len(row) for row in side] for side in rows], np.int64)  # [2, pairs]
        empty = lengths.min(0) == 0
        limits = [side.tokenizer.length or most for side, most in zip(self._sides, self._max_length, strict=True)]
        too_long = ~empty & (lengths > np.array(limits)[:, None]).any(0)
        kept = np.flatnonzero(~empty & (self._cuts | ~too_long)).tolist()
        count = int(too_long.sum())
        self._report += Report(
            kept=len(kept),
            empty=int(empty.sum()),
            too_long=0 if self._cuts else count,
            cut=count if self._cuts else 0,
            skipped=len(block) - len(pairs),
        )
        for side, encoded, most in zip(self._sides, rows, limits, strict=True):
            side.write([encoded[i][:most] for i in kept])

    def finish(self, name: str, key: str, *, filtered: Mapping[str, int] = {}) -> None:  # noqa: B006 - never changed
        """Write the header, which makes the rest usable.  Raises DataError if no pair was kept."""
        source, target = self._sides
        report = replace(
            self._report,
            source_tokens=source.tokens,
            target_tokens=target.tokens,
            source_unknowns=source.unknowns,
            target_unknowns=target.unknowns,
            filtered=dict(filtered),
        )
        if not report.kept:
            most = " and ".join(str(length) for length in dict.fromkeys(self._max_length))
            raise DataError(f"{name}: no pair is usable (max_length is {most} tokens): {report}")
        sizes = {path.name: path.stat().st_size for path in self._directory.iterdir()}
        types = {"source": source.type.name, "target": target.type.name}
        header = {"key": key, "types": types, "sizes": sizes, "report": asdict(report)}
        (self._directory / "header.json").write_text(json.dumps(header, indent=2))


class _Side:
    """Writes one side: all ids one behind the other, and where each sentence ends."""

    def __init__(self, tokenizer: Tokenizer, ids: IO[bytes], ends: IO[bytes]):
        self.tokenizer = tokenizer
        self.type = np.dtype(np.uint16 if len(tokenizer.vocabulary) <= 1 << 16 else np.uint32)
        self.tokens = 0
        self.unknowns = 0
        self._ids = ids
        self._ends = ends
        self._ends.write(np.zeros(1, np.int64).tobytes())

    def write(self, rows: list[list[int]]) -> None:
        ids = np.fromiter((i for row in rows for i in row), self.type)
        ends = self.tokens + np.cumsum([len(row) for row in rows], dtype=np.int64)
        self._ids.write(ids.tobytes())  # not tofile, which hides the system's error number
        self._ends.write(ends.tobytes())
        self.tokens += len(ids)
        self.unknowns += int((ids == UNK).sum())


def blocks(rows: Iterable[Pair | None], *, tokens_each: int = 0) -> Iterator[list[Pair | None]]:
    """The rows in lists of at most `BLOCK_LINES`, shorter where lines are long or each has `tokens_each` tokens."""
    block: list[Pair | None] = []
    characters = 0
    for row in rows:
        block.append(row)
        characters += max(tokens_each, len(row[0]) + len(row[1])) if row else 0
        if len(block) >= BLOCK_LINES or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block
