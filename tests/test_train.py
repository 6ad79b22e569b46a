"""The training loop: what an update is, going on to the bit, ending, and what it does when numbers are not finite."""

from __future__ import annotations

import json
import math
import random
import signal
import statistics
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from trainings import FAMILIES, Notes, joined, trainer_for, weights_of, without_dropout

from seqloom import runs
from seqloom.checkpoint import Checkpoints
from seqloom.config.root import Config, read_config
from seqloom.data.batches import Position
from seqloom.errors import SeqloomError, UsageError
from seqloom.optim import Optimizer
from seqloom.registry import known
from seqloom.structures import Batch, Loss
from seqloom.tasks import TranslationTask
from seqloom.tasks.base import Evaluation
from seqloom.train import BAD_STEPS, Interrupted, Listener, Progress, Trainer, TrainOptions
from seqloom.train import trainer as train_module
from seqloom.train.norms import Norms


@pytest.mark.parametrize("seed", [-1, 10**20])
def test_any_integer_is_a_seed(toy: Path, tmp_path: Path, seed: int) -> None:
    runs.train(read_config(toy / "toy.yml", [f"seed={seed}", "train.steps=1"]), tmp_path / "run")


# What an update is


@pytest.mark.parametrize("family", FAMILIES)
def test_an_update_on_several_batches_is_an_update_on_all_their_rows(toy: Path, tmp_path: Path, family: str) -> None:
    changes = [*without_dropout(family), "train.optimizer=SGD", "train.schedule.peak=1", "train.label_smoothing=0.1"]
    config = read_config(toy / "toy.yml", changes)
    apart, together = trainer_for(config, tmp_path / "a"), trainer_for(config, tmp_path / "b")
    stream = apart.task.batches(Position())
    batches = [next(stream)[0] for _ in range(3)]
    assert len({batch.target.ids.shape for batch in batches}) > 1, "the batches are to differ in shape"

    before = weights_of(apart)
    loss, norm, tokens = apart.update(batches)
    assert (loss, norm, tokens) == pytest.approx(together.update([joined(batches)]), rel=1e-5)
    assert tokens == sum(int(batch.target.mask[:, 1:].sum()) for batch in batches)
    for name, weight in weights_of(apart).items():
        torch.testing.assert_close(weight, weights_of(together)[name], rtol=1e-5, atol=1e-5)
    assert any(not torch.equal(weight, before[name]) for name, weight in weights_of(apart).items())


def test_the_gradient_is_cut_to_its_norm(toy: Path, tmp_path: Path) -> None:
    changes = ["train.optimizer=SGD", "train.schedule.peak=1", "train.clip=0.01"]
    trainer = trainer_for(read_config(toy / "toy.yml", changes), tmp_path)
    before = weights_of(trainer)
    _, norm, _ = trainer.update([next(trainer.task.batches(Position()))[0]])
    moved = math.sqrt(
        sum(float((weight - before[name]).square().sum()) for name, weight in weights_of(trainer).items())
    )
    assert norm > 0.01
    assert moved == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("tie", ["none", "all"])
def test_each_embeddings_gradient_is_cut_after_the_whole(toy: Path, tmp_path: Path, tie: str) -> None:
    changes = ["train.optimizer=SGD", "train.schedule.peak=1", "train.clip=1", f"model.embedding.tie={tie}"]
    changes.append("model.decoder={class: TransformerDecoder, layers: 1, heads: 1, feedforward: 8, dropout: 0}")
    moves = []
    for limit in (0.0, 0.02):
        config = read_config(toy / "toy.yml", [*changes, f"train.clip_embeddings={limit}"])
        trainer = trainer_for(config, tmp_path / str(limit))
        before = weights_of(trainer)
        trainer.update([next(trainer.task.batches(Position()))[0]])
        moves.append({name: weight - before[name] for name, weight in weights_of(trainer).items()})
    free, cut = moves
    tables = {name for name in free if "table" in name}
    assert len(tables) == (1 if tie == "all" else 2)
    for name, move in cut.items():
        norm = float(free[name].norm())
        wanted = free[name] * (min(1.0, 0.02 / norm) if name in tables else 1.0)
        torch.testing.assert_close(move, wanted, rtol=1e-4, atol=1e-6)
        assert norm > 0.02 or name not in tables, "there is to be something to cut"


# Going on where it stopped


def stop_after(step: int) -> Listener:
    """A hook that asks this process to end when the checkpoint of a step was made; one more step is under way then."""

    def stop(trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "saved" and metrics["step"] == step:
            signal.raise_signal(signal.SIGTERM)

    return stop


def numbers(directory: Path) -> list[dict[str, Any]]:
    """What metrics.jsonl says, less the times."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text("utf8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("tokens_per_second", "seconds")} for line in lines]


# Stopped in the middle of an epoch, of a line of the log, and between checkpoints.
HALF = [
    "train.accumulate=2",
    "train.steps=14",
    "train.log_every=5",
    "train.checkpoint_every=7",
    "train.validate_every=6",
]
HALF.append("task={class: translation, valid_most: 4}")


def assert_resumes_exactly(config: Config, directory: Path) -> None:
    runs.train(config, directory / "straight")
    with pytest.raises(Interrupted, match="stopped after step 8"):
        runs.train(config, directory / "stopped", hooks=[stop_after(7)])
    assert Checkpoints(directory / "stopped" / "checkpoints").steps()[-1] == 8
    runs.train(config, directory / "stopped")

    assert numbers(directory / "stopped") == numbers(directory / "straight")
    one, other = (Checkpoints(directory / name / "checkpoints").newest()[0] for name in ("straight", "stopped"))
    assert one is not None and other is not None
    assert one.step == other.step == config.train.steps
    for ours, theirs in ((one.model, other.model), (one.training, other.training)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_stopped_training_goes_on_to_the_bit(toy: Path, tmp_path: Path, family: str, precision: str) -> None:
    config = read_config(toy / "toy.yml", [FAMILIES[family], *HALF, f"train.precision={precision}"])
    task = config.make_task()
    task.prepare(tmp_path / "looked")
    assert task.epoch(Position(0, 16)) % 1, "it is to stop in the middle of an epoch"
    assert_resumes_exactly(config, tmp_path)


@pytest.mark.parametrize("optimizer", [*sorted(cls.__name__ for cls in known(Optimizer)), "momentum"])  # type: ignore
def test_every_optimizer_goes_on_to_the_bit(toy: Path, tmp_path: Path, optimizer: str) -> None:
    optimizer = optimizer.replace("momentum", "{class: SGD, momentum: 0.9, nesterov: true}")
    assert_resumes_exactly(read_config(toy / "toy.yml", [*HALF, f"train.optimizer={optimizer}"]), tmp_path)


# Numbers that are not finite


class Faulty(TranslationTask):
    """A translation whose loss is not finite in some updates; it isn't registered, since no file may ask for it."""

    faults: Iterator[float] = iter(())

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        loss = super().loss(model, batch)
        return Loss(loss.total * next(self.faults), loss.count)


def faulty(toy: Path, directory: Path, faults: Iterator[float], *hooks: Listener) -> Trainer:
    config = replace(read_config(toy / "toy.yml", ["train.log_every=1", "train.steps=20"]), task=Faulty)
    trainer = trainer_for(config, directory, *hooks)
    trainer.task.faults = faults  # type: ignore[attr-defined]
    return trainer


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_an_update_that_is_not_finite_leaves_the_weights_alone(toy: Path, tmp_path: Path, factor: float) -> None:
    trainer = faulty(toy, tmp_path, iter([1.0, factor]))
    batch, _ = next(trainer.task.batches(Position()))
    trainer.update([batch])
    before, states = weights_of(trainer), trainer.updated.optimizer.state_dict()["state"]
    kept = [{key: value.clone() for key, value in state.items()} for state in states.values()]
    _, norm, _ = trainer.update([batch])
    assert not math.isfinite(norm)
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(trainer).items())
    for state, old in zip(trainer.updated.optimizer.state_dict()["state"].values(), kept, strict=True):
        assert all(torch.equal(state[key], old[key]) for key in old)


def test_updates_that_are_not_finite_are_counted_and_left_out_of_the_loss(toy: Path, tmp_path: Path) -> None:
    notes = Notes()
    progress = faulty(toy, tmp_path, (math.nan if i in (3, 5) else 1.0 for i in count(1)), notes).fit()
    assert (progress.step, progress.skipped) == (20, 2)
    assert [note["step"] for note in notes.all if note.get("event") == "skipped"] == [3, 5]
    losses = notes.values("loss")
    assert [step for step, loss in losses.items() if not math.isfinite(loss)] == [3, 5]
    assert losses[20] < losses[1]


def test_too_many_in_a_row_end_the_training_with_a_sentence(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(SeqloomError) as caught:
        faulty(toy, tmp_path, (1.0 if i < 3 else math.nan for i in count(1))).fit()
    assert str(caught.value) == (
        "step 12: the gradient was not finite 10 times in a row (loss nan); "
        "a lower learning rate, a longer warm-up or precision: float32 may help"
    )
    interrupted = (math.nan if 3 <= i % BAD_STEPS < BAD_STEPS + 2 else 1.0 for i in count(1))
    assert faulty(toy, tmp_path / "b", interrupted).fit().step == 20, "nine in a row are not ten"


@pytest.mark.parametrize(("step", "skipped"), [(3, []), (12, [12])])
def test_a_gradient_out_of_the_ordinary_is_left_out_once_enough_were_seen(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, skipped: list[int]
) -> None:
    monkeypatch.setattr("seqloom.train.norms.ENOUGH", 5)
    notes = Notes()
    trainer = faulty(toy, tmp_path, (1e6 if i == step else 1.0 for i in count(1)), notes)
    trainer.options = replace(trainer.options, skip_norm=4.0)
    progress = trainer.fit()
    assert [note["step"] for note in notes.all if note.get("event") == "skipped"] == skipped
    assert (progress.step, progress.skipped, progress.norms.count) == (20, len(skipped), 20)


def test_norms_are_the_mean_and_the_deviation_of_their_logarithms() -> None:
    draw = random.Random(1)
    seen = [math.exp(draw.gauss(1, 0.5)) for _ in range(400)]
    norms = Norms()
    for norm in seen:
        norms = norms.after(norm, 4.0)
    logarithms = [math.log(norm) for norm in seen]
    assert norms.mean == pytest.approx(statistics.mean(logarithms), rel=1e-9)
    assert norms.variance == pytest.approx(statistics.pvariance(logarithms), rel=1e-9)
    assert math.log(norms.most(4.0)) == pytest.approx(norms.mean + 4 * math.sqrt(norms.variance))
    for _ in range(3000):  # a new order, which is no longer out of the ordinary in time
        norms = norms.after(1e9, 4.0)
    assert norms.most(4.0) > 1e8


def test_a_training_that_leaves_out_gradients_goes_on_to_the_bit(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqloom.train.norms.ENOUGH", 3)
    assert_resumes_exactly(read_config(toy / "toy.yml", [*HALF, "train.skip_norm=0.5"]), tmp_path)
    assert Checkpoints(tmp_path / "stopped" / "checkpoints").newest()[0].state["progress"]["skipped"]  # type: ignore[union-attr]


# How it ends, and what is kept


class Scripted(TranslationTask):
    """A translation whose validations find what a test says."""

    script: Iterator[float] = iter(())

    def evaluate(self, model: nn.Module) -> Evaluation:
        value = next(self.script)
        return Evaluation({"loss": value, "bleu": value}, {}, [])


def scripted(toy: Path, directory: Path, script: list[float], *changes: str) -> Trainer:
    fixed = ["train.steps=40", "train.validate_every=2", "train.checkpoint_every=100", "train.keep_last=2", *changes]
    trainer = trainer_for(replace(read_config(toy / "toy.yml", fixed), task=Scripted), directory)
    trainer.task.script = iter(script)  # type: ignore[attr-defined]
    return trainer


def test_patience_ends_a_training_and_the_best_checkpoint_is_kept_beside_the_last(toy: Path, tmp_path: Path) -> None:
    trainer = scripted(toy, tmp_path, [1, 5, 3, 5, 4], "train.patience=3")
    progress = trainer.fit()
    assert (progress.step, progress.best, progress.best_step, progress.waited) == (10, 5, 4, 3)
    assert trainer.checkpoints.steps() == [4, 8, 10]


def test_for_a_loss_less_is_better(toy: Path, tmp_path: Path) -> None:
    trainer = scripted(toy, tmp_path, [5, 1, 3, 2], "train.patience=2", "train.keep_best=loss")
    progress = trainer.fit()
    assert (progress.step, progress.best, progress.best_step) == (8, 1, 4)


def test_what_is_no_number_is_never_the_best(toy: Path, tmp_path: Path) -> None:
    progress = scripted(toy, tmp_path, [math.nan, 5, math.nan, 3], "train.keep_best=loss", "train.steps=8").fit()
    assert (progress.best, progress.best_step, progress.waited) == (3, 8, 0)


def test_what_is_better_starts_the_waiting_anew(toy: Path, tmp_path: Path) -> None:
    assert scripted(toy, tmp_path, [5, 4, 6, 5, 7, 6, 6], "train.patience=2").fit().step == 14


def test_a_plateau_lowers_the_rate_and_ends_the_training(toy: Path, tmp_path: Path) -> None:
    schedule = "train.schedule={class: Plateau, peak: 0.1, factor: 0.5, floor: 0.03}"
    trainer, notes = scripted(toy, tmp_path, [5, 4, 6, 5, 5], schedule, "train.log_every=1"), Notes()
    trainer.hooks = (notes,)
    progress = trainer.fit()
    assert (progress.step, progress.stalls, progress.waited) == (8, 2, 1), "0.1 * 0.5 ** 2 is below the floor"
    rates = [rate for _, rate in sorted(notes.values("learning_rate").items())]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])


def test_a_training_on_a_plateau_goes_on_to_the_bit(toy: Path, tmp_path: Path) -> None:
    schedule = "train.schedule={class: Plateau, peak: 1.0e-9, factor: 0.5, floor: 1.0e-20}"  # too slow to get better
    assert_resumes_exactly(read_config(toy / "toy.yml", [*HALF, schedule]), tmp_path)
    assert len({line["learning_rate"] for line in numbers(tmp_path / "stopped") if "learning_rate" in line}) > 1


def test_a_checkpoint_that_counts_no_stalls_is_read() -> None:
    older = {
        name: value for name, value in Progress(stalls=3, waited=2).as_dict().items() if name not in ("stalls", "norms")
    }
    assert Progress.from_dict(older) == Progress(waited=2)


class Clock:
    """Time that goes by one second whenever it is looked at."""

    def __init__(self) -> None:
        self.seconds = count()

    def monotonic(self) -> float:
        return float(next(self.seconds))


def test_a_checkpoint_is_made_whenever_so_many_seconds_have_passed(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "time", Clock())
    notes, fixed = Notes(), ["train.checkpoint_every=1000", "train.validate_every=1000", "train.log_every=1000"]
    config = read_config(toy / "toy.yml", [*fixed, "train.steps=12", "train.checkpoint_seconds=3"])
    trainer_for(config, tmp_path, notes).fit()
    saved = [note["step"] for note in notes.all if note.get("event") == "saved"]
    assert saved == [3, 6, 9, 12], "a step takes a second of this clock, and the last one is saved after validation"


def test_minutes_end_a_training_over_all_its_starts(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_module, "time", Clock())
    config = read_config(toy / "toy.yml", ["train.steps=1000", "train.minutes=0.5", "train.validate_every=1000"])
    progress = runs.train(config, tmp_path / "run")
    assert 0 < progress.step < 30
    assert progress.seconds >= 30
    assert progress.validated == progress.step == Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1]
    assert runs.train(config, tmp_path / "run").step == progress.step, "there is no time left for another step"


def test_a_metric_that_validation_does_not_have_is_refused_before_training(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        runs.train(read_config(toy / "toy.yml", ["train.keep_best=blue"]), tmp_path / "run")
    assert str(caught.value) == "train.keep_best: validation has no 'blue'; did you mean 'bleu'?"
    assert not (tmp_path / "run").exists()


def test_validation_measures_what_it_promises(toy: Path, tmp_path: Path) -> None:
    trainer = trainer_for(read_config(toy / "toy.yml"), tmp_path)
    evaluation = trainer.evaluate()
    assert tuple(evaluation.values) == trainer.task.measures


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"keep_last": 0}, "keep_last must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, or null, got 0"),
        ({"patience": 0}, "patience must be at least 1, or null, got 0"),
        ({"minutes": 0}, "minutes must be above 0, or null, got 0"),
        ({"checkpoint_seconds": 0}, "checkpoint_seconds must be above 0, or null, got 0"),
        ({"clip": -1}, "clip must be 0 or more, got -1"),
        ({"clip_embeddings": -1}, "clip_embeddings must be 0 or more, got -1"),
        ({"label_smoothing": 1.0}, "label_smoothing must be from 0 up to, not including, 1, got 1.0"),
    ],
)
def test_options_that_cannot_be_meant(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        TrainOptions(**wrong)
    assert str(caught.value) == sentence


# Signals, inside this process; tests/cli has those that end one


def test_signals_mean_again_what_they_meant_before(toy: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught:
        runs.train(read_config(toy / "toy.yml"), tmp_path / "run", hooks=[stop_after(10)])
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


class Stopped(TranslationTask):
    """A translation in whose validation a signal arrives."""

    def evaluate(self, model: nn.Module) -> Evaluation:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("a validation is not to go on after a signal")


def test_a_validation_is_cut_short_and_made_again(toy: Path, tmp_path: Path) -> None:
    config, notes = read_config(toy / "toy.yml"), Notes()
    trainer = trainer_for(replace(config, task=Stopped), tmp_path)
    with pytest.raises(Interrupted, match="stopped after step 10"):
        trainer.fit()
    assert trainer.checkpoints.steps() == [10]
    again = trainer_for(config, tmp_path, notes)
    again.restore(trainer.checkpoints.load(10))
    again.fit()
    assert list(notes.values("valid.bleu")) == [10, 20, 30]


def test_training_outside_the_main_thread_works_without_signals(toy: Path, tmp_path: Path) -> None:
    reached: list[int] = []
    config = read_config(toy / "toy.yml", ["train.steps=2"])
    thread = threading.Thread(target=lambda: reached.append(runs.train(config, tmp_path / "run").step))
    thread.start()
    thread.join(60)
    assert reached == [2]
