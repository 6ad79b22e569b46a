"""Which toolkits' models can be read, and whose some files are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Literal, cast, get_args

from seqloom.compat.foreign import Foreign
from seqloom.errors import UsageError

Toolkit = Literal["marian-hf", "marian", "fairseq", "joeynmt", "opennmt-py"]
TOOLKITS: tuple[Toolkit, ...] = get_args(Toolkit)


def reader(toolkit: Toolkit) -> Callable[..., Foreign]:
    """The function that reads a toolkit's models: `read(path, pickle_allowed=False)`."""
    module = import_module(f"seqloom.compat.{toolkit.replace('-', '_')}")
    return cast(Callable[..., Foreign], module.read)


def guessed(path: Path) -> Toolkit:
    """Whose model this file or directory is, as far as names of files say.  Raises UsageError if they don't."""
    directory = path if path.is_dir() else path.parent
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or directory")
    there = {file.name for file in directory.iterdir()}
    signs: list[tuple[Toolkit, bool]] = [
        ("marian-hf", path.is_dir() and {"config.json", "vocab.json"} <= there),
        ("marian", path.suffix == ".npz" or (path.is_dir() and _any(there, ".npz"))),
        ("joeynmt", "config.yaml" in there and _any(there, ".ckpt")),
        ("fairseq", any(name.startswith("dict.") and name.endswith(".txt") for name in there)),
        ("opennmt-py", path.suffix == ".pt"),
    ]
    found = next((toolkit for toolkit, sign in signs if sign), None)
    if found is None:
        raise UsageError(f"{path}: it isn't clear whose model this is; say --from {', '.join(TOOLKITS)}")
    return found


def _any(names: set[str], suffix: str) -> bool:
    return any(name.endswith(suffix) for name in names)
