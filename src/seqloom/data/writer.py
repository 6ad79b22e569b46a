"""Writing a corpus as ids, block by block."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.encoding import EncodedBlock
from seqloom.data.report import Report as Report
from seqloom.vocabulary import UNK

FORMAT = 2  # raise this when the files or the meaning of an option change


class Writer:
    """Writes a corpus block by block."""

    def __init__(self, directory: Path, types: Iterable[np.dtype[Any]]):
        """`types` are those of source and target ids."""
        self._directory = directory
        self._report = Report()
        self._files = ExitStack()
        self._sides = [self._side(name, kind) for name, kind in zip(("source", "target"), types, strict=True)]

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._files.__exit__(*failure)

    def _side(self, name: str, type_: np.dtype[Any]) -> _Side:
        ids, ends = (
            self._files.enter_context((self._directory / f"{name}.{kind}").open("wb")) for kind in ("ids", "ends")
        )
        return _Side(type_, ids, ends)

    def append(self, block: EncodedBlock) -> None:
        """Write a block behind those before it."""
        self._report += block.report
        for side, ids, lengths in zip(self._sides, block.ids, block.lengths, strict=True):
            side.write(ids, lengths)

    def finish(self, key: str, *, filtered: Mapping[str, int] = {}) -> Report:  # noqa: B006 - never changed
        """Write the header, which makes the rest usable."""
        source, target = self._sides
        report = replace(
            self._report,
            source_tokens=source.tokens,
            target_tokens=target.tokens,
            source_unknowns=source.unknowns,
            target_unknowns=target.unknowns,
            filtered=dict(filtered),
        )
        sizes = {path.name: path.stat().st_size for path in self._directory.iterdir()}
        types = {"source": source.type.name, "target": target.type.name}
        header = {"key": key, "types": types, "sizes": sizes, "report": asdict(report)}
        (self._directory / "header.json").write_text(json.dumps(header, indent=2))
        return report


class _Side:
    """Writes one side: all ids one behind the other, and where each sentence ends."""

    def __init__(self, type_: np.dtype[Any], ids: IO[bytes], ends: IO[bytes]):
        self.type = type_
        self.tokens = 0
        self.unknowns = 0
        self._ids = ids
        self._ends = ends
        self._ends.write(np.zeros(1, np.int64).tobytes())

    def write(self, ids: NDArray[Any], lengths: NDArray[Any]) -> None:
        ends = self.tokens + np.cumsum(lengths, dtype=np.int64)
        self._ids.write(ids.tobytes())  # not tofile, which hides the system's error number
        self._ends.write(ends.tobytes())
        self.tokens += len(ids)
        self.unknowns += int((ids == UNK).sum())
