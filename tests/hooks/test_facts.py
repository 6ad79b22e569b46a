"""What is noted of a training because nobody can find it out afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom import __version__
from seqloom.errors import SeqloomError
from seqloom.hooks import Facts, base
from seqloom.train import Trainer


def facts_of(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_text("utf8"))
    return facts


def test_data_size_and_machine_are_noted(trainer: Callable[..., Trainer], tmp_path: Path, begun: Any) -> None:
    standing = trainer()
    Facts(tmp_path / "facts.json")(standing, begun)
    facts = facts_of(tmp_path / "facts.json")
    assert (facts["source_symbols"], facts["target_symbols"]) == standing.task.symbols()
    assert facts["parameters"] == sum(weight.numel() for weight in standing.model.parameters())
    (training,), (validation,) = facts["training"], facts["validation"]
    assert (training["kept"], validation["kept"], training["said"]) == (200, 20, "200 pairs")
    assert training["source_tokens"] == training["target_tokens"] > 200
    (start,) = facts["starts"]
    assert (start["step"], start["threads"], start["ranks"], start["precision"]) == (0, 1, 1, "float32")
    assert start["versions"]["seqloom"] == __version__
    assert start["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert all(start[name] for name in ("time", "device", "cores", "memory", "system"))


def test_starts_are_added_up_until_a_run_begins_anew(
    trainer: Callable[..., Trainer], tmp_path: Path, begun: Any, gone_on: Any
) -> None:
    note, standing = Facts(tmp_path / "facts.json"), trainer()
    for report in (begun, {"step": 3, "loss": 1.0}, gone_on):
        note(standing, report)
    assert [start["step"] for start in facts_of(note.path)["starts"]] == [0, 5]
    note(standing, begun)
    assert [start["step"] for start in facts_of(note.path)["starts"]] == [0]


@pytest.mark.parametrize("text", ["", "[]", '{"starts": 3}', '{"starts"', "\udcff"])
def test_a_file_that_somebody_changed_is_written_anew(
    trainer: Callable[..., Trainer], tmp_path: Path, gone_on: Any, text: str
) -> None:
    (path := tmp_path / "facts.json").write_bytes(text.encode("utf8", "surrogateescape"))
    Facts(path)(trainer(), gone_on)
    assert [start["step"] for start in facts_of(path)["starts"]] == [5]


def test_what_can_not_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when half is written."""

    def half(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text.encode()[: len(text) // 2])
        raise OSError(28, "No space left on device")

    base.write_text(tmp_path / "facts.json", "before")
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(SeqloomError) as caught:
        base.write_text(tmp_path / "facts.json", "after this")
    said = f"{tmp_path / 'facts.json'} could not be written: No space left on device; the last checkpoint stands"
    assert str(caught.value) == said
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("facts.json", b"before")]
