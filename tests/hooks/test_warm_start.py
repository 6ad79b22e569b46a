"""A warm start takes what fits, says what doesn't, and happens once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom import runs
from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.errors import UsageError
from seqloom.hooks import WarmStart
from seqloom.train import Trainer


@pytest.fixture(scope="module")
def other(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to begin from; to be read, not changed."""
    run = tmp_path_factory.mktemp("other") / "run"
    runs.train(read_config(toy / "toy.yml", ["train.steps=4", "train.validate_every=2", "seed=7"]), run)
    return run


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


@pytest.mark.parametrize("prefix", ["", "encoder", "decoder.attention", "encoder.embedding.table.weight"])
def test_a_part_of_the_model_begins_with_the_others_weights(
    prefix: str, other: Path, trainer: Callable[..., Trainer], tmp_path: Path, begun: dict[str, Any]
) -> None:
    standing = trainer()
    fresh, taken = weights(standing), Checkpoints(other / "checkpoints").load(4).model
    WarmStart(tmp_path, run=other, prefix=prefix, checkpoint="last")(standing, begun)
    below = {name for name in fresh if name.startswith(prefix)}
    assert below and (len(below) < len(fresh) or not prefix)
    for name, weight in weights(standing).items():
        assert torch.equal(weight, taken[name] if name in below else fresh[name])
        assert not torch.equal(fresh[name], taken[name])


def test_it_happens_before_the_first_step_and_not_again(toy: Path, other: Path, tmp_path: Path) -> None:
    """With a rate of 0 the weights stay those of the other run; one that goes on doesn't look at it."""
    changes = ["train.steps=1", "train.schedule.peak=0", f"hooks=[{{class: WarmStart, run: {other}, checkpoint: 2}}]"]
    runs.train(read_config(toy / "toy.yml", changes), tmp_path)
    taken, ours = Checkpoints(other / "checkpoints").load(2).model, Checkpoints(tmp_path / "checkpoints").load(1).model
    assert all(torch.equal(weight, taken[name]) for name, weight in ours.items())
    again = [*changes, "train.steps=2", "train.schedule.peak=0.1", "hooks.0.checkpoint=4"]
    runs.train(read_config(toy / "toy.yml", again), tmp_path)
    moved, last = (Checkpoints(place / "checkpoints").choose("last").model for place in (tmp_path, other))
    assert not any(torch.equal(weight, last[name]) for name, weight in moved.items())


DIFFERENT = "model.decoder.attention.size=8"
HOW = (
    "decoder.attention.key.weight (16x32 there and 8x32 here), "
    "decoder.attention.query.bias (16 there and 8 here), "
    "decoder.attention.query.weight (16x16 there and 8x16 here), "
    "decoder.attention.score.weight (1x16 there and 1x8 here)"
)


def refusal(hook: WarmStart, trainer: Trainer, begun: dict[str, Any]) -> str:
    before = weights(trainer)
    with pytest.raises(UsageError) as caught:
        hook(trainer, begun)
    assert all(torch.equal(weight, before[name]) for name, weight in weights(trainer).items())
    return str(caught.value)


def test_weights_that_do_not_fit_are_refused_by_name(
    other: Path, trainer: Callable[..., Trainer], tmp_path: Path, begun: dict[str, Any]
) -> None:
    standing = trainer(DIFFERENT)
    fitting = len(weights(standing)) - 4
    assert refusal(WarmStart(tmp_path, run=other), standing, begun) == (
        f"WarmStart: {fitting} weights of {other} fit this model and 4 don't: {HOW}. "
        "To begin with those that fit, set mismatched: skip"
    )
    said = refusal(WarmStart(tmp_path, run=other, prefix="decoder.attention"), standing, begun)
    assert said == f"WarmStart: no weight of {other} fits this model: {HOW}"


def test_or_left_fresh_by_name(
    other: Path,
    trainer: Callable[..., Trainer],
    tmp_path: Path,
    begun: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    standing = trainer(DIFFERENT)
    fresh, taken = weights(standing), Checkpoints(other / "checkpoints").choose("best")
    with caplog.at_level(logging.INFO):
        WarmStart(tmp_path, run=other, mismatched="skip")(standing, begun)
    begin = f"{len(fresh) - 4} weights begin with those of {other}, step {taken.step}"
    assert caplog.messages == [f"{begin}; fresh are {HOW}"]
    for name, weight in weights(standing).items():
        kept = weight.shape != taken.model[name].shape
        assert torch.equal(weight, fresh[name] if kept else taken.model[name])


def test_a_part_that_is_not_there_is_a_sentence(
    other: Path, trainer: Callable[..., Trainer], tmp_path: Path, begun: dict[str, Any]
) -> None:
    said = refusal(WarmStart(tmp_path, run=other, prefix="encodr"), trainer(), begun)
    assert said == "WarmStart: this model has no part 'encodr'; did you mean 'encoder'?"


def test_other_symbols_are_warned_of(
    toy: Path, trainer: Callable[..., Trainer], tmp_path: Path, begun: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for side in ("source", "target"):
        lines = [line.replace("a", "ä") for line in (toy / f"train.{side}").read_text("utf8").splitlines()]
        (tmp_path / f"train.{side}").write_text("\n".join(lines) + "\n", "utf8")
    changes = [f"data.train.{side}={tmp_path / f'train.{side}'}" for side in ("source", "target")]
    runs.train(read_config(toy / "toy.yml", [*changes, "train.steps=1"]), tmp_path / "other")
    caplog.clear()
    WarmStart(tmp_path, run=tmp_path / "other")(trainer(), begun)
    assert caplog.messages == [
        f"WarmStart: the {side} symbols of {tmp_path / 'other'} are not those of this run, "
        "so embeddings stand for other symbols"
        for side in ("source", "target")
    ]
    caplog.clear()
    WarmStart(tmp_path, run=tmp_path / "other", prefix="decoder.attention")(trainer(), begun)
    assert caplog.messages == []
