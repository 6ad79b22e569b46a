"""Pickled checkpoints, read by a process of its own that knows numbers and plain values only."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from seqloom.compat import unpickle
from seqloom.errors import DataError, UsageError


def unpickled(path: Path, *, wanted: Collection[str], allowed: bool) -> dict[str, Any]:
    """The `wanted` entries of a checkpoint, of all of it where none are named: tensors in plain values.

    Raises UsageError unless the user `allowed` it, and DataError if the file is no checkpoint, or has something in it
    that isn't numbers, plain values or a list of options: it is named, and nothing of it has been run.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    if not allowed:
        raise UsageError(
            f"{path} is a pickle, which may hold a program as well as numbers; say --allow-pickle to have it read, "
            "by a process of its own that takes numbers and plain values only"
        )
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", unpickle.__name__, str(path), scratch, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DataError(f"{path}: {_reason(done.stdout)}")
        tree = json.loads((Path(scratch) / unpickle.VALUES).read_bytes())
        tensors = safetensors.torch.load((Path(scratch) / unpickle.TENSORS).read_bytes())
    return _joined(tree, tensors)  # type: ignore[no-any-return]


def _reason(said: str) -> str:
    return said.strip() or "it can't be read; it is damaged, or too large for the memory"


def _joined(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree with its tensors in their places."""
    if isinstance(value, list):
        return [_joined(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == [unpickle.TENSOR]:
        return tensors[value[unpickle.TENSOR]]
    return {name: _joined(item, tensors) for name, item in value.items()}
