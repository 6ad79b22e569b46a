"""The translation task: whose loss it is, which texts it learns from, and what its validation measures."""

from __future__ import annotations

import math
import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom.config.root import read_config
from seqloom.data.batches import Position
from seqloom.engines.native import NativeEngine
from seqloom.metrics import Bleu, ExactMatch
from seqloom.tasks import TranslationTask
from seqloom.tasks.translation import teacher_forced
from seqloom.translate import Translator


def prepared(toy: Path, directory: Path, *changes: str) -> TranslationTask:
    task = read_config(toy / "toy.yml", changes).make_task()
    assert isinstance(task, TranslationTask)
    task.prepare(directory)
    return task


def model_of(toy: Path, task: TranslationTask, *changes: str) -> Any:
    torch.manual_seed(0)
    return task.build(read_config(toy / "toy.yml", changes).model).eval()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_every_real_token(toy: Path, tmp_path: Path, smoothing: float) -> None:
    task = prepared(toy, tmp_path)
    model = model_of(toy, task)
    batch, _ = next(task.batches(Position()))
    found = teacher_forced(model, batch, label_smoothing=smoothing)
    logits = model.decoder.project(model(batch).features)
    wanted = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1),
        batch.target.ids.where(batch.target.mask, -100)[:, 1:].flatten(),
        reduction="sum",
        label_smoothing=smoothing,
    )
    torch.testing.assert_close(found.total, wanted, rtol=1e-4, atol=1e-3)
    assert found.count == int(batch.target.mask[:, 1:].sum())


def test_the_setting_s_smoothing_is_for_training_only(toy: Path, tmp_path: Path) -> None:
    smooth, plain = (prepared(toy, tmp_path, f"train.label_smoothing={e}") for e in (0.2, 0.0))
    model = model_of(toy, plain)
    batch, _ = next(plain.batches(Position()))
    assert smooth.loss(model, batch).total != plain.loss(model, batch).total
    assert smooth.evaluate(model).values == plain.evaluate(model).values


def test_validation_measures_what_the_translator_writes(toy: Path, tmp_path: Path) -> None:
    task = prepared(toy, tmp_path)
    model = model_of(toy, task)
    evaluation = task.evaluate(model)
    sources, references = ((toy / f"valid.{side}").read_text().splitlines() for side in ("source", "target"))
    hypotheses = [
        t.text for t in Translator(NativeEngine(model), task.tokenizers, task.valid_search).translate(sources)
    ]
    assert evaluation.values["bleu"] == Bleu().score(hypotheses, references).value
    assert evaluation.values["exact"] == ExactMatch().score(hypotheses, references).value
    assert evaluation.signatures["bleu"] == Bleu().signature(bootstrap=0, seed=0)
    assert evaluation.examples == list(zip(sources, hypotheses, references, strict=True))[:3]
    assert evaluation.values["perplexity"] == pytest.approx(math.exp(evaluation.values["loss"]))


def test_validation_stops_at_the_most(toy: Path, tmp_path: Path) -> None:
    task = prepared(toy, tmp_path, "task={class: translation, valid_most: 2, examples: 9}")
    assert len(task.evaluate(model_of(toy, task)).examples) == 2


def test_one_tokenizer_or_one_a_side(toy: Path, tmp_path: Path) -> None:
    joint = prepared(toy, tmp_path / "joint").tokenizers
    assert joint.source is joint.target
    two = prepared(toy, tmp_path / "two", "tokenizer.joint=false").tokenizers
    assert two.source is not two.target
    pair = "tokenizer={source: {class: Characters}, target: {class: Words}}"
    mixed = prepared(toy, tmp_path / "pair", pair).tokenizers
    assert [type(mixed.source).__name__, type(mixed.target).__name__] == ["Characters", "Words"]
    assert prepared(toy, tmp_path / "pair", pair).symbols() == (14, 13), "a space is a character"


def test_the_tokenizers_of_a_run_stay_its_own(toy: Path, tmp_path: Path) -> None:
    """Even when the data have changed, because its weights speak of these symbols."""
    first = prepared(toy, tmp_path).tokenizers.source
    other = tmp_path / "other.text"
    other.write_text("x y z\n" * 200)
    again = prepared(toy, tmp_path, f"data.train.source={other}").tokenizers.source
    assert again.vocabulary.symbols == first.vocabulary.symbols


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    draw = random.Random(2)
    lines = [" ".join(draw.choices("abcdefgh", k=5)) for _ in range(1500)]
    for side in ("source", "target"):
        (tmp_path / f"train.{side}").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "toy.yml").write_text(
        "data: {train: {source: train.source, target: train.target}}\n"
        "tokenizer: Words\n"
        "model: {class: EncoderDecoder, encoder: RNNEncoder, decoder: RNNDecoder}\n"
        "train: {batch_tokens: 600}\n"
    )
    task = prepared(tmp_path, tmp_path / "run")
    held_out = {source for source, _ in task.files.valid_pairs()}
    assert 30 < len(held_out) < 150, "about one in twenty"
    one_epoch = islice(task.batches(Position()), len(task.training.plan(0).order))
    decode = task.tokenizers.source.decode
    trained_on = {decode(row) for batch, _ in one_epoch for row in batch.source.ids.tolist()}
    assert trained_on | held_out == set(lines)
    assert not trained_on & held_out
