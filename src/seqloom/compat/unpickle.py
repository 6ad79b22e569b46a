"""The process that reads a pickle: `python -m seqloom.compat.unpickle FILE DIRECTORY [ENTRY ...]`.

It writes tensors as safetensors and all else as JSON, and a sentence if it can't.  PyTorch's unpickler for weights runs
nothing of the file; what else a file may name is inert here: a bag of options, and NumPy's numbers.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

VALUES, TENSORS, TENSOR = "values.json", "tensors.safetensors", "a tensor of this name"


def main() -> None:
    """Exits with 1 behind a sentence on the standard output."""
    path, directory, *wanted = sys.argv[1:]
    try:
        value = _loaded(path)
    except Exception as error:  # whatever a damaged or a hostile file brings about
        print(_sentence(error))
        sys.exit(1)
    if not isinstance(value, dict):
        print("it holds no names and values")
        sys.exit(1)
    _write({name: value[name] for name in wanted if name in value} if wanted else value, Path(directory))


def _loaded(path: str) -> Any:
    import torch

    torch.serialization.add_safe_globals([argparse.Namespace, *_numbers()])
    # The one place where a pickle is read: in a process of its own, by the unpickler that runs nothing, when asked to.
    return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251


def _numbers() -> list[Any]:
    """What NumPy's numbers are pickled with; other versions say it otherwise."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")]
    return [np.dtype, *kinds, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _sentence(error: Exception) -> str:
    named = re.search(r"(?:GLOBAL|class|function) `?([A-Za-z_][\w.]*\.\w+)`?", str(error))
    if named:
        return f"it holds {named[1]}, which is more than numbers and plain values; nothing of it was run"
    return "it is damaged, or no checkpoint"


def _write(value: dict[str, Any], directory: Path) -> None:
    import safetensors.torch
    import torch

    tensors: dict[str, torch.Tensor] = {}

    def plain(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            tensors[name := str(len(tensors))] = item.detach().clone().contiguous()
            return {TENSOR: name}
        if isinstance(item, argparse.Namespace):
            item = vars(item)
        if isinstance(item, dict):
            return {str(key): plain(inner) for key, inner in item.items()}
        if isinstance(item, (list, tuple, set)):
            return [plain(inner) for inner in item]
        item = item.item() if hasattr(item, "item") else item
        return item if item is None or isinstance(item, (bool, int, float, str)) else repr(item)

    (directory / VALUES).write_text(json.dumps(plain(value)), "utf-8")
    (directory / TENSORS).write_bytes(safetensors.torch.save(tensors))


if __name__ == "__main__":
    main()
