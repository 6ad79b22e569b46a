"""Pickles are read when that is allowed, by another process, which takes numbers and plain values only."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqloom.compat import unpickle
from seqloom.compat.unpickling import unpickled
from seqloom.errors import DataError, UsageError

save = torch.save  # noqa: TID251 - as other toolkits do


class Evil:
    """What makes a file when it is unpickled by someone who doesn't look."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.path}'",)


class Stranger:
    """A class that a toolkit might put into its checkpoints."""


def said_of(path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the child says of a file that it refuses; here without a process of its own, which takes seconds."""
    monkeypatch.setattr(sys, "argv", ["unpickle", str(path), str(scratch)])
    with pytest.raises(SystemExit) as end:
        unpickle.main()
    assert end.value.code == 1
    return capsys.readouterr().out.strip()


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, half = torch.arange(6.0).view(2, 3), torch.ones(2, dtype=torch.float16)
    options = argparse.Namespace(layers=2, names=["a", "b"], nested={"x": None}, rate=np.float64(0.5), most=np.int64(7))
    state = OrderedDict(w=weight, tied=weight, turned=weight.T, half=half)
    save({"model": state, "args": options, "optimizer": {0: torch.ones(3)}}, tmp_path / "a.pt")

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("this process must not unpickle"))
    found = unpickled(tmp_path / "a.pt", wanted=("model", "args", "more"), allowed=True)
    assert found.keys() == {"model", "args"}
    assert found["args"] == {"layers": 2, "names": ["a", "b"], "nested": {"x": None}, "rate": 0.5, "most": 7}
    assert all(torch.equal(found["model"][name], x) for name, x in state.items())
    assert found["model"]["half"].dtype == torch.float16


def test_nothing_is_read_unless_that_is_allowed(tmp_path: Path) -> None:
    save({}, tmp_path / "a.pt")
    with pytest.raises(UsageError) as caught:
        unpickled(tmp_path / "a.pt", wanted=(), allowed=False)
    assert str(caught.value) == (
        f"{tmp_path / 'a.pt'} is a pickle, which may hold a program as well as numbers; say --allow-pickle to have it "
        "read, by a process of its own that takes numbers and plain values only"
    )
    with pytest.raises(DataError, match="there is no such file"):
        unpickled(tmp_path / "b.pt", wanted=(), allowed=True)


def test_a_program_in_a_pickle_is_named_and_not_run(tmp_path: Path) -> None:
    save({"model": {"w": torch.ones(2)}, "x": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(DataError) as caught:
        unpickled(tmp_path / "evil.pt", wanted=("model",), allowed=True)
    what = "it holds posix.system, which is more than numbers and plain values; nothing of it was run"
    assert str(caught.value) == f"{tmp_path / 'evil.pt'}: {what}"
    assert not (tmp_path / "ran").exists()


def test_what_can_not_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lambda path: said_of(path, tmp_path, monkeypatch, capsys)  # noqa: E731
    save({"x": Stranger()}, tmp_path / "class.pt")
    assert f"it holds {__name__}.Stranger, which is more than" in said(tmp_path / "class.pt")
    save([1, 2], tmp_path / "list.pt")
    assert said(tmp_path / "list.pt") == "it holds no names and values"
    whole = (tmp_path / "class.pt").read_bytes()
    for name, data in (("half.pt", whole[: len(whole) // 2]), ("empty.pt", b""), ("text.pt", b"hello\n")):
        (tmp_path / name).write_bytes(data)
        assert said(tmp_path / name) == "it is damaged, or no checkpoint"


def test_what_json_has_no_word_for_is_told_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save({"a": {1: (2, {"x"})}, "b": torch.tensor(3), "c": 1j}, tmp_path / "a.pt")
    monkeypatch.setattr(sys, "argv", ["unpickle", str(tmp_path / "a.pt"), str(tmp_path)])
    unpickle.main()
    values = json.loads((tmp_path / unpickle.VALUES).read_text())
    assert values == {"a": {"1": [2, ["x"]]}, "b": {unpickle.TENSOR: "0"}, "c": "1j"}
