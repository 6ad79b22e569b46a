"""One model of several languages: a tag says which one is wanted."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from seqloom.config.root import read_config
from seqloom.engines.native import NativeEngine
from seqloom.errors import UsageError
from seqloom.inspect.views import views_of
from seqloom.runs import load, train
from seqloom.translate import Translator

TAGS = ("<2same>", "<2back>")
TOY = """\
data:
  train:
  - {source: train.text, target: train.text, tag: <2same>}
  - {source: train.text, target: train.back, tag: <2back>}
  valid:
  - {source: valid.text, target: valid.text, tag: <2same>}
  - {source: valid.text, target: valid.back, tag: <2back>}
tokenizer: {class: Words, joint: true}
model:
  class: EncoderDecoder
  embedding: {size: 32}
  encoder: {class: RNNEncoder, size: 32}
  decoder: {class: RNNDecoder, size: 32, attention: {class: AdditiveAttention, size: 32}}
train: {steps: 200, batch_tokens: 512, validate_every: 200, precision: float32, device: cpu,
        schedule: {class: Cosine, peak: 0.01, warmup: 30}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learnt to copy and to reverse, and what it was trained on."""
    folder, draw = tmp_path_factory.mktemp("multilingual"), random.Random(1)
    for name, count in (("train", 600), ("valid", 40)):
        lines = [[draw.choice("abcdefgh") for _ in range(draw.randint(2, 5))] for _ in range(count)]
        (folder / f"{name}.text").write_text("".join(f"{' '.join(line)}\n" for line in lines))
        (folder / f"{name}.back").write_text("".join(f"{' '.join(reversed(line))}\n" for line in lines))
    (folder / "toy.yml").write_text(TOY)
    train(read_config(folder / "toy.yml"), folder / "run")
    return folder


@pytest.fixture(scope="module")
def translator(folder: Path) -> Translator:
    return load(folder / "run")


def test_one_model_does_what_the_tag_says(translator: Translator) -> None:
    assert [translator.translate(["a b c d"], tag=tag)[0].text for tag in TAGS] == ["a b c d", "d c b a"]
    assert translator.translate(["<2back> a b c d", "<2same> a b c d"])[0].text == "d c b a", "in the text itself"
    assert [made.text for made in translator.translate(["", " "], tag="<2back>")] == ["", ""]


def test_validation_measures_every_tag(folder: Path) -> None:
    reports = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    (found,) = [report for report in reports if "valid.exact" in report]
    assert [found[f"valid.exact.{tag}"] > 90 for tag in TAGS] == [True, True]
    assert found["valid.exact"] == pytest.approx(sum(found[f"valid.exact.{tag}"] for tag in TAGS) / 2)
    assert [example[0].split()[0] for example in found["examples"]][:2] == list(TAGS), "examples are of each in turn"


def test_pictures_show_the_tag_as_the_first_token(translator: Translator) -> None:
    (view,) = views_of(translator.translate(["a b"], tag="<2back>", attention=True)[0])
    assert view.source == ["<2back>", "a", "b", "</s>"]


def test_a_tag_that_is_not_known_is_a_sentence(translator: Translator) -> None:
    with pytest.raises(UsageError) as said:
        translator.translate(["a"], tag="<2fr>")
    assert str(said.value) == "this model knows no tag '<2fr>'; its tags are <2same>, <2back>"


def test_changed_tags_are_read_anew(folder: Path) -> None:
    (folder / "other.yml").write_text(TOY.replace("<2same>", "<2copy>"))
    config = read_config(folder / "other.yml", ["train.steps=1", "train.validate_every=1"])
    train(config, folder / "other")
    assert load(folder / "other").tokenizers.source.tags == ("<2copy>", "<2back>")
    with pytest.raises(UsageError, match="holds a run with another configuration"):
        train(config, folder / "run")


@pytest.mark.parametrize("tokenizer", ["{class: SentencePiece, size: 30}", "{class: Characters, joint: true}"])
def test_other_tokenizers_keep_tags_whole(folder: Path, tokenizer: str) -> None:
    run = folder / tokenizer.split()[1].strip(",")
    train(read_config(folder / "toy.yml", [f"tokenizer={tokenizer}", "train.steps=1"]), run)
    made = load(run).translate(["a b"], tag="<2back>")[0]
    assert made.source_tokens[0] == "<2back>" and "".join(made.source_tokens[1:]).strip("▁")[0] == "a"


def test_a_joint_vocabulary_never_writes_a_tag(folder: Path) -> None:
    translator = load(folder / "run")
    assert isinstance(translator.engine, NativeEngine)
    bias = dict(translator.engine.model.decoder.readout.named_parameters())["bias"]
    with torch.no_grad():
        bias[translator.tokenizers.target.vocabulary.ids(TAGS)] = 100.0
    text = translator.translate(["a b c"], tag="<2back>")[0].text
    assert text and set(text.split()) <= set("abcdefgh")
