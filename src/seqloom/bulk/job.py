"""A job: what is to be translated and how, and the directory that its workers share.

DIR/job.json    what was asked for first; who comes later must ask for the same
DIR/shards/     what became of each shard
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqloom.bulk.inputs import Inputs
from seqloom.bulk.results import DamagedError, Found, Results, held, replacing
from seqloom.data.rows import Pair
from seqloom.errors import DataError, UsageError
from seqloom.search import SearchOptions

SHARD_LINES = 10_000
POLL = 0.5  # seconds between looks at shards that others are at
SAID = 10.0  # seconds between two lines about progress

# From the texts of a shard and the number of its first line to what became of each.
Translate = Callable[[Sequence[str], int], Iterator[Found]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is to be translated, by which model (`fingerprint`), how and where; `shard_lines` are done at a time."""

    directory: Path
    inputs: Inputs
    options: SearchOptions
    fingerprint: str
    tag: str | None = None
    shard_lines: int = SHARD_LINES

    def __post_init__(self) -> None:
        """Raises ValueError for a shard without lines."""
        if self.shard_lines < 1:
            raise ValueError(f"a shard has at least 1 line, got {self.shard_lines}")

    @property
    def results(self) -> Results:
        return Results(self.directory / "shards")

    def described(self) -> dict[str, Any]:
        """All that results depend on.  Raises DataError for a file that isn't there."""
        return {
            "model": self.fingerprint,
            "inputs": self.inputs.described(),
            "search": {name: str(v) if isinstance(v, Path) else v for name, v in asdict(self.options).items()},
            "tag": self.tag,
            "shard_lines": self.shard_lines,
        }

    def join(self) -> None:
        """Begin the job, or take part in it.  UsageError if the directory holds another one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        place, mine = self.directory / "job.json", self.described()
        scratch = self.directory / f".new-job-{secrets.token_hex(4)}"
        scratch.write_text(json.dumps(mine, indent=1), "utf8")
        try:
            os.link(scratch, place)  # only the first one succeeds
        except FileExistsError:
            self._check_same(json.loads(place.read_text("utf8")), json.loads(scratch.read_text("utf8")))
        finally:
            scratch.unlink()

    def _check_same(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        changes = [
            f"{name} was {before.get(name)!r} and is {now[name]!r}" for name in now if before.get(name) != now[name]
        ]
        if changes:
            raise UsageError(
                f"{self.directory} holds a job with other settings: {'; '.join(changes)}. "
                "Choose another directory, or go on as it was begun"
            )

    def work(self, translate: Translate) -> None:
        """Translate shards until each has a result, whoever made it; wait for those that other workers are at."""
        said = time.monotonic()
        while missing := self._one_round(translate, said):
            while not any(self._free(shard) for shard in missing):
                if all(map(self.results.done, missing)):
                    return
                time.sleep(POLL)

    def _one_round(self, translate: Translate, said: float) -> list[int]:
        """Translate what nobody is at; the shards that others are at."""
        missing, lines, started = [], 0, time.monotonic()
        for shard, block in enumerate(self.inputs.blocks(self.shard_lines)):
            if self.results.done(shard):
                continue
            with self.results.claim(shard) as mine:
                if mine:
                    texts = [text for text, _ in block]
                    lines += self.results.write(shard, translate(texts, shard * self.shard_lines))
            if not self.results.done(shard):
                missing.append(shard)
            if lines and time.monotonic() - said > SAID:
                said = time.monotonic()
                log.info(
                    "translated to line %d, %.0f lines a second",
                    shard * self.shard_lines + len(block),
                    lines / (said - started),
                )
        return missing

    def _free(self, shard: int) -> bool:
        with self.results.claim(shard) as mine:
            return mine

    def rows(self) -> Iterator[tuple[int, Pair, Found]]:
        """Every line's number, text with reference, and what became of it, in order.

        Raises DamagedError at a result that isn't whole, DataError if a file has changed since the job began.
        """
        if json.loads((self.directory / "job.json").read_text("utf8"))["inputs"] != self.inputs.described():
            raise DataError(f"{self.inputs.files[0]} or another input has changed since {self.directory} was begun")
        number = 0
        for shard, block in enumerate(self.inputs.blocks(self.shard_lines)):
            for pair, found in zip(block, self.results.read(shard, len(block)), strict=True):
                yield number, pair, found
                number += 1
        if not number:
            raise DataError(f"{' and '.join(map(str, self.inputs.files))}: there is no line to translate")

    def finish(self, translate: Translate, make: Callable[[], dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
        """Work until all is done, then let one of the workers `make` what was `asked` for of it.

        The report that it gives is kept in report.json, so that the others, and later calls that ask for the same, need
        not make it again.  A damaged result is thrown away and made anew.
        """
        while True:
            self.work(translate)
            with held(self.directory / ".lock", wait=True):
                try:
                    return self._report(make, asked)
                except DamagedError as error:
                    log.warning("%s: it is made anew", error)
                    error.path.unlink(missing_ok=True)

    def _report(self, make: Callable[[], dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
        place = self.directory / "report.json"
        if place.exists():
            known: dict[str, Any] = json.loads(place.read_text("utf8"))
            if known["asked"] == asked:
                return known
            place.unlink()  # what it tells of is about to be replaced
        report = {"asked": asked} | make()
        with replacing(place) as file:
            file.write(json.dumps(report, indent=1, ensure_ascii=False).encode() + b"\n")
        self.results.tidy()
        return report
