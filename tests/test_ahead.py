"""Batches that are fetched ahead.

PyTorch's CPU has streams, too, on which everything is done at once; what it lacks, pinned memory and the record of
which stream uses a tensor, is patched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import pytest
import torch
from torch import Tensor
from trainings import FAMILIES, Notes, trainer_for, weights_of

import seqloom.train.trainer
from seqloom.config.root import read_config
from seqloom.data.batches import Position, collate
from seqloom.structures import Batch
from seqloom.train.ahead import Copied, Drawn, Fetching, Lane, ahead

HERE = torch.device("cpu")
PATIENCE = 30.0


def numbered() -> Iterator[Drawn]:
    """Endless batches, each with its number as the only id."""
    for number in count():
        ids = torch.full((3,), number).numpy()
        yield collate([(ids, ids)]), Position(0, number + 1)


def number_of(batch: Batch) -> int:
    return int(batch.source.ids[0, 0])


class Source:
    """Batches that come when they are asked for, and who asked."""

    def __init__(self, drawn: Iterator[Drawn]):
        self.drawn, self.asked, self.threads = drawn, 0, set[str]()

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> Drawn:
        self.asked += 1
        self.threads.add(threading.current_thread().name)
        return next(self.drawn)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to tensors that a CPU doesn't do."""
    done: list[str] = []

    def pin(tensor: Tensor) -> Tensor:
        done.append("pinned")
        return tensor.clone()

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "record_stream", lambda tensor, stream: done.append("used"))
    return done


def settled(fetching: Fetching, ready: int) -> bool:
    """Whether so many batches, and no more, get ready by themselves."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if fetching.ready.qsize() == ready:
            break
        waiting.wait(0.01)
    waiting.wait(0.05)
    return fetching.ready.qsize() == ready


def test_on_the_cpu_they_are_what_they_were() -> None:
    made = numbered()
    with ahead(made, HERE, count=2) as batches:
        assert batches is made


def test_order_contents_and_positions_are_the_same(log: list[str]) -> None:
    fetching = Fetching(numbered(), Lane(HERE), 2)
    found = list(islice(fetching, 20))
    fetching.stop()
    for (batch, position), (wanted, place) in zip(found, numbered(), strict=False):
        assert torch.equal(batch.source.ids, wanted.source.ids) and torch.equal(batch.target.mask, wanted.target.mask)
        assert (batch.wanted, position) == (wanted.wanted, place)


def test_every_tensor_is_pinned_before_its_copy_and_recorded_before_its_use(log: list[str]) -> None:
    lane = Lane(HERE)
    batch = collate([(torch.ones(2).numpy(), torch.ones(3).numpy())])
    copied = lane.send(batch)
    assert log == ["pinned"] * 4 and isinstance(copied, Copied)
    assert lane.receive(copied) is copied.batch
    assert log == ["pinned"] * 4 + ["used"] * 4


@pytest.mark.parametrize("ready", [1, 3])
def test_as_many_as_a_step_takes_are_made_ahead_in_another_thread(log: list[str], ready: int) -> None:
    source = Source(numbered())
    fetching = Fetching(source, Lane(HERE), ready)
    batches = iter(fetching)
    for taken in range(3):
        assert settled(fetching, ready)
        assert source.asked == ready + taken
        assert number_of(next(batches)[0]) == taken
    fetching.stop()
    assert source.threads == {"batches"}


def test_what_is_raised_while_a_batch_is_made_is_raised_where_it_is_asked_for(log: list[str]) -> None:
    def broken() -> Iterator[Drawn]:
        yield from islice(numbered(), 2)
        raise ValueError("the third is broken")

    fetching = Fetching(broken(), Lane(HERE), 5)
    batches = iter(fetching)
    assert [number_of(next(batches)[0]) for _ in range(2)] == [0, 1]
    with pytest.raises(ValueError, match="^the third is broken$"):
        next(batches)
    fetching.stop()
    assert not fetching.thread.is_alive()


def test_an_end_is_an_end(log: list[str]) -> None:
    fetching = Fetching(islice(numbered(), 3), Lane(HERE), 2)
    assert [number_of(batch) for batch, _ in fetching] == [0, 1, 2]
    fetching.stop()


def test_the_thread_ends_with_the_training_however_that_ends(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_device_module", lambda device: torch.cpu)
    with pytest.raises(KeyboardInterrupt), ahead(numbered(), torch.device("meta"), count=2) as batches:
        next(batches)
        assert "batches" in {thread.name for thread in threading.enumerate()}
        raise KeyboardInterrupt
    assert "batches" not in {thread.name for thread in threading.enumerate()}


def test_a_training_that_fetches_ahead_is_the_same(
    log: list[str], toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its validations and checkpoints come in between."""

    @contextmanager
    def fetched(made: Iterator[Drawn], device: torch.device, *, count: int) -> Iterator[Iterator[Drawn]]:
        fetching = Fetching(made, Lane(device), count)
        yield iter(fetching)
        fetching.stop()

    changes = ["train.steps=6", "train.accumulate=2", "train.log_every=1", "train.validate_every=3"]
    config = read_config(toy / "toy.yml", [FAMILIES["gru"], *changes])
    found = []
    for name in ("now", "ahead"):
        notes = Notes()
        trainer = trainer_for(config, tmp_path / name, notes)
        trainer.fit()
        found.append((notes.values("loss"), notes.values("valid.loss"), weights_of(trainer)))
        monkeypatch.setattr(seqloom.train.trainer, "ahead", fetched)
    (losses, valid, weights), (losses_ahead, valid_ahead, weights_ahead) = found
    assert (losses, valid) == (losses_ahead, valid_ahead) and len(losses) == 6
    assert all(torch.equal(weight, weights_ahead[name]) for name, weight in weights.items())
    assert log.count("pinned") - log.count("used") in (0, 4, 8)  # at most two batches of four tensors were left over
