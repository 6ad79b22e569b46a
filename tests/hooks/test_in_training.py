"""Hooks of the configuration: training is as without them, and they may change when a run goes on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom import runs
from seqloom.checkpoint import Checkpoint, Checkpoints
from seqloom.config.root import Config, read_config
from seqloom.errors import DataError, UsageError
from seqloom.hooks import Hook
from seqloom.registry import ConfigError, known
from seqloom.rehearsal import staged
from seqloom.train import Interrupted, Trainer

SHORT = ["train.steps=8", "train.validate_every=6", "train.log_every=3", "train.checkpoint_every=4"]
SHORT += ["model.encoder.dropout=0.3", "task={class: translation, valid_most: 4}"]
WATCHING = "hooks=[{class: Samples, every: 3, count: 2}, ModelReport, {class: Trace, step: 5}]"
HOOKS = known(Hook)  # type: ignore[type-abstract]


def config(toy: Path, *changes: str) -> Config:
    return read_config(toy / "toy.yml", [*SHORT, *changes])


def newest(run: Path) -> Checkpoint:
    checkpoint, _ = Checkpoints(run / "checkpoints").newest()
    assert checkpoint is not None
    return checkpoint


def numbers(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("tokens_per_second", "seconds")} for line in lines]


def stop_after(step: int) -> Callable[[Trainer, Mapping[str, Any]], None]:
    def stop(trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "stepped" and metrics["step"] == step:
            signal.raise_signal(signal.SIGTERM)

    return stop


def test_watching_a_training_changes_nothing_of_it(toy: Path, tmp_path: Path) -> None:
    """Not even when it is stopped and goes on."""
    runs.train(config(toy), tmp_path / "alone")
    runs.train(config(toy, WATCHING), tmp_path / "watched")
    with pytest.raises(Interrupted, match="stopped after step 5"):
        runs.train(config(toy, WATCHING), tmp_path / "stopped", hooks=[stop_after(5)])
    runs.train(config(toy, WATCHING), tmp_path / "stopped")
    alone = newest(tmp_path / "alone")
    for name in ("watched", "stopped"):
        other = newest(tmp_path / name)
        assert all(torch.equal(weight, other.model[key]) for key, weight in alone.model.items())
        assert all(torch.equal(value, other.training[key]) for key, value in alone.training.items())
        assert numbers(tmp_path / name) == numbers(tmp_path / "alone")
        written = {str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*.txt")}
        assert written == {"model.txt", "trace.txt", "samples/samples_000003.txt", "samples/samples_000006.txt"}


def test_hooks_may_change_when_a_run_goes_on(toy: Path, tmp_path: Path) -> None:
    runs.train(config(toy, "train.steps=4"), tmp_path)
    changed = config(toy, "hooks=[{class: Samples, every: 5}, {class: WarmStart, run: nowhere}]")
    assert runs.train(changed, tmp_path).step == 8
    assert (tmp_path / "samples" / "samples_000005.txt").exists()
    assert read_config(tmp_path / "config.yml") == changed
    assert runs.train(config(toy, "train.steps=9"), tmp_path).step == 9


@pytest.mark.parametrize("cls", HOOKS, ids=lambda cls: cls.__name__)
def test_no_hook_changes_the_weights_of_a_run_that_goes_on(
    cls: type[Hook], trainer: Callable[..., Trainer], tmp_path: Path, gone_on: dict[str, Any]
) -> None:
    paths = {"WarmStart": {"run": tmp_path / "nowhere"}, "PretrainedEmbeddings": {"path": tmp_path / "nothing"}}
    arguments: dict[str, Any] = paths.get(cls.__name__, {})
    hook, standing = cls(directory=tmp_path, **arguments), trainer()
    before = {name: weight.clone() for name, weight in standing.model.named_parameters()}
    hook(standing, gone_on)
    assert all(torch.equal(weight, before[name]) for name, weight in standing.model.named_parameters())


@pytest.mark.parametrize(
    "hook, error, sentence",
    [
        ("{class: WarmStart, run: FOLDER}", UsageError, "WarmStart: FOLDER is not a run directory"),
        ("{class: PretrainedEmbeddings, path: FOLDER/v.txt}", DataError, "FOLDER/v.txt: no such file"),
    ],
)
def test_what_a_hook_lacks_is_said_before_anything_is_done(
    toy: Path, tmp_path: Path, hook: str, error: type[Exception], sentence: str
) -> None:
    (folder := tmp_path / "folder").mkdir()
    asked = config(toy, f"hooks=[{hook.replace('FOLDER', str(folder))}]", "data.train.source=not-read.txt")
    for attempt in (lambda: runs.train(asked, tmp_path / "run"), staged(asked).__enter__):
        with pytest.raises(error) as caught:
            attempt()
        assert str(caught.value) == sentence.replace("FOLDER", str(folder))
    assert not (tmp_path / "run").exists()


def test_a_hook_that_is_none_is_a_sentence(toy: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config(toy, "hooks=[{class: Sample}]")
    place = "hooks=[{class: Sample}] (command line): hooks.0.class"
    assert str(caught.value) == f"{place}: no Hook is named 'Sample'; did you mean 'Samples'?"
