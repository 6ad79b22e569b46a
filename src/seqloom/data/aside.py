"""Directories in the making: who makes one holds it locked, so that what a killed process left can be told apart."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE = 24 * 3600  # seconds after which something is taken for a left-over where locks can't tell


@contextmanager
def aside(place: Path) -> Iterator[Path]:
    """A new directory beside `place`, which is gone at the end unless it was moved.

    What killed processes left there goes first; what others are making stays.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(place.parent)
    directory, lock = _made(place)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        _release(lock)


def remove_leftovers(directory: Path) -> None:
    """Remove the hidden entries of a directory that nobody is making any more."""
    for entry in directory.glob(".*"):
        with suppress(OSError):  # among them BlockingIOError: another process is making it
            _remove_directory(entry) if entry.is_dir() else _remove_file(entry)


def _remove_directory(entry: Path) -> None:
    lock = _lock(entry)
    try:
        if lock is not None or _is_old(entry):
            shutil.rmtree(entry, ignore_errors=True)
    finally:
        _release(lock)


def _remove_file(entry: Path) -> None:
    if _is_old(entry):
        entry.unlink()


def _is_old(entry: Path) -> bool:
    return entry.stat().st_mtime < time.time() - STALE


def _made(place: Path) -> tuple[Path, int | None]:
    while True:
        directory = place.with_name(f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}")
        directory.mkdir()
        with suppress(BlockingIOError, FileNotFoundError):  # another process took it for a left-over: once more
            return directory, _lock(directory)


def _lock(directory: Path) -> int | None:
    """Lock a directory for as long as this process lives; None where the file system has no locks.

    Raises BlockingIOError if another process holds it, and FileNotFoundError if it is gone by now.
    """
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        directory.stat()
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
