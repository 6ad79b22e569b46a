"""Where an export is made."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqloom import bundles
from seqloom.checkpoint import sync_directory
from seqloom.errors import CheckpointError, UsageError


@contextmanager
def made(directory: Path) -> Iterator[Path]:
    """A directory to fill, which takes the name only when it is whole; an export there gives way to it."""
    scratch = _scratch(directory)
    try:
        yield scratch
        scratch.chmod(0o755)
        if directory.exists():
            shutil.rmtree(directory)
        scratch.rename(directory)
        sync_directory(directory.parent)
    except OSError as error:
        raise CheckpointError(f"{directory} could not be written: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch(directory: Path) -> Path:
    """An empty directory beside it."""
    try:
        if directory.exists() and not bundles.is_bundle(directory) and any(directory.iterdir()):
            raise UsageError(f"{directory} holds something else than an export; choose another directory")
        directory.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".new-{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise CheckpointError(f"{directory} can't be made: {error.strerror}") from error
