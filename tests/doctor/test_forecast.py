"""What is said to lie ahead follows from the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seqloom.config.root import read_config
from seqloom.doctor.diagnosis import data_of
from seqloom.doctor.forecast import (
    cost_lines,
    data_line,
    duration,
    epochs,
    largest_checkpoint,
    start_line,
    time_line,
    validations,
)
from seqloom.doctor.machine import UNLIMITED, disk_fit, free_disk, memory_fit, memory_limit, mib
from seqloom.doctor.sample import Data
from seqloom.rehearsal import Rehearsal, staged
from seqloom.train import TrainOptions

GIB = 2**30
FOUND = Rehearsal(1_234_567, 8000, 900, 0.5, 1000, GIB, GIB, 60.0, 15 * 2**20)


@pytest.fixture(scope="module")
def data(toy: Path) -> Data:
    config = read_config(toy / "toy.yml")
    with staged(config) as trainer:
        found = data_of(config, trainer)
    assert found is not None
    return found


def test_costs_are_sentences() -> None:
    options = TrainOptions(steps=7200, validate_every=600)
    assert cost_lines(FOUND, options, limit=4 * GIB, free=80 * GIB, epochs=3.25) == [
        "model: 1,234,567 parameters",
        "one step: 0.50 s for 1,000 target tokens (2,000 a second)",
        "memory: 1,024 MiB at the peak of 4,096 MiB",
        "disk: 4 checkpoints of 15 MiB at most; 80.0 GiB are free",
        "all 7,200 steps: about 72 minutes, 17 % of it validation; 3.2 epochs",
    ]


def test_minutes_that_end_a_training_are_said() -> None:
    said = time_line(FOUND, TrainOptions(steps=7200, minutes=30), None)
    assert said.endswith("; train.minutes ends it after 30")
    assert "minutes ends" not in time_line(FOUND, TrainOptions(steps=7200, minutes=90), None)


@pytest.mark.parametrize("steps, every, count", [(1000, 1000, 1), (1001, 1000, 2), (10, 1000, 1), (3000, 1000, 3)])
def test_a_training_ends_with_a_validation(steps: int, every: int, count: int) -> None:
    assert validations(TrainOptions(steps=steps, validate_every=every)) == count


@pytest.mark.parametrize(
    "seconds, said",
    [(7, "7 seconds"), (100, "2 minutes"), (5399, "90 minutes"), (5400, "1.5 hours"), (300 * 3600, "12.5 days")],
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_epochs_are_those_of_the_batches(toy: Path, data: Data, tmp_path: Path) -> None:
    from seqloom.data.batches import Position

    for changes in (["train.steps=40"], ["train.steps=40", "train.batch_sentences=7", "train.accumulate=2"]):
        config = read_config(toy / "toy.yml", changes)
        task = config.make_task()
        task.prepare(tmp_path)
        stream, position = task.batches(Position()), Position()
        for _ in range(config.train.steps * config.train.accumulate):
            position = next(stream)[1]
        assert epochs(data, config.train) == pytest.approx(task.epoch(position), rel=0.15)


def test_data_are_described(data: Data) -> None:
    said = data_line(data)
    assert said.startswith("data: 200 pairs to train on, 20 to validate on; source and target have ")
    assert said.endswith(" tokens, 99 % of them at most 8 and 8")


def test_the_start_has_a_line(data: Data) -> None:
    options = TrainOptions(steps=60, batch_sentences=10)
    assert start_line(data, options, weights=GIB, free=80 * GIB) == (
        "60 steps are about 3.0 epochs of 200 pairs; a checkpoint takes at most 3,072 MiB, and 80.0 GiB are free"
    )
    assert largest_checkpoint(10, TrainOptions(ema=0.99)) == 40


# The machine


def test_too_little_memory() -> None:
    assert memory_fit(3 * GIB, 4 * GIB, in_validation=False) is None
    one, other = (memory_fit(3900 * 2**20, 4 * GIB, in_validation=where) for where in (False, True))
    assert one and one.text == (
        "memory: 3,900 MiB at the peak of 4,096 MiB that there are; halve train.batch_tokens and double "
        "train.accumulate, which gives the same updates in half the memory"
    )
    assert other and other.text == (
        "memory: 3,900 MiB at the peak of 4,096 MiB that there are, because of validation; lower task.valid_beam_size "
        "or train.batch_tokens"
    )


def test_too_little_room_on_the_disk() -> None:
    run = Path("runs/a")
    assert disk_fit(run, checkpoint=100, least=50, kept=3, free=400) is None
    some = disk_fit(run, checkpoint=100 * 2**20, least=2**20, kept=3, free=300 * 2**20)
    assert some and (some.severity, some.text) == (
        "warning",
        "runs/a: 300 MiB are free, and a checkpoint takes 100 MiB, of which 4 are there at a time; make room, or lower "
        "train.keep_last",
    )
    none = disk_fit(run, checkpoint=100 * 2**20, least=60 * 2**20, kept=3, free=50 * 2**20)
    assert none and (none.severity, none.text) == (
        "stop",
        "runs/a: 50 MiB are free, and a checkpoint takes 100 MiB; make room, or choose another place for the run with "
        "-o",
    )


def test_a_runs_own_checkpoints_make_room_for_others(tmp_path: Path) -> None:
    place = tmp_path / "run" / "checkpoints" / "step-00000010"
    before = free_disk(tmp_path / "run")
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"x" * 64 * 2**20)
    assert abs(free_disk(tmp_path / "run") - before) < 32 * 2**20, "what others write meanwhile is less"


def test_a_control_group_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import seqloom.doctor.machine as machine

    listed = tmp_path / "cgroup"
    monkeypatch.setattr(machine, "OWN_GROUPS", listed)
    cpu, everything = torch.device("cpu"), memory_limit(torch.device("cpu"), cgroups=tmp_path / "none")
    assert everything > 2**26

    (two := tmp_path / "two" / "jobs" / "mine").mkdir(parents=True)
    listed.write_text("0::/jobs/mine\n")
    (two / "memory.max").write_text("max\n")
    assert memory_limit(cpu, cgroups=tmp_path / "two") == everything
    (two.parent / "memory.max").write_text("1000000\n")
    assert memory_limit(cpu, cgroups=tmp_path / "two") == 1_000_000, "of the group above, too"

    (one := tmp_path / "one" / "memory" / "mine").mkdir(parents=True)
    listed.write_text("5:cpu,cpuacct:/mine\n4:memory:/mine\n")
    (one / "memory.limit_in_bytes").write_text("2000000\n")
    (one.parent / "memory.limit_in_bytes").write_text(f"{2 * UNLIMITED}\n")
    assert memory_limit(cpu, cgroups=tmp_path / "one") == 2_000_000


def test_bytes_are_said_in_units_that_fit() -> None:
    assert (mib(2**20), mib(5 * GIB), mib(50 * GIB)) == ("1 MiB", "5,120 MiB", "50.0 GiB")
