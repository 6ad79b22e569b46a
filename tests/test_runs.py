"""Run directories: going on, refusing to go on, finding a whole checkpoint, and the Python API."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

import seqloom
from seqloom import runs
from seqloom.checkpoint import Checkpoints
from seqloom.config.root import Config, read_config
from seqloom.engines.native import NativeEngine
from seqloom.errors import CheckpointError, DataError, SeqloomError, UsageError
from seqloom.translate import Translator


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of steps 20 and 30; to be read, not changed."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    runs.train(config(toy, "train.keep_best=loss"), run)
    assert Checkpoints(run / "checkpoints").steps() == [20, 30]
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def config(toy: Path, *changes: str) -> Config:
    return read_config(toy / "toy.yml", changes)


def model_of(translator: Translator) -> nn.Module:
    assert isinstance(translator.engine, NativeEngine)
    return translator.engine.model


def hurt(run: Path, step: int) -> Path:
    """Damage a checkpoint of a run."""
    place = run / "checkpoints" / f"step-{step:08d}"
    weights = place / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    return place


def refused(error: type[SeqloomError], config: Config, run: Path) -> str:
    with pytest.raises(error) as caught:
        runs.train(config, run)
    return str(caught.value)


# Going on


def test_a_run_keeps_all_that_its_use_needs(trained: Path) -> None:
    names = sorted(path.name for path in trained.iterdir())
    assert names == [".lock", "checkpoints", "config.yml", "facts.json", "golden.json", "metrics.jsonl", "tokenizers"]


def test_the_configuration_kept_is_the_one_begun_with(toy: Path, trained: Path) -> None:
    assert read_config(trained / "config.yml") == config(toy, "train.keep_best=loss")


def test_more_steps_go_on_from_the_last(toy: Path, run: Path) -> None:
    assert runs.train(config(toy, "train.steps=33", "train.keep_best=loss"), run).step == 33
    assert read_config(run / "config.yml").train.steps == 33


def test_a_finished_run_is_left_as_it_is(toy: Path, run: Path) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    assert runs.train(config(toy, "train.keep_best=loss"), run).step == 30
    assert (run / "metrics.jsonl").read_bytes() == before


def test_what_weights_depend_on_can_not_change(toy: Path, run: Path) -> None:
    changed = config(toy, "train.keep_best=loss", "seed=2", "model.encoder.size=8", "train.steps=50")
    assert refused(UsageError, changed, run) == (
        f"{run} holds a run with another configuration: model.encoder.size was 16 and is 8; seed was 1 and is 2. "
        "Choose another directory, or go on with the configuration it was begun with"
    )


def test_how_data_are_made_ready_may_change(toy: Path, run: Path, tmp_path: Path) -> None:
    changed = config(toy, "train.keep_best=loss", "data.workers=1", f"data.cache={tmp_path / 'elsewhere'}")
    assert runs.train(changed, run).step == 30


@pytest.mark.parametrize("change", ["data.max_length=9", "tokenizer.lowercase=true", "train.optimizer=SGD", "task=x"])
def test_each_part_that_is_fixed_is_held(toy: Path, run: Path, change: str) -> None:
    change = change.replace("task=x", "task={class: translation, valid_most: 3}")
    with pytest.raises(UsageError, match="holds a run with another configuration: "):
        runs.train(config(toy, "train.keep_best=loss", change), run)


def test_a_run_whose_start_was_killed_can_be_begun_again(toy: Path, tmp_path: Path) -> None:
    """Killed while tokenizers and configuration were being written: nothing half-done bears their names."""
    run = tmp_path / "run"
    (run / ".new-tokenizers").mkdir(parents=True)
    (run / ".new-tokenizers" / "joint.model").write_text("half")
    (run / "config.new").write_text("data:\n  tra")
    assert runs.train(config(toy, "train.steps=2"), run).step == 2
    assert runs.load(run).translate(["a b"])[0].source_tokens == ["a", "b"]


# Nothing is left of what never began


@pytest.mark.parametrize(
    "changes, error",
    [
        (["data.train.source=/nowhere/text"], DataError),
        (["model.embedding.tie=all", "tokenizer.joint=false"], UsageError),
        (["train.keep_best=x"], UsageError),
        (["train.device=tpu"], UsageError),
    ],
)
def test_what_fails_before_training_leaves_no_directory(
    toy: Path, tmp_path: Path, changes: Sequence[str], error: type[SeqloomError]
) -> None:
    assert refused(error, config(toy, *changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_directory_of_the_user_stays(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes").write_text("mine")
    assert refused(UsageError, config(toy, "train.keep_best=x"), tmp_path / "run")
    assert (tmp_path / "run" / "notes").read_text() == "mine"


# Damage


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    toy: Path, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = hurt(run, 30)
    with caplog.at_level(logging.WARNING):
        translator = runs.load(run, checkpoint="last")
    assert caplog.messages == [
        f"{place} is damaged: model.safetensors doesn't have the SHA-256 of its manifest",
        "Using the checkpoint of step 20 instead.",
    ]
    whole = Checkpoints(run / "checkpoints").load(20).model
    assert all(torch.equal(weight, whole[name]) for name, weight in model_of(translator).named_parameters())
    assert runs.train(config(toy, "train.keep_best=loss"), run).step == 30, "training repairs what was damaged"
    assert Checkpoints(run / "checkpoints").newest()[1] == []


def test_a_damaged_best_is_named_and_the_newest_used(toy: Path, run: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(run / "checkpoints")
    newest = checkpoints.load(30)
    newest.state["progress"]["best_step"] = 20
    checkpoints.save(newest, keep_last=2)
    place = hurt(run, 20)
    with caplog.at_level(logging.WARNING):
        translator = runs.load(run)
    damage = f"{place} is damaged: model.safetensors doesn't have the SHA-256 of its manifest"
    assert caplog.messages == [f"{damage}; using the checkpoint of step 30 instead."]
    assert all(torch.equal(weight, newest.model[name]) for name, weight in model_of(translator).named_parameters())


def test_no_whole_checkpoint_is_a_sentence(toy: Path, run: Path) -> None:
    hurt(run, 20)
    damage = f"{hurt(run, 30)} is damaged: model.safetensors doesn't have the SHA-256 of its manifest"
    sentence = f"{damage}; {run / 'checkpoints'} has no whole checkpoint"
    with pytest.raises(CheckpointError) as caught:
        runs.load(run)
    assert str(caught.value) == sentence
    assert refused(CheckpointError, config(toy, "train.keep_best=loss"), run) == sentence


# Loading


@pytest.mark.parametrize("which, step", [("best", 30), ("last", 30), (20, 20), ("20", 20)])
def test_a_checkpoint_is_chosen(run: Path, which: str | int, step: int) -> None:
    translator = runs.load(run, checkpoint=which)
    wanted = Checkpoints(run / "checkpoints").load(step).model
    assert all(torch.equal(weight, wanted[name]) for name, weight in model_of(translator).named_parameters())


def said(run: Path, checkpoint: str | int = "best") -> str:
    with pytest.raises(SeqloomError) as caught:
        runs.load(run, checkpoint=checkpoint)
    return str(caught.value)


def test_what_can_not_be_loaded_is_a_sentence(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert said(tmp_path / "no") == f"{tmp_path / 'no'} is not a run directory: there is no such directory"
    assert said(tmp_path / "empty") == f"{tmp_path / 'empty'} is not a run directory: it has no config.yml"
    assert said(trained, 7) == f"{trained / 'checkpoints'} has no checkpoint of step 7; it has 20, 30"
    assert said(trained, "worst") == "a checkpoint is best, last or a step, got 'worst'"


def test_a_run_without_a_checkpoint_yet_is_a_sentence(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    assert said(run) == f"{run / 'checkpoints'} has no checkpoint yet"


def test_weights_of_another_model_are_a_sentence(run: Path) -> None:
    text = (run / "config.yml").read_text()
    (run / "config.yml").write_text(text.replace("bidirectional: true", "bidirectional: false"))
    assert said(run) == (
        f"{run} can't be loaded: the checkpoint holds another model: decoder.attention.key.weight is 16x32 there and "
        "16x16 here"
    )


def test_the_api_is_as_short_as_the_command(trained: Path) -> None:
    translator = seqloom.load(trained, checkpoint="last", device="cpu")
    translations = translator.translate(["a b c", "", "  ", "j i"])
    assert [translation.source for translation in translations] == ["a b c", "", "  ", "j i"]
    assert [bool(translation.alternatives) for translation in translations] == [True, False, False, True]
    assert (translations[1].text, translations[1].score) == ("", 0.0)
    for alone in (translations[0], translations[3]):
        assert translator.translate([alone.source])[0].text == alone.text
    wide = seqloom.SearchOptions(beam_size=4, n_best=3)
    (translation,) = translator.translate(["a b c"], wide, attention=True)
    scores = [alternative.score for alternative in translation.alternatives]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    for alternative in translation.alternatives:
        assert alternative.attention is not None
        assert alternative.attention.shape == (1, 1, len(alternative.tokens) + 1, 4)


def test_the_package_offers_what_it_names_and_loads_torch_only_then() -> None:
    code = (
        "import sys, seqloom; assert 'torch' not in sys.modules; seqloom.load; assert 'torch' not in sys.modules; "
        "seqloom.Config; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(getattr(seqloom, name).__name__ == name for name in seqloom.__all__)
    with pytest.raises(AttributeError, match="^module 'seqloom' has no attribute 'lode'$"):
        seqloom.lode  # noqa: B018
