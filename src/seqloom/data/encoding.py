"""Blocks of text as ids: the part of preparing a corpus that takes long, and that can be done anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.report import Report
from seqloom.data.rows import Pair
from seqloom.tokenizers import Tokenizer, Tokenizers

BLOCK_LINES = 10_000
BLOCK_CHARACTERS = 4_000_000  # so that a block of very long lines stays small too
Block = list[Pair | None]  # None stands for a row that could not be read


@dataclass(frozen=True)
class EncodedBlock:
    """What is kept of a block: for source and target all ids one behind the other, and each sentence's length."""

    report: Report
    ids: tuple[NDArray[Any], NDArray[Any]]  # uint16, or uint32 for a large vocabulary
    lengths: tuple[NDArray[Any], NDArray[Any]]  # int64, [pairs]

    def to_bytes(self) -> bytes:
        """The block as `from_bytes` reads it."""
        arrays = [*self.ids, *self.lengths]
        header = {"report": asdict(self.report), "arrays": [[array.dtype.name, array.nbytes] for array in arrays]}
        return b"\n".join([json.dumps(header).encode(), b"".join(array.tobytes() for array in arrays)])

    @classmethod
    def from_bytes(cls, data: bytes) -> EncodedBlock:
        """The block that `to_bytes` wrote."""
        start = data.index(b"\n") + 1
        header, arrays = json.loads(data[:start]), []
        for kind, size in header["arrays"]:
            arrays.append(np.frombuffer(data, kind, size // np.dtype(kind).itemsize, start))
            start += size
        return cls(Report(**header["report"]), (arrays[0], arrays[1]), (arrays[2], arrays[3]))


@dataclass(frozen=True)
class Encoding:
    """How pairs become ids, and which of them are kept.

    `max_length` is that of sources and of targets; a side whose length is always the same may be longer.
    """

    tokenizers: Tokenizers
    max_length: tuple[int, int]
    cut: bool  # longer pairs are cut, not left out

    @property
    def types(self) -> tuple[np.dtype[Any], np.dtype[Any]]:
        """Those of source and target ids."""
        return _type(self.tokenizers.source), _type(self.tokenizers.target)

    def __call__(self, block: Block) -> EncodedBlock:
        """What is kept of a block.  Raises what `Tokenizer.encode` does."""
        pairs = [pair for pair in block if pair is not None]
        sides = (self.tokenizers.source, self.tokenizers.target)
        rows = [side.encode([pair[i] for pair in pairs]) for i, side in enumerate(sides)]
        lengths = np.array([[len(row) for row in side] for side in rows], np.int64)  # [2, pairs]
        empty = lengths.min(0) == 0
        limits = [side.length or most for side, most in zip(sides, self.max_length, strict=True)]
        too_long = ~empty & (lengths > np.array(limits)[:, None]).any(0)
        kept = np.flatnonzero(~empty & (self.cut | ~too_long)).tolist()
        count = int(too_long.sum())
        report = Report(
            kept=len(kept),
            empty=int(empty.sum()),
            too_long=0 if self.cut else count,
            cut=count if self.cut else 0,
            skipped=len(block) - len(pairs),
        )
        source, target = ([encoded[i][:most] for i in kept] for encoded, most in zip(rows, limits, strict=True))
        ids = tuple(_joined(side, kind) for side, kind in zip((source, target), self.types, strict=True))
        return EncodedBlock(report, (ids[0], ids[1]), (_lengths(source), _lengths(target)))


def _type(tokenizer: Tokenizer) -> np.dtype[Any]:
    return np.dtype(np.uint16 if len(tokenizer.vocabulary) <= 1 << 16 else np.uint32)


def _joined(rows: list[list[int]], kind: np.dtype[Any]) -> NDArray[Any]:
    return np.fromiter((i for row in rows for i in row), kind)


def _lengths(rows: list[list[int]]) -> NDArray[Any]:
    return np.fromiter(map(len, rows), np.int64, len(rows))


def blocks(rows: Iterable[Pair | None], *, tokens_each: int = 0) -> Iterator[Block]:
    """The rows in lists of at most `BLOCK_LINES`, shorter where lines are long or each has `tokens_each` tokens."""
    block: Block = []
    characters = 0
    for row in rows:
        block.append(row)
        characters += max(tokens_each, len(row[0]) + len(row[1])) if row else 0
        if len(block) >= BLOCK_LINES or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block
