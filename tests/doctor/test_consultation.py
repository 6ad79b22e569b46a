"""A training begins with what there is to warn of and a line of what lies ahead, and soon."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from seqloom.config.root import read_config
from seqloom.doctor import diagnose
from seqloom.errors import SeqloomError
from seqloom.rehearsal import staged
from seqloom.runs import train
from seqloom.train import Trainer

TRANSFORMER = (
    "model={class: EncoderDecoder, embedding: {size: 16}, encoder: {class: TransformerEncoder, layers: 1, heads: 2, "
    "norm: post}, decoder: {class: TransformerDecoder, layers: 1, heads: 2, norm: post}}"
)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is said of the start of a training."""
    caplog.set_level(logging.INFO, "seqloom.doctor")
    return caplog


def test_a_training_that_can_hardly_work_says_so_and_goes_on(toy: Path, tmp_path: Path, heard: Any) -> None:
    config = read_config(toy / "toy.yml", [TRANSFORMER, "train.steps=2", "train.schedule.peak=1e-3"])
    assert train(config, tmp_path / "run").step == 2
    warnings = [record.message for record in heard.records if record.levelno == logging.WARNING]
    assert warnings == [
        "warning: train.schedule: a Transformer with norm: post that starts at its full rate, here 0.001, mostly fails "
        "to learn; set warmup: 1 (or norm: pre)"
    ]
    assert [record.message[:14] for record in heard.records if record.levelno == logging.INFO] == ["2 steps are ab"]


def test_a_sound_training_has_one_line(toy: Path, tmp_path: Path, heard: Any) -> None:
    train(read_config(toy / "toy.yml", ["train.steps=2"]), tmp_path / "run")
    assert [record.levelname for record in heard.records] == ["INFO"]


def test_it_can_be_switched_off(toy: Path, tmp_path: Path, heard: Any) -> None:
    train(read_config(toy / "toy.yml", [TRANSFORMER, "train.steps=2", "train.doctor=false"]), tmp_path / "run")
    assert heard.records == []


def test_what_can_not_work_ends_a_training_before_it_begins(toy: Path, tmp_path: Path) -> None:
    short = "{class: TransformerEncoder, layers: 1, heads: 2, positions: {class: LearnedPositions, max_positions: 4}}"
    with pytest.raises(SeqloomError) as caught:
        train(read_config(toy / "toy.yml", [f"model.encoder={short}"]), tmp_path / "run")
    assert str(caught.value) == (
        "model: the sources of training have up to 9 tokens and the model has positions for 4; set max_positions to 9 "
        "or more, or data.max_length to 3"
    )
    assert not (tmp_path / "run").exists()


def test_a_run_with_nothing_left_to_do_says_so(toy: Path, tmp_path: Path, heard: Any) -> None:
    config = read_config(toy / "toy.yml", ["train.steps=4"])
    train(config, tmp_path / "run")
    heard.clear()
    assert train(config, tmp_path / "run").step == 4
    assert [record.message for record in heard.records] == [
        "warning: nothing to do: the run stands at step 4 and train.steps is 4, counted from the run's beginning; "
        "train.steps=8 would train as long again"
    ]


def test_no_step_is_tried_at_the_start(toy: Path, tmp_path: Path) -> None:
    steps = list[str]()

    def hear(trainer: Trainer, metrics: Any) -> None:
        steps.append(metrics.get("event", ""))

    train(read_config(toy / "toy.yml", ["train.steps=1"]), tmp_path / "run", hooks=[hear])
    assert steps.count("stepped") == 1 and steps[0] == "started"


def test_other_data_than_those_a_run_learnt_its_symbols_from_are_noticed(toy: Path, tmp_path: Path, heard: Any) -> None:
    """OpenNMT-py#2139: a model that is given text prepared in another way sees nothing but unknown symbols."""
    folder = Path(shutil.copytree(toy, tmp_path / "toy"))
    train(read_config(folder / "toy.yml", ["train.steps=2"]), tmp_path / "run")
    for name in ("train", "valid"):
        for side in ("source", "target"):
            path = folder / f"{name}.{side}"
            path.write_text(path.read_text().replace(" ", ""))
    heard.clear()
    train(read_config(folder / "toy.yml", ["train.steps=3"]), tmp_path / "run")
    said = [record.message for record in heard.records if record.levelno == logging.WARNING]
    assert said == [
        f"warning: data.train: 100 % of the {side} tokens are unknown to the tokenizer; a larger vocabulary, or "
        "subwords (tokenizer: SentencePiece), would leave fewer"
        for side in ("source", "target")
    ]


@pytest.mark.data("mt/multi30k")
def test_on_multi30k_it_is_quick_and_has_nothing_to_say(seqloom_data: Path, tmp_path: Path) -> None:
    """29,000 pairs, once they are prepared: less than 2 s of one core at the start of a training."""
    recipe = Path(__file__).resolve().parents[2] / "recipes" / "multi30k-transformer.yml"
    changes = [
        f"data.train.{side}={seqloom_data}/mt/multi30k/train.{name}.xz"
        for side, name in (("source", "en"), ("target", "de"))
    ]
    small = "model={class: EncoderDecoder, encoder: RNNEncoder, decoder: RNNDecoder}"
    config = read_config(
        recipe, [*changes, small, "tokenizer.size=1000", "train.schedule={class: Constant, peak: 1e-3}"]
    )
    with staged(config) as trainer:
        from seqloom.doctor import examine

        before = time.process_time()
        found = examine(config, trainer.task)
        assert time.process_time() - before < 2
    assert [finding for finding in found if finding.severity != "note"] == []


def test_a_diagnosis_has_a_line_a_thing(toy: Path, tmp_path: Path) -> None:
    found = list(diagnose(read_config(toy / "toy.yml"), tmp_path / "run"))
    assert [finding.text.partition(":")[0] for finding in found] == [
        "data",
        "vocabulary",
        "model",
        "one step",
        "memory",
        "disk",
        "all 30 steps",
    ]
    assert {finding.severity for finding in found} == {"note"}
    assert not (tmp_path / "run").exists()
