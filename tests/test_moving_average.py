"""Averaged weights: their mean, and that training neither notices them nor loses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn
from torch.testing import assert_close
from trainings import FAMILIES, Notes, trainer_for, weights_of

from seqloom import runs
from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.errors import SeqloomError
from seqloom.train.moving_average import MovingAverage

STEPS = ["train.validate_every=2", "train.log_every=1", "train.checkpoint_every=2", FAMILIES["pre-norm"]]


def config(toy: Path, steps: int, *changes: str) -> runs.Config:
    return read_config(toy / "toy.yml", [*STEPS, f"train.steps={steps}", *changes])


def test_the_mean_is_that_of_the_formula() -> None:
    """The weight goes 1, 2, 3, ...; the mean of n steps keeps min(decay, (1 + n) / (10 + n)) at each."""
    model, wanted = nn.Linear(1, 1, bias=False), 0.0
    nn.init.zeros_(model.weight)
    average = MovingAverage(model, 0.5)
    for n in range(1, 20):
        nn.init.constant_(model.weight, float(n))
        average.follow()
        keep = min(0.5, (1 + n) / (10 + n))
        wanted = keep * wanted + (1 - keep) * n
    with average.in_use():
        assert model.weight.item() == pytest.approx(wanted, rel=1e-6)
    assert model.weight.item() == 19


def test_numbers_that_are_counted_are_copied() -> None:
    model = nn.BatchNorm1d(2)
    average = MovingAverage(model, 0.9)
    model.num_batches_tracked.fill_(7)
    average.follow()
    assert average.means["num_batches_tracked"] == 7


def test_training_does_not_notice(toy: Path, tmp_path: Path) -> None:
    """The weights go the same way with an average beside them; what is validated and kept is the average."""
    plain, averaged = Notes(), Notes()
    runs.train(config(toy, 6), tmp_path / "plain", hooks=[plain])
    runs.train(config(toy, 6, "train.ema=0.9"), tmp_path / "averaged", hooks=[averaged])
    assert plain.values("gradient_norm") == averaged.values("gradient_norm")
    assert plain.values("valid.loss") != averaged.values("valid.loss")
    kept, beside = (Checkpoints(tmp_path / name / "checkpoints").load(6) for name in ("plain", "averaged"))
    assert_close(kept.model, {name: beside.training[f"weights.{name}"] for name in kept.model}, rtol=0, atol=0)


def test_it_goes_on_to_the_bit(toy: Path, tmp_path: Path) -> None:
    runs.train(config(toy, 6, "train.ema=0.9"), tmp_path / "whole")
    for steps in (2, 6):
        runs.train(config(toy, steps, "train.ema=0.9"), tmp_path / "parts")
    whole, parts = (Checkpoints(tmp_path / name / "checkpoints").load(6) for name in ("whole", "parts"))
    for kind in ("model", "training"):
        assert_close(getattr(whole, kind), getattr(parts, kind), rtol=0, atol=0)


def test_it_can_be_switched_on_and_off_between_starts(toy: Path, tmp_path: Path) -> None:
    notes = Notes()
    for steps, changes in ((2, ["train.ema=0.9"]), (4, []), (6, ["train.ema=0.9"])):
        runs.train(config(toy, steps, *changes), tmp_path / "switched", hooks=[notes])
    plain = Notes()
    runs.train(config(toy, 6), tmp_path / "plain", hooks=[plain])
    assert notes.values("gradient_norm") == plain.values("gradient_norm")


@pytest.mark.parametrize("ema", ["0", "1", "-0.5", "2"])
def test_a_decay_is_a_share(toy: Path, ema: str) -> None:
    with pytest.raises(SeqloomError, match="ema must be between 0 and 1, such as 0.999, or null, got"):
        config(toy, 1, f"train.ema={ema}")


def test_a_failed_validation_leaves_training_its_own_weights(toy: Path, tmp_path: Path) -> None:
    trainer = trainer_for(config(toy, 1, "train.ema=0.9"), tmp_path)
    before = weights_of(trainer)
    trainer.updated.average = MovingAverage(trainer.model, 0.9)
    for mean in trainer.updated.average.means.values():
        mean.zero_()
    with pytest.raises(RuntimeError, match="inside"), trainer.updated.averaged():
        assert not any(weight.any() for weight in weights_of(trainer).values())
        raise RuntimeError("inside")
    assert_close(weights_of(trainer), before, rtol=0, atol=0)
