"""A directory of things that were made once: each is written aside, renamed into place, and never changed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from seqloom.data.aside import aside, remove_leftovers
from seqloom.data.text import cannot_read, count_lines
from seqloom.errors import CheckpointError, DataError

T = TypeVar("T")
UNUSABLE = (OSError, ValueError, KeyError, TypeError, CheckpointError)  # what reading a damaged entry may raise
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """What a file holds, whatever it is called."""

    sha256: str
    lines: int


def cache_directory(chosen: Path | None, *, fallback: Path) -> Path:
    """The directory to keep prepared data in: the one chosen, or $SEQLOOM_CACHE, or the user's cache directory.

    Where that can't be written to, `fallback`, with a warning if the user had named it.
    """
    named = chosen or os.environ.get("SEQLOOM_CACHE")
    directory = Path(named).expanduser() if named else _users_cache()
    if directory is not None and _writable(directory):
        return directory
    if named:
        log.warning("The cache directory %s can't be written to; using %s.", directory, fallback)
    return fallback


def content(path: Path, cache: Path) -> Content:
    """The SHA-256 and the number of lines of a file; looked up, not read, if the file has not changed since last time.

    Raises DataError if the file can't be read.
    """
    known = cache / "files" / f"{digest_of(stamp(path))}.json"
    try:
        return Content(**json.loads(known.read_bytes()))
    except UNUSABLE:
        pass
    found = Content(_sha256(path), count_lines(path))
    with contextlib.suppress(OSError):  # then it is read again next time
        known.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(known.parent)
        partial = known.with_name(f".{known.name}.{secrets.token_hex(4)}")
        partial.write_text(json.dumps(asdict(found)))
        os.replace(partial, known)
    return found


def stamp(path: Path) -> list[Any]:
    """What changes when a file is written: its place, size, time of change and inode.  Raises DataError."""
    try:
        status = path.stat()
    except OSError as error:
        raise cannot_read(path, error) from error
    if path.is_dir():
        raise DataError(f"{path} is a directory, not a file")
    if not path.is_file():
        raise DataError(f"{path} is not a regular file; data are read more than once, so a pipe won't do")
    return [str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino]


def digest_of(parts: Any) -> str:
    """The SHA-256 of anything that JSON can say."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def open_or_build(place: Path, read: Callable[[Path], T], build: Callable[[Path], None]) -> T:
    """What `read` makes of the directory `place`, which `build` fills first if it isn't there or is damaged.

    Safe to run at once in several processes: each builds aside and the first to finish wins.
    Raises DataError, and leaves nothing behind, if the disk is full.
    """
    try:
        return read(place)
    except UNUSABLE:
        pass
    try:
        with aside(place) as directory:
            build(directory)
            _move(directory, place, read)
    except OSError as error:
        raise _cannot_write(place.parent, error) from error
    return read(place)


def _move(made: Path, place: Path, read: Callable[[Path], Any]) -> None:
    """Rename into place; what is already there stays if it can be read."""
    try:
        os.rename(made, place)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        try:
            read(place)  # another process was faster
        except UNUSABLE:
            os.rename(place, f"{made}.damaged")
            shutil.rmtree(f"{made}.damaged", ignore_errors=True)
            os.rename(made, place)


def _cannot_write(directory: Path, error: OSError) -> DataError:
    if error.errno in FULL:
        return DataError(
            f"{directory}: the disk is full; make room, or name a place for prepared data with data.cache"
            " or $SEQLOOM_CACHE"
        )
    return DataError(f"{directory}: prepared data can't be written here: {(error.strerror or str(error)).lower()}")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise cannot_read(path, error) from error


def _users_cache() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # a user without a home
        return (Path(base) if base else Path.home() / ".cache") / "seqloom"
    return None


def _writable(directory: Path) -> bool:
    probe = directory / f".probe.{secrets.token_hex(4)}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True
