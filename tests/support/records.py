"""What other toolkits once said of tiny models, and these models again: all that a checkpoint is made of."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch

COMPAT = Path(__file__).resolve().parent.parent / "compat"
SCRIPTS, RECORDS = COMPAT / "peers", COMPAT / "recorded"


def of(name: str) -> dict[str, Any]:
    """The record of a model."""
    return json.loads((RECORDS / f"{name}.json").read_text())  # type: ignore[no-any-return]


def laid_out(toolkit: str, said: dict[str, Any], directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a model in a directory, and its checkpoint.

    The reading of pickles takes a process, and has tests of its own: here it is passed over.
    """
    module = import_module(f"seqloom.compat.{toolkit.replace('-', '_')}.reading")
    monkeypatch.setattr(module, "unpickled", lambda *_, **__: state_of(toolkit, said))
    for file, text in said["files"].items():
        (directory / file).write_text(text)
    path = directory / ("best.ckpt" if toolkit == "joeynmt" else "model.pt")
    path.touch()
    return path


def common() -> Any:
    """The module that the toolkits' scripts use: sentences, and the values of weights."""
    spec = spec_from_file_location("common", SCRIPTS / "common.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state_of(toolkit: str, said: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint that a record describes, as it is read: weights that are a function of their names."""
    values = common().values
    weights = {
        name: torch.from_numpy(values(source, shape)) if source else torch.zeros(shape)
        for name, (source, shape) in said["state"].items()
    }
    if toolkit == "fairseq":
        return {"model": weights, "cfg": said["cfg"]}
    if toolkit == "joeynmt":
        return {"model_state": weights}
    generator = {name.removeprefix("generator."): x for name, x in weights.items() if name.startswith("generator.")}
    model = {name: x for name, x in weights.items() if not name.startswith("generator.")}
    return {"model": model, "generator": generator, "vocab": said["vocab"], "opt": said["opt"]}
