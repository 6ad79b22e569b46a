"""Where memory runs out: a batch is halved once, and then there is a sentence with its numbers."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from trainings import trainer_for

import seqloom.train.trainer
from seqloom.config.root import Config, read_config
from seqloom.data.batches import Position
from seqloom.errors import SeqloomError
from seqloom.structures import Batch, Loss
from seqloom.train import Update

PLAIN = ["train.optimizer=SGD", "train.precision=float32"]
Fault = Callable[[Batch], None]


@pytest.fixture
def config(toy: Path) -> Config:
    return read_config(toy / "toy.yml", PLAIN)


class Standing:
    """A model before an update, with the loss of its task and a fault before that."""

    def __init__(self, config: Config, directory: Path, fault: Fault = lambda batch: None):
        self.task = config.make_task()
        self.task.prepare(directory)
        torch.manual_seed(1)
        self.model, self.fault = self.task.build(config.model), fault
        self.update = Update(self.model, self.loss, config.train, torch.device("cpu"))
        stream = self.task.batches(Position())
        self.batches = [next(stream)[0] for _ in range(2)]

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        loss = self.task.loss(model, batch)
        self.fault(batch)
        return loss

    def moved(self) -> list[torch.Tensor]:
        self.outcome = self.update(self.batches, seeds=[1, 2], rate=0.1, most=1e9)
        return list(self.model.parameters())


def no_room_for(rows: int, error: Exception) -> Fault:
    """Memory that has no room for so many rows."""

    def fail(batch: Batch) -> None:
        if len(batch.target.ids) >= rows:
            raise error

    return fail


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_batch_without_room_is_halved_and_the_update_is_the_same(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    whole = Standing(config, tmp_path / "whole")
    wanted, rows = whole.moved(), [len(batch.target.ids) for batch in whole.batches]
    halved = Standing(config, tmp_path / "halved", no_room_for(max(rows), error))
    with caplog.at_level(logging.WARNING):
        found = halved.moved()
    assert halved.outcome == pytest.approx(whole.outcome, rel=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    (said,) = caplog.messages
    assert said.startswith("there was not enough memory for a batch of ")
    assert said.endswith(" target tokens: halved; a smaller train.batch_tokens or a smaller model would do")


def test_where_half_has_no_room_either_it_is_a_sentence_with_numbers(config: Config, tmp_path: Path) -> None:
    standing = Standing(config, tmp_path, no_room_for(1, MemoryError()))
    before = [weight.detach().clone() for weight in standing.model.parameters()]
    with pytest.raises(SeqloomError) as caught:
        standing.moved()
    largest = max(standing.batches, key=lambda batch: batch.source.ids.numel() + batch.target.ids.numel())
    (rows, source), target = largest.source.ids.shape, largest.target.ids.shape[1]
    assert str(caught.value) == (
        f"there is not enough memory for a batch of {rows} sentences with up to {source} source and {target} target "
        "tokens, not even for half of it at a time; a smaller train.batch_tokens or a smaller model would do"
    )
    assert all(torch.equal(*pair) for pair in zip(before, standing.model.parameters(), strict=True))


def test_other_errors_are_not_mistaken_for_it(config: Config, tmp_path: Path) -> None:
    standing = Standing(config, tmp_path, no_room_for(1, RuntimeError("shapes don't match")))
    with pytest.raises(RuntimeError, match="shapes don't match"):
        standing.moved()


LIMITED = """
import resource, sys
from pathlib import Path
from seqloom import runs
from seqloom.config.root import read_config
from seqloom.errors import SeqloomError

config = read_config(Path(sys.argv[1]), sys.argv[3:])
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + 400 * 2**20,) * 2)
try:
    runs.train(config, Path(sys.argv[2]))
except SeqloomError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs a system that says how much memory is in use")
def test_memory_that_really_runs_out_is_the_same_sentence(toy: Path, tmp_path: Path) -> None:
    transformer = (
        "model={class: EncoderDecoder, embedding: {size: 512},"
        " encoder: {class: TransformerEncoder, layers: 2, heads: 2, feedforward: 40000},"
        " decoder: {class: TransformerDecoder, layers: 1, heads: 2, feedforward: 64}}"
    )
    changes = [transformer, "train.batch_tokens=4000", "train.steps=2", "train.optimizer=SGD", "train.doctor=false"]
    command = [sys.executable, "-c", LIMITED, str(toy / "toy.yml"), str(tmp_path / "run"), *changes]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.startswith("there is not enough memory for a batch of "), result.stderr
    assert result.stdout.endswith("half of it at a time; a smaller train.batch_tokens or a smaller model would do\n")


def test_what_lies_free_goes_back_every_so_often(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[int] = []
    trainer = trainer_for(read_config(toy / "toy.yml", [*PLAIN, "train.steps=7", "train.validate_every=100"]), tmp_path)
    monkeypatch.setattr(seqloom.train.trainer, "TIDY", 3)
    monkeypatch.setattr(seqloom.train.trainer, "return_freed_memory", lambda: given_back.append(trainer.progress.step))
    trainer.fit()
    assert given_back == [3, 6]
