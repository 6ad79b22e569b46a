"""Numbers and examples for TensorBoard, read back with its own reader."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqloom import runs
from seqloom.config.root import read_config
from seqloom.errors import UsageError
from seqloom.hooks import TensorBoard, tensorboard
from seqloom.train import Trainer


def read(directory: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(directory / "tensorboard"))
    found.Reload()
    return found


def scalars(found: Any, name: str) -> dict[int, float]:
    return {event.step: event.value for event in found.Scalars(name)}


def test_every_number_of_a_training_is_there(toy: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    changes = ["train.steps=6", "train.log_every=2", "train.validate_every=3", "hooks=[tensorboard]"]
    runs.train(read_config(toy / "toy.yml", changes), tmp_path)
    found = read(tmp_path)
    assert list(scalars(found, "train/loss")) == [2, 4, 6]
    assert list(scalars(found, "valid/bleu")) == [3, 6]
    names = {"train/learning_rate", "train/gradient_norm", "train/tokens_per_second", "valid/loss", "valid/chrf"}
    assert names <= set(found.Tags()["scalars"])
    assert {"examples/1/text_summary", "examples/3/text_summary"} <= set(found.Tags()["tensors"])


def test_steps_that_are_made_again_are_shown_once(
    trainer: Callable[..., Trainer], tmp_path: Path, begun: Any, gone_on: Any
) -> None:
    pytest.importorskip("tensorboard")
    standing = trainer()
    for start, steps, loss in ((begun, range(1, 8), 1.0), (gone_on, range(6, 9), 2.0)):
        hook = TensorBoard(tmp_path)
        hook(standing, start)
        for step in steps:
            hook(standing, {"step": step, "loss": loss})
    assert scalars(read(tmp_path), "train/loss") == {step: 1.0 if step < 6 else 2.0 for step in range(1, 9)}


def test_a_number_that_is_none_is_no_trouble(trainer: Callable[..., Trainer], tmp_path: Path, begun: Any) -> None:
    pytest.importorskip("tensorboard")
    hook, standing = TensorBoard(tmp_path), trainer()
    for report in (begun, {"step": 1, "loss": math.nan}, {"event": "skipped", "step": 2, "gradient_norm": math.inf}):
        hook(standing, report)
    assert math.isnan(scalars(read(tmp_path), "train/loss")[1])
    assert scalars(read(tmp_path), "skipped") == {2: 1.0}


def test_without_the_package_it_is_a_sentence_before_anything_is_done(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        runs.train(read_config(toy / "toy.yml", ["hooks=[tensorboard]"]), tmp_path / "run")
    assert str(caught.value) == "TensorBoard needs a package: pip install 'seqloom[tensorboard]'"
    assert not (tmp_path / "run").exists()
