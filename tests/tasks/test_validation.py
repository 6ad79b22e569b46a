"""What a validation measures is the user's choice; what it finds under the reference's own prefix has another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqloom.config import build, describe, dump, read_text
from seqloom.config.root import Config, read_config
from seqloom.data.batches import Position, collate
from seqloom.errors import UsageError
from seqloom.metrics import Bleu, Rouge
from seqloom.registry import ConfigError
from seqloom.runs import train
from seqloom.tasks import TranslationTask
from seqloom.tasks.forced import forced_texts
from seqloom.vocabulary import EOS

TWO = "task={class: translation, metrics: [{class: Rouge, kind: '1'}, {class: Bleu, tokenize: none, smooth: none}]}"


def prepared(toy: Path, directory: Path, *changes: str) -> tuple[TranslationTask, Any]:
    """The task, and a model with fresh weights."""
    config = read_config(toy / "toy.yml", changes)
    task = config.make_task()
    assert isinstance(task, TranslationTask)
    task.prepare(directory)
    torch.manual_seed(0)
    return task, task.build(config.model).eval()


def test_the_metrics_are_those_of_the_file(toy: Path, tmp_path: Path) -> None:
    task, model = prepared(toy, tmp_path, TWO, "task.examples=20")
    evaluation = task.evaluate(model)
    assert tuple(evaluation.values) == task.measures == ("loss", "perplexity", "rouge_1_f", "bleu")
    _, hypotheses, references = map(list, zip(*evaluation.examples, strict=True))
    assert evaluation.values["rouge_1_f"] == Rouge(kind="1").score(hypotheses, references).value > 0
    assert evaluation.signatures["bleu"] == Bleu(tokenize="none", smooth="none").signature(bootstrap=0, seed=0)


def test_a_metric_says_whether_less_is_better(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = read_config(toy / "toy.yml", ["train.steps=2", "train.validate_every=1"])
    progress = {}
    for higher in (True, False):
        found = iter([3.0, 2.0])
        monkeypatch.setattr(Bleu, "higher_is_better", higher)
        monkeypatch.setattr(Bleu, "value", lambda self, sums, found=found: next(found))
        progress[higher] = train(config, tmp_path / str(higher))
    assert (progress[True].best, progress[True].best_step) == (3, 1)
    assert (progress[False].best, progress[False].best_step) == (2, 2)


@pytest.mark.parametrize("changes", [(), (TWO,)])
def test_a_run_s_file_says_which_they_are(toy: Path, changes: tuple[str, ...]) -> None:
    config = read_config(toy / "toy.yml", changes)
    text = dump(describe(config))
    assert ("class: Chrf" in text) == (not changes)
    assert build(Config, read_text(text)) == config


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ("[Bleu, {class: Bleu, smooth: none}]", "two of its measures are called 'bleu': each needs a name of its own"),
        ("[{class: Bleu, tokenize: spm}]", None),
    ],
)
def test_metrics_that_cannot_be_meant_are_a_sentence(toy: Path, metrics: str, sentence: str | None) -> None:
    change = f"task={{class: translation, metrics: {metrics}}}"
    with pytest.raises(ConfigError) as said:
        read_config(toy / "toy.yml", [change]).make_task()
    if sentence:
        assert str(said.value) == f"{change[:57]}... (command line): task: {sentence}"
    else:
        assert ": task.metrics.0.tokenize: expected one of 13a, intl, char, zh, " in str(said.value)


def test_a_kind_may_be_a_number_or_a_word(toy: Path) -> None:
    def change(kind: str) -> str:
        return f"task={{class: translation, metrics: [{{class: Rouge, kind: {kind}}}]}}"

    tasks = [read_config(toy / "toy.yml", [change(kind)]).make_task() for kind in ("2", "'2'")]
    assert [task.measures[-1] for task in tasks] == ["rouge_2_f", "rouge_2_f"]
    with pytest.raises(ConfigError) as said:
        read_config(toy / "toy.yml", [change("3")])
    assert str(said.value).endswith(": task.metrics.0.kind: expected one of 1, 2, l, got 3")


def test_teacher_forced_numbers_have_their_own_names(toy: Path, tmp_path: Path) -> None:
    plain, model = prepared(toy, tmp_path, TWO)
    forced, _ = prepared(toy, tmp_path, TWO, "task.teacher_forced=true")
    without, found = plain.evaluate(model), forced.evaluate(model)
    added = dict(found.values.items() - without.values.items())
    assert set(added) == {"teacher_forced.rouge_1_f", "teacher_forced.bleu"}
    assert plain.measures == forced.measures == tuple(without.values)
    pairs = list(forced.files.valid_pairs())
    texts = forced_texts(model, forced.tokenizers, pairs, max_length=(256, 256), tokens=128)
    assert added["teacher_forced.rouge_1_f"] == Rouge(kind="1").score(texts, [target for _, target in pairs]).value


def test_what_is_forced_is_the_likeliest_token_at_each_place_alone(toy: Path, tmp_path: Path) -> None:
    task, model = prepared(toy, tmp_path)
    pairs = [*task.files.valid_pairs(), ("a", "b " * 30), ("a " * 30, "b")]
    limits = (7, 9)
    expected = []
    for texts in pairs:
        sides = zip((task.tokenizers.source, task.tokenizers.target), texts, limits, strict=True)
        source, target = (np.array(side.encode([text])[0][:most]) for side, text, most in sides)
        logits = model.decoder.project(model(collate([(source, target)])).features)[0]
        ids = logits.argmax(-1).tolist()
        assert len(ids) == len(target) + 1
        expected.append(task.tokenizers.target.decode(ids[: (*ids, EOS).index(EOS)]))
    assert len(set(expected)) > 1
    for tokens in (1, 40, 10_000):
        assert forced_texts(model, task.tokenizers, pairs, max_length=limits, tokens=tokens) == expected
    assert forced_texts(model, task.tokenizers, [], max_length=limits, tokens=9) == []


def test_they_never_decide_what_is_best(toy: Path, tmp_path: Path) -> None:
    changes = ["task={class: translation, teacher_forced: true}", "train.keep_best=teacher_forced.bleu"]
    with pytest.raises(UsageError) as said:
        train(read_config(toy / "toy.yml", changes), tmp_path / "run")
    assert str(said.value) == (
        "train.keep_best: validation has no 'teacher_forced.bleu'; known: bleu, chrf, exact, loss, perplexity"
    )
    assert not (tmp_path / "run").exists()


def test_references_lose_the_marks_that_decoding_takes_away(tmp_path: Path) -> None:
    words = ["low", "lo@@ w", "new@@ est", "the"]
    for side in ("source", "target"):
        lines = [f"{one} {other}\n" for one in words for other in words]
        (tmp_path / f"train.{side}").write_text("".join(lines))
    corpus = "{source: train.source, target: train.target}"
    (tmp_path / "toy.yml").write_text(
        f"data: {{train: {corpus}, valid: {corpus}}}\n"
        "tokenizer: {class: Words, segmentation: bpe}\n"
        "model: {class: EncoderDecoder, encoder: {class: RNNEncoder, size: 8}, decoder: {class: RNNDecoder, size: 8}}\n"
    )
    task, model = prepared(tmp_path, tmp_path / "run", "task={class: translation, examples: 99, teacher_forced: true}")
    sources, hypotheses, references = zip(*task.evaluate(model).examples, strict=True)
    assert references[:6] == ("low low", "low low", "low newest", "low the", "low low", "low low")
    assert not any("@@" in text for text in (*hypotheses, *references))
    assert any("@@" in text for text in sources), "what was read stays as it was"


def test_a_vocabulary_from_a_file_trains_and_is_needed_no_more(toy: Path, tmp_path: Path) -> None:
    listed = tmp_path / "vocabulary"
    listed.write_text("".join(f"{letter}\t{9 - i}\n" for i, letter in enumerate("abcdefghij")))
    change = f"tokenizer={{class: VocabularyFile, path: {listed}}}"
    task, model = prepared(toy, tmp_path, change)
    assert task.symbols() == (13, 13)
    values = task.evaluate(model).values
    listed.unlink()
    again, model = prepared(toy, tmp_path, change)
    assert again.evaluate(model).values == values


def test_batches_of_sentences_come_from_the_configuration(toy: Path, tmp_path: Path) -> None:
    task, _ = prepared(toy, tmp_path, "train.batch_sentences=32")
    batches = task.batches(Position())
    sizes = sorted(len(next(batches)[0].source.ids) for _ in range(7))
    assert sizes == [8, 32, 32, 32, 32, 32, 32]


def test_cut_pairs_are_trained_on(toy: Path, tmp_path: Path) -> None:
    task, _ = prepared(toy, tmp_path, "data.max_length=[4, 3]", "data.too_long=cut")
    assert task.training.pairs == 200
    assert task.training.tokens[1] <= 3 * 200 < task.training.tokens[0] <= 4 * 200
