"""A trace is of one step, and a viewer can read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from seqloom import runs
from seqloom.config.root import read_config
from seqloom.hooks.trace import Profile


def test_one_step_is_recorded(toy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    changes = ["train.steps=6", "train.validate_every=6", "hooks=[{class: Trace, step: 3}]"]
    runs.train(read_config(toy / "toy.yml", changes), tmp_path)
    assert "profiler" not in capfd.readouterr().err
    events = json.loads((tmp_path / "trace.json").read_text("utf8"))["traceEvents"]
    names = [event["name"] for event in events if event.get("ph") == "X"]
    assert len([name for name in names if name.startswith("Optimizer.step")]) == 1
    assert "aten::mm" in names or "aten::addmm" in names
    text = (tmp_path / "trace.txt").read_text("utf8")
    assert text.startswith("Step 3: the 40 operations that took the most time themselves\n")
    assert "Self CPU" in text


def test_a_step_that_is_past_is_not_recorded(toy: Path, tmp_path: Path) -> None:
    runs.train(read_config(toy / "toy.yml", ["train.steps=2"]), tmp_path)
    runs.train(read_config(toy / "toy.yml", ["train.steps=4", "hooks=[{class: Trace, step: 2}]"]), tmp_path)
    assert not list(tmp_path.glob("trace.*"))


def test_a_profile_tells_where_the_time_went_after_any_start(toy: Path, tmp_path: Path) -> None:
    heard: list[Mapping[str, Any]] = []
    for steps in (2, 20):
        config = read_config(toy / "toy.yml", [f"train.steps={steps}", "train.validate_every=50"])
        runs.train(config, tmp_path, hooks=[Profile(tmp_path), lambda trainer, metrics: heard.append(metrics)])
    (told,) = [metrics for metrics in heard if metrics.get("event") == "profiled"]
    heading, *lines = told["lines"]
    assert heading == "Steps 13 to 17: the 12 operations that took the most time themselves"
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 100.6
    events = json.loads((tmp_path / "trace.json").read_text("utf8"))["traceEvents"]
    assert len([event for event in events if event.get("name", "").startswith("Optimizer.step")]) == 5
