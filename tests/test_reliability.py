"""Whole trainings under kills, damage, a disk that fills up and numbers that aren't finite."""

from __future__ import annotations

import json
import math
import os
import random
import resource
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from seqloom import runs
from seqloom.checkpoint import Checkpoint, Checkpoints
from seqloom.config.root import Config, read_config
from seqloom.errors import CheckpointError, SeqloomError
from seqloom.hooks import MetricsFile
from seqloom.story import Story
from seqloom.structures import Batch, Loss
from seqloom.tasks import TranslationTask
from seqloom.train import BAD_STEPS, Trainer

EVERY_STEP = ["train.checkpoint_every=1", "train.log_every=1", "train.accumulate=2", "model.encoder.dropout=0.2"]
EVERY_STEP += ["train.validate_every=7", "task={class: translation, valid_most: 3}", "train.doctor=false"]


def config(toy: Path, *changes: str) -> Config:
    return read_config(toy / "toy.yml", changes)


def newest(run: Path) -> Checkpoint:
    """The newest checkpoint of a run in which nothing is damaged."""
    checkpoint, damage = Checkpoints(run / "checkpoints").newest()
    assert checkpoint is not None and not damage
    return checkpoint


def numbers(run: Path) -> list[dict[str, Any]]:
    """What metrics.jsonl says, less the times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("tokens_per_second", "seconds")} for line in lines]


# Kills


def killed_at_some_moment(config: Config, run: Path, seconds: float) -> int:
    """Train in another process, killed so many seconds after its first checkpoint; the last step it said was saved."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:

        def say(trainer: Trainer, metrics: Mapping[str, Any]) -> None:
            if metrics.get("event") == "saved":
                os.write(writer, b"%d\n" % metrics["step"])

        try:
            runs.train(config, run, hooks=[say, Story(run)])
        finally:
            os._exit(0)
    os.close(writer)
    said = os.read(reader, 100)  # it has made a checkpoint
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 65536):
        said += more
    os.close(reader)
    return int(said.split()[-1])


def assert_kills_lose_nothing(toy: Path, folder: Path, kills: int) -> None:
    never = [*EVERY_STEP, "train.validate_every=100000"]  # but at the end
    draw, run, asked, step = random.Random(2), folder / "killed", config(toy, *never, "train.steps=2000"), 0
    for _ in range(kills):
        acknowledged = killed_at_some_moment(asked, run, draw.uniform(0, 0.4))
        assert newest(run).step >= acknowledged > step
        step = acknowledged
    until = config(toy, *never, f"train.steps={newest(run).step + 2}")
    for directory in (run, folder / "straight"):
        runs.train(until, directory)
    assert numbers(run) == numbers(folder / "straight")
    one, other = newest(run), newest(folder / "straight")
    assert all(torch.equal(one.model[name], weight) for name, weight in other.model.items())
    assert all(torch.equal(one.training[name], value) for name, value in other.training.items())
    assert not [path for path in run.rglob(".new-*") if path.is_dir()]


def test_kills_of_a_training_lose_nothing_acknowledged(toy: Path, tmp_path: Path) -> None:
    assert_kills_lose_nothing(toy, tmp_path, 3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_kills_of_a_training_lose_nothing_acknowledged(toy: Path, tmp_path: Path) -> None:
    assert_kills_lose_nothing(toy, tmp_path, 100)


# Damage


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of its steps 1 and 2, with larger weights than the others; to be put right again."""
    run = tmp_path_factory.mktemp("damage") / "run"
    runs.train(config(toy, *EVERY_STEP, "train.steps=2", "model.embedding.size=64", "model.encoder.size=48"), run)
    assert Checkpoints(run / "checkpoints").steps() == [1, 2]
    return run


def assert_noticed(run: Path) -> None:
    """The damaged newest checkpoint is named, and the one before it is used."""
    checkpoint, damage = Checkpoints(run / "checkpoints").newest()
    assert checkpoint is not None and checkpoint.step == 1
    (said,) = damage
    assert said.startswith(f"{run / 'checkpoints' / 'step-00000002'} ")


def test_two_hundred_flipped_bits_are_all_noticed(trained: Path) -> None:
    draw = random.Random(5)
    files = sorted((trained / "checkpoints" / "step-00000002").iterdir())
    for _ in range(200):
        path = draw.choice(files)
        whole = path.read_bytes()
        broken = bytearray(whole)
        broken[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(broken)
        assert_noticed(trained)
        path.write_bytes(whole)
    assert newest(trained).step == 2


def test_files_cut_at_every_four_kibibytes_are_all_noticed(trained: Path) -> None:
    cuts = 0
    for path in sorted((trained / "checkpoints" / "step-00000002").iterdir()):
        whole = path.read_bytes()
        for length in range(0, len(whole), 4096):
            path.write_bytes(whole[:length])
            assert_noticed(trained)
            cuts += 1
        path.write_bytes(whole)
    assert newest(trained).step == 2 and cuts > 40


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "state.json"])
def test_a_file_of_another_checkpoint_is_noticed(trained: Path, name: str) -> None:
    before, path = ((trained / "checkpoints" / f"step-0000000{step}" / name) for step in (1, 2))
    whole = path.read_bytes()
    path.write_bytes(before.read_bytes())
    assert_noticed(trained)
    path.write_bytes(whole)


def test_a_checkpoint_that_is_a_link_to_nowhere_is_noticed(trained: Path, tmp_path: Path) -> None:
    path = trained / "checkpoints" / "step-00000002" / "model.safetensors"
    whole = path.read_bytes()
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert_noticed(trained)
    path.unlink()
    path.write_bytes(whole)


# A full disk


def test_a_disk_that_fills_up_stops_the_training_behind_its_last_checkpoint(toy: Path, tmp_path: Path) -> None:
    """No file may become larger than metrics.jsonl is when step 5 is to be logged: the checkpoints are small."""
    run = tmp_path / "run"
    small = ["model.embedding.size=2", "model.encoder.size=2", "model.decoder={class: RNNDecoder, size: 2}"]
    asked = config(toy, *EVERY_STEP, *small, "train.steps=60", "train.validate_every=100")

    def fill(trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "stepping" and metrics["step"] == 5:
            largest = max(path.stat().st_size for path in run.rglob("*") if path.is_file())
            MetricsFile(run / "metrics.jsonl")(trainer, {"step": 4, "long": "x" * largest})
            limit = (run / "metrics.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(SeqloomError) as caught:
            runs.train(asked, run, hooks=[fill])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    path = run / "metrics.jsonl"
    assert str(caught.value) == f"{path} could not be written: File too large; the last checkpoint stands"
    assert newest(run).step == 4
    assert not list(run.rglob(".new-*"))
    assert runs.train(replace(asked, train=replace(asked.train, steps=6)), run).step == 6, "with room again it goes on"


# Numbers that are not finite


class Faulty(TranslationTask):
    """A translation whose loss is not finite in some batches."""

    faults: Iterator[float] = iter(())

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        loss = super().loss(model, batch)
        return Loss(loss.total * next(type(self).faults), loss.count)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_that_breaks_leaves_a_whole_checkpoint_of_finite_weights(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """From step 4 on nothing is finite; the first NaN alone, in step 2, is passed over."""
    batches = (math.nan if number in (3, 4) or number > 6 else 1.0 for number in count(1))  # two batches a step
    monkeypatch.setattr(Faulty, "faults", batches)
    asked = replace(config(toy, *EVERY_STEP, f"train.precision={precision}"), task=Faulty)
    with pytest.raises(
        SeqloomError, match=f"^step {3 + BAD_STEPS}: the gradient was not finite {BAD_STEPS} times in a row"
    ):
        runs.train(asked, tmp_path)
    skipped = [line["step"] for line in numbers(tmp_path) if line.get("event") == "skipped"]
    assert skipped == [2, *range(4, 4 + BAD_STEPS)]
    last = newest(tmp_path)
    assert last.state["progress"]["skipped"] == len(skipped) - 1, "the step that ended it is not in a checkpoint"
    assert all(tensor.isfinite().all() for tensor in (*last.model.values(), *last.training.values()))


# Two at once


def test_a_second_training_refuses_and_the_first_goes_on(toy: Path, tmp_path: Path) -> None:
    said: list[str] = []
    asked = config(toy, *EVERY_STEP, "train.steps=3")

    def second(trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "stepped":
            with pytest.raises(CheckpointError) as caught:
                runs.train(asked, tmp_path / "run")
            said.append(str(caught.value))

    assert runs.train(asked, tmp_path / "run", hooks=[second]).step == 3
    assert said == [f"{tmp_path / 'run'} is in use by another training; wait for it, or choose another"] * 3
