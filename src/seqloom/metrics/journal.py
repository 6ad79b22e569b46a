"""RUN/scores.jsonl: what a run was found to be worth on test sets, a line for each time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from seqloom.metrics.base import Score

NAME = "scores.jsonl"
SAME = ("sha256", "checkpoint", "tag", "search")  # what makes two times the same question


@dataclass(frozen=True)
class TestSet:
    """Sources and references, by their names and by what is in them."""

    __test__ = False  # for pytest, which would take it for tests

    source: str  # the file's name
    reference: str
    sha256: str  # of all lines of both
    lines: int

    @classmethod
    def of(cls, source: Path, reference: Path, lines: Sequence[Sequence[str]]) -> TestSet:
        """The test set in these files, of which `lines` has those of either side."""
        text = "".join(f"{line}\n" for side in lines for line in side)
        digest = sha256(text.encode("utf8", "surrogatepass")).hexdigest()
        return cls(source.name, reference.name, digest, len(lines[0]))


def keep(run: Path, tested: TestSet, scores: Mapping[str, Score], **how: Any) -> bool:
    """Add a line to a run's scores: what was measured, on what and `how`; whether that could be done.

    A directory that isn't a training's, or that can't be written to, is left alone.
    """
    if not (run / "checkpoints").is_dir():
        return False
    named = {name: score.as_dict() for name, score in scores.items()}
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(tested), **how, "scores": named}
    with suppress(OSError):
        with (run / NAME).open("a", encoding="utf8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return True
    return False


def newest(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last of the lines that differ in nothing but their time and what was found, in the order of their first."""
    last: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        key = [line.get(name) for name in SAME] + [sorted(line.get("scores") or {})]
        last[json.dumps(key, sort_keys=True)] = line
    return list(last.values())
