r"""Results of shards: files that are whole or absent, in a directory that any number of workers share.

    DIR/shards/00000012.jsonl   an object for each line of the shard, and a last one with their number and SHA-256
    DIR/shards/00000012.lock    held by the worker that is at it, if any; the system frees it when that one dies

A result is written aside, made durable and renamed.  It is a function of the shard alone, so even two workers that were
at the same one would do no harm: locks save work, and nothing else depends on them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqloom.checkpoint import sync_directory
from seqloom.errors import DataError, SeqloomError
from seqloom.translate import Translation


@dataclass(frozen=True)
class Found:
    """What became of one line: the best translation first, and none of an empty line; lengths are in tokens."""

    source_length: int
    texts: list[str]
    scores: list[float]
    lengths: list[int]
    truncated: bool = False

    @classmethod
    def of(cls, translation: Translation) -> Found:
        """What is kept of a translation."""
        found = translation.alternatives
        return cls(
            len(translation.source_tokens),
            [one_line(alternative.text) for alternative in found],
            [alternative.score for alternative in found],
            [len(alternative.tokens) for alternative in found],
            translation.truncated,
        )


class DamagedError(DataError):
    """A result isn't what was written."""

    def __init__(self, path: Path):
        super().__init__(f"{path} is damaged")
        self.path = path


@dataclass(frozen=True)
class Results:
    """The results of a job's shards."""

    directory: Path

    def path(self, shard: int) -> Path:
        """Where the result of a shard is, or will be."""
        return self.directory / f"{shard:08d}.jsonl"

    def done(self, shard: int) -> bool:
        """Whether a shard has a result."""
        return self.path(shard).exists()

    @contextmanager
    def claim(self, shard: int) -> Iterator[bool]:
        """Hold a shard for this worker alone; False if it has a result, or another one holds it."""
        lock = self.path(shard).with_suffix(".lock")
        with held(lock, wait=False) as mine:
            try:
                yield mine and not self.done(shard)
            finally:
                if mine:
                    lock.unlink(missing_ok=True)

    def write(self, shard: int, found: Iterable[Found]) -> int:
        """Write the result of a shard; the number of its lines."""
        self.directory.mkdir(parents=True, exist_ok=True)
        count, digest = 0, hashlib.sha256()
        with replacing(self.path(shard)) as file:
            for count, row in enumerate(found, 1):  # noqa: B007 - counts after the loop
                line = json.dumps(asdict(row), ensure_ascii=False).encode("utf8", "replace") + b"\n"
                digest.update(line)
                file.write(line)
            file.write(_trailer(count, digest.hexdigest()))
        return count

    def read(self, shard: int, lines: int) -> list[Found]:
        """The result of a shard of so many lines.  Raises DamagedError unless it is whole."""
        path = self.path(shard)
        try:
            *rows, trailer = path.read_bytes().splitlines(keepends=True)
            if trailer != _trailer(lines, hashlib.sha256(b"".join(rows)).hexdigest()):
                raise DamagedError(path)
            return [Found(**json.loads(row)) for row in rows]
        except (OSError, ValueError, TypeError) as error:
            raise DamagedError(path) from error

    def tidy(self) -> None:
        """Clear away what killed workers left; to be called when every shard has its result."""
        for path in [*self.directory.glob("*.lock"), *self.directory.glob(".new-*")]:
            path.unlink(missing_ok=True)


def _trailer(lines: int, sha256: str) -> bytes:
    return json.dumps({"lines": lines, "sha256": sha256}).encode() + b"\n"


def one_line(text: str) -> str:
    """The text as one line, whatever the model wrote."""
    return text.replace("\n", " ").replace("\r", " ")


@contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A binary file that takes its name, durably, when all is written; if not all is, nothing is left of it."""
    scratch = path.with_name(f".new-{path.name}-{secrets.token_hex(4)}")
    try:
        with open(scratch, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        sync_directory(path.parent)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def held(lock: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock that a crash frees, everywhere where the directory is seen; False if another one does.

    Raises SeqloomError where the file system knows no locks.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SeqloomError(f"{lock.parent} is on a file system without locks ({reason}); choose another") from error
        file.truncate(0)
        file.write(f"{socket.gethostname()} {os.getpid()}\n")  # for people who wonder who is at it
        file.flush()
        yield True
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
