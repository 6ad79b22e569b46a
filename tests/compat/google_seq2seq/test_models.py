"""Whole files: the number of weights is theirs, and what is printed reads back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom.compat.google_seq2seq import gather, read_file, translate, written
from seqloom.config import build, read_text
from seqloom.config.root import Config
from seqloom.decoders import InputFeedingDecoder
from seqloom.encoders import RNNEncoder
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.registry import ConfigError

RECIPES = Path(__file__).parents[3] / "recipes" / "google-seq2seq"
# Trainable weights of their program, with TensorFlow's cells, for 20 symbols and 3 special ones on both sides.
GOLDEN = {
    "basic": 337_815,
    "nmt_small": 501_911,
    "nmt_medium": 2_381_079,
    "nmt_large": 20_501_015,
    "nmt_conv": 22_861_079,
    "nmt_conv_small": 666_263,
}
THE_FILE = """\
```model: BasicSeq2Seq
model_params:
  bridge.class: seq2seq.models.bridges.InitialStateBridge
  embedding.dim: 128
  encoder.class: seq2seq.encoders.BidirectionalRNNEncoder
  encoder.params:
    rnn_cell:
      cell_class: GRUCell
      cell_params:
        num_units: 128
      dropout_input_keep_prob: 0.8
      dropout_output_keep_prob: 1.0
      num_layers: 1
  decoder.class: seq2seq.decoders.BasicDecoder
  decoder.params:
    rnn_cell:
      cell_class: GRUCell
      cell_params:
        num_units: 128
      dropout_input_keep_prob: 0.8
      dropout_output_keep_prob: 1.0
      num_layers: 1
  optimizer.name: Adam
  optimizer.params:
    epsilon: 0.0000008
  optimizer.learning_rate: 0.0001
  source.max_seq_len: 50
  source.reverse: false
  target.max_seq_len: 50```
"""
CELL = {"class": "GRUCell", "reset": "before", "gate_bias": 1.0}
RECURRENT = {
    "cell": CELL,
    "size": 128,
    "layers": 1,
    "dropout": 0.2,
    "output_dropout": 0.0,
    "residual": "none",
    "dense": False,
    "uniform": 0.04,
}


def recipe(name: str) -> str:
    return (RECIPES / f"{name}.yml").read_text("utf8")


def model(tree: Any, *, symbols: int = 23, joint: bool = False) -> EncoderDecoder:
    built = build(Config, tree).model(vocabulary=VocabularySizes(symbols, symbols, joint=joint))
    assert isinstance(built, EncoderDecoder)
    return built


@pytest.mark.parametrize("name", GOLDEN)
def test_a_model_has_as_many_weights_as_theirs(translation: Any, name: str) -> None:
    with torch.device("meta"):  # which takes neither memory nor time
        weights = model(translation(recipe(name)).tree).parameters()
    assert sum(weight.numel() for weight in weights) == GOLDEN[name]


def test_the_file_of_the_web_page_is_the_recipe(translation: Any) -> None:
    value = translation(THE_FILE).tree.value
    assert value == translation(recipe("basic")).tree.value
    assert value["model"] == {
        "class": "EncoderDecoder",
        "reverse_source": False,
        "embedding": {"size": 128, "tie": "none", "uniform": 0.04},
        "encoder": {"class": "RNNEncoder", "bidirectional": True, "meet": "top", "summary": "all", **RECURRENT},
        "decoder": {
            "class": "InputFeedingDecoder",
            "feed": "context",
            **RECURRENT,
            "attention": None,
            "bridge": {"class": "DenseBridge", "activation": "identity", "of": "summary"},
        },
    }
    assert value["train"] == {
        "steps": 1_000_000,
        "batch_sentences": 16,
        "optimizer": {"class": "Adam", "betas": [0.9, 0.999], "epsilon": 8e-7},
        "schedule": {"class": "Constant", "peak": 1e-4},
        "label_smoothing": 0.0,
        "clip": 5.0,
        "clip_embeddings": 0.1,
        "precision": "float32",
        "validate_every": 1000,
        "checkpoint_every": 1000,
        "checkpoint_seconds": 600,
        "keep_last": 5,
        "keep_best": "bleu",
    }
    assert value["search"] == {
        "beam_size": 1,
        "length_penalty": 0.0,
        "max_length": 100,
        "unknown": "show",
        "max_source_length": 50,
    }
    assert value["data"]["max_length"] == [50, 49] and value["data"]["too_long"] == "cut"


def test_a_model_alone_has_their_defaults(translation: Any) -> None:
    value = translation({"model": "AttentionSeq2Seq"}).tree.value["model"]
    lstm = {"class": "LSTMCell", "forget_bias": 1.0, "peepholes": False}
    own = RECURRENT | {"cell": lstm, "dropout": 0.0}
    assert value["reverse_source"] is True
    assert value["embedding"]["size"] == 100
    assert value["encoder"] == {"class": "RNNEncoder", "bidirectional": True, "meet": "top", "summary": "all", **own}
    assert value["decoder"] == {
        "class": "InputFeedingDecoder",
        "feed": "context",
        **own,
        "attention": {"class": "AdditiveAttention", "size": 128, "key_bias": True},
        "bridge": {"class": "ZeroBridge"},
    }
    basic = translation({"model": "BasicSeq2Seq"}).tree.value["model"]
    assert basic["encoder"]["bidirectional"] is False


def test_every_recipe_reads_back_from_what_is_printed(translation: Any) -> None:
    extra = [path.stem for path in RECIPES.glob("*.yml") if path.stem not in GOLDEN]
    for name in GOLDEN:
        result = translation(recipe(name), *map(recipe, extra))
        printed = written(result, ["a.yml"])
        assert read_text(printed).value == result.tree.value
        assert "# their default" in printed
    assert sorted(extra) == ["text_metrics_bpe", "text_metrics_sp", "train_seq2seq", "train_seq2seq_delay_start"]


def test_where_no_text_was_named_its_place_is_marked() -> None:
    options, _ = gather([read_file(recipe("basic"), "basic.yml")], {})
    result = translate(options)
    assert not result.has_text
    printed = written(result, ["basic.yml"])
    assert printed.startswith(
        "# basic.yml of google/seq2seq, translated by seqloom convert.\n"
        "# Relative paths start from the directory of this file.\n"
    )
    assert "  train: # put your own files here, or give --train-source and --train-target\n" in printed
    build(Config, read_text(printed))


def test_every_line_of_a_recipe_is_at_its_line_in_messages(translation: Any) -> None:
    result = translation(THE_FILE)
    assert result.tree.where(("model", "decoder", "size")) == "1.yml:19:20"
    assert result.tree.where(("train", "optimizer", "epsilon")) == "1.yml:25:14"


def test_a_mistake_that_only_we_see_has_the_line_of_theirs(translation: Any) -> None:
    with pytest.raises(ConfigError) as error:
        build(Config, translation("model: BasicSeq2Seq\nmodel_params: {embedding.dim: 0}").tree)
    assert str(error.value) == "1.yml:2:31: model.embedding.size: expected at least 1, got 0"


@pytest.mark.parametrize(
    "encoder", ["UnidirectionalRNNEncoder", "BidirectionalRNNEncoder", "StackBidirectionalRNNEncoder"]
)
@pytest.mark.parametrize("combiner", ["none", "add", "concat", "mean"])
@pytest.mark.parametrize("cell", ["BasicRNNCell", "GRUCell", "LSTMCell", "LayerNormBasicLSTMCell"])
def test_all_cells_under_all_encoders_are_built(translation: Any, encoder: str, combiner: str, cell: str) -> None:
    block = {"cell_class": cell, "cell_params": {"num_units": 6}, "num_layers": 2}
    if combiner != "none":
        block |= {"residual_connections": True, "residual_combiner": combiner, "residual_dense": True}
    params = {"encoder.class": encoder, "encoder.params": {"rnn_cell": block}, "decoder.params": {"rnn_cell": block}}
    built = model(translation({"model": "AttentionSeq2Seq", "model_params": {"embedding.dim": 5, **params}}).tree)
    assert isinstance(built.encoder, RNNEncoder) and isinstance(built.decoder, InputFeedingDecoder)


def test_decays_are_theirs(translation: Any) -> None:
    def rate(done: int, **params: Any) -> float:
        """The rate of the step that comes after so many, which is how they counted."""
        named = {f"optimizer.{key}": value for key, value in params.items()}
        tree = translation({"model": "BasicSeq2Seq", "model_params": named}).tree
        return build(Config, tree).train.schedule().rate(done + 1, 1000)

    common = {"learning_rate": 0.5, "lr_decay_steps": 10, "lr_decay_rate": 0.25}
    assert rate(25, **common, lr_decay_type="exponential_decay") == pytest.approx(0.5 * 0.25**2.5)
    assert rate(25, **common, lr_decay_type="exponential_decay", lr_staircase=True) == pytest.approx(0.5 * 0.25**2)
    assert rate(25, **common, lr_decay_type="natural_exp_decay") == pytest.approx(0.5 * math.exp(-0.25 * 2.5))
    assert rate(25, **common, lr_decay_type="inverse_time_decay") == pytest.approx(0.5 / (1 + 0.25 * 2.5))
    later = common | {"lr_start_decay_at": 20, "lr_stop_decay_at": 40}
    assert rate(20, **later, lr_decay_type="exponential_decay") == 0.5
    assert rate(21, **later, lr_decay_type="exponential_decay") == pytest.approx(0.5 * 0.25**0.1)
    assert rate(90, **later, lr_decay_type="exponential_decay") == pytest.approx(0.5 * 0.25**2)
    assert rate(90, **common, lr_decay_type="exponential_decay", lr_min_learning_rate=0.1) == 0.1


def test_where_the_decoder_s_length_is_said(translation: Any) -> None:
    def length(**params: Any) -> int:
        named = {key.replace("__", "."): value for key, value in params.items()}
        search = translation({"model": "BasicSeq2Seq", "model_params": named}).tree.value["search"]
        return search["max_length"]  # type: ignore[no-any-return]

    assert length() == 100
    assert length(decoder__params={"max_decode_length": 7}) == 7
    assert length(inference__max_decode_length=8) == 8
    assert length(inference={"max_decode_length": 8}, decoder__params={"max_decode_length": 7}) == 7
    assert length(decoder={"params": {"max_decode_length": 6}}) == 6


def test_an_image_s_model(translation: Any) -> None:
    params = {"encoder.params": {"resize_height": 64, "resize_width": 32}, "vocab_target": "words"}
    value = translation({"model": "Image2Seq", "model_params": params}).tree.value
    assert value["model"]["encoder"] == {"class": "ImageEncoder", "height": 64, "width": 32, "channels": [32, 64]}
    assert value["tokenizer"]["source"] == {"class": "Pixels", "height": 64, "width": 32}
    assert value["tokenizer"]["target"]["class"] == "VocabularyFile"
    tree = translation({"model": "Image2Seq", "model_params": params}).tree
    assert build(Config, tree).model(vocabulary=VocabularySizes(259, 23, joint=False)).encoder.widths.keys == 64
    whole = translation({"model": "Image2Seq"}).tree.value["model"]["encoder"]
    assert whole == {"class": "ImageEncoder", "height": 299, "width": 299, "channels": [32, 64, 128, 256, 512]}
