"""The rehearsal measures what training would do, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom.config.root import read_config
from seqloom.data.batches import Position
from seqloom.errors import SeqloomError, UsageError
from seqloom.rehearsal import Rehearsal, rehearse, staged
from seqloom.runs import train
from seqloom.tasks import TranslationTask
from seqloom.train import Trainer


def rehearsed(toy: Path, *changes: str) -> Rehearsal:
    with staged(read_config(toy / "toy.yml", changes)) as trainer:
        return rehearse(trainer)


def test_it_finds_what_training_would_meet(toy: Path, tmp_path: Path) -> None:
    config = read_config(toy / "toy.yml", ["train.accumulate=2"])
    found = rehearsed(toy, "train.accumulate=2")
    task = config.make_task()
    task.prepare(tmp_path)
    model = task.build(config.model)
    assert (found.source_symbols, found.target_symbols) == (13, 13)
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert found.seconds > 0 and found.validation_seconds is not None and found.validation_seconds > 0
    assert found.memory > 2**20 and found.peak >= found.memory
    stream = task.batches(Position())
    sizes = [int(next(stream)[0].target.mask[:, 1:].sum()) for _ in range(40)]
    assert found.tokens == round(2 * sum(sizes) / 40), "two batches a step, of the usual size"


def test_a_checkpoint_is_as_large_as_it_says(toy: Path, tmp_path: Path) -> None:
    found = rehearsed(toy)
    train(read_config(toy / "toy.yml", ["train.steps=2"]), tmp_path / "run")
    written = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*.safetensors"))
    assert found.checkpoint == pytest.approx(written, rel=0.1)


def test_nothing_is_left_behind(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    with staged(read_config(toy / "toy.yml")) as trainer:
        assert list((tmp_path / "scratch").iterdir())
        rehearse(trainer)
    assert not list((tmp_path / "scratch").iterdir())


def test_it_refuses_what_training_would_refuse(toy: Path) -> None:
    with pytest.raises(UsageError, match=r"^train\.keep_best: validation has no 'blue'; did you mean 'bleu'\?$"):
        rehearsed(toy, "train.keep_best=blue")


def full(*arguments: Any, **options: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_a_step_that_takes_too_much_memory_is_a_sentence(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "update", full)
    with pytest.raises(SeqloomError) as caught:
        rehearsed(toy)
    assert str(caught.value) == (
        "there is not enough memory for an update on the largest batch; halve train.batch_tokens and double "
        "train.accumulate, or make the model smaller"
    )


def test_a_validation_that_takes_too_much_memory_is_found_before_training(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TranslationTask, "rehearse", full)
    with pytest.raises(SeqloomError) as caught:
        rehearsed(toy)
    assert str(caught.value) == (
        "there is not enough memory for a validation; lower task.valid_beam_size or train.batch_tokens, or make the "
        "model smaller"
    )


def test_another_error_stays_what_it_is(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise RuntimeError("a mistake of the program")

    monkeypatch.setattr(Trainer, "update", broken)
    with pytest.raises(RuntimeError, match="^a mistake of the program$"):
        rehearsed(toy)
