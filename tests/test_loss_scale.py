"""Training in float16: the loss scale, and that it changes nothing but what would have vanished."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from trainings import FAMILIES, trainer_for, weights_of

from seqloom.checkpoint import Checkpoint
from seqloom.config.root import read_config
from seqloom.data.batches import Position
from seqloom.train.loss_scale import FIRST, LEAST, MOST, PATIENCE, LossScale
from seqloom.train.weights import model_tensors


def test_it_halves_at_once_and_doubles_with_patience() -> None:
    scale = LossScale(8.0).after(False)
    assert scale == LossScale(4.0, 0)
    for _ in range(PATIENCE - 1):
        scale = scale.after(True)
        assert scale.value == 4.0
    assert scale.after(True) == LossScale(8.0, 0)
    assert LossScale(LEAST).after(False).value == LEAST and LossScale(MOST, PATIENCE - 1).after(True).value == MOST


@pytest.mark.parametrize("family", ["gru-additive", "pre-norm"])
def test_an_update_is_nearly_that_of_float32(toy: Path, tmp_path: Path, family: str) -> None:
    change = FAMILIES[family].replace("dropout: 0.2", "dropout: 0").replace("dropout: 0.1", "dropout: 0")
    found = {}
    for precision in ("float32", "float16"):
        config = read_config(toy / "toy.yml", [change, f"train.precision={precision}", "train.optimizer=SGD"])
        trainer = trainer_for(config, tmp_path / precision)
        batch, _ = next(trainer.task.batches(Position()))
        found[precision] = tuple(trainer.update([batch]))
    assert found["float16"] == pytest.approx(found["float32"], rel=0.02)


def test_what_is_too_large_is_left_out_until_the_scale_fits(toy: Path, tmp_path: Path) -> None:
    config = read_config(toy / "toy.yml", [FAMILIES["pre-norm"], "train.precision=float16"])
    trainer = trainer_for(config, tmp_path)
    batch, _ = next(trainer.task.batches(Position()))
    trainer.updated._scale = LossScale(2.0**60)  # float16 ends at 65,504
    before, tried = weights_of(trainer), 0
    while not torch.isfinite(torch.tensor(trainer.update([batch]).norm)):
        tried += 1
        assert all(weight.equal(before[name]) for name, weight in weights_of(trainer).items())
    assert 10 < tried < 60 and trainer.updated._scale.value == 2.0 ** (60 - tried)
    assert any(not weight.equal(before[name]) for name, weight in weights_of(trainer).items())


def test_the_scale_is_kept(toy: Path, tmp_path: Path) -> None:
    config = read_config(toy / "toy.yml", [FAMILIES["pre-norm"], "train.precision=float16"])
    trainer, other = (trainer_for(config, tmp_path / name) for name in "ab")
    assert trainer.updated._scale == LossScale(FIRST)
    trainer.updated._scale = LossScale(32.0, 5)
    state = {"progress": trainer.progress.as_dict()}
    other.restore(Checkpoint(0, model_tensors(trainer.model), trainer.updated.tensors(), state))
    assert other.updated._scale == LossScale(32.0, 5)
