"""The metrics file: a line a report, whole again after a kill."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import cast

import pytest

from seqloom.errors import SeqloomError
from seqloom.hooks import MetricsFile
from seqloom.train import Trainer

NOBODY = cast(Trainer, None)  # the hook looks at nothing of it


def test_numbers_are_written_and_events_are_not(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook(NOBODY, {"event": "started", "step": 0})
    hook(NOBODY, {"step": 1, "loss": 2.5, "name": "ä\u2028"})
    hook(NOBODY, {"event": "skipped", "step": 2, "gradient_norm": math.inf})
    hook(NOBODY, {"step": 3, "loss": math.nan})
    text = hook.path.read_text("utf8")
    assert text.count("\n") == 3 and "ä" in text
    assert [json.loads(line) for line in text.split("\n")[:-1]] == [
        {"step": 1, "loss": 2.5, "name": "ä\u2028"},
        {"event": "skipped", "step": 2, "gradient_norm": None},
        {"step": 3, "loss": None},
    ]


def test_what_is_trained_again_is_forgotten_and_half_a_line_too(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook.forget_after(0)  # where there is nothing yet
    for step in range(1, 6):
        hook(NOBODY, {"step": step, "loss": 1.0, "name": "\u2028"})
    with hook.path.open("a") as file:
        file.write('{"step": 2, "lo')
    hook.forget_after(3)
    assert [json.loads(line)["step"] for line in hook.path.read_text("utf8").split("\n")[:-1]] == [1, 2, 3]
    hook(NOBODY, {"step": 4})
    assert hook.path.read_text("utf8").split("\n")[-2] == '{"step": 4}'
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_file_that_can_not_be_written_is_a_sentence() -> None:
    with pytest.raises(SeqloomError) as caught:
        MetricsFile(Path("/dev/full"))(NOBODY, {"step": 1})
    sentence = "/dev/full could not be written: No space left on device; the last checkpoint stands"
    assert str(caught.value) == sentence
