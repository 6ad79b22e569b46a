"""A Transformer's options from a YAML file: they are built, trained, resumed, and refused in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from seqloom.config import build, read_text
from seqloom.config.root import Config, read_config
from seqloom.engines.native import NativeEngine
from seqloom.errors import UsageError
from seqloom.models import VocabularySizes
from seqloom.registry import ConfigError
from seqloom.runs import load, train
from seqloom.structures import Sequences
from seqloom.vocabulary import EOS

SMALL = "layers: 2, heads: 4, dropout: 0.1"
FEEDFORWARD = "feedforward: {class: PositionWise, inner_size: 12, activation: swiglu}"
MODERN = f"{SMALL}, positions: rotary, normalization: rms, key_value_heads: 2, {FEEDFORWARD}, layer_drop: 0.5"
SIZES = VocabularySizes(11, 11, joint=True)
SHORT = ("train.log_every=1", "train.checkpoint_every=3", "train.validate_every=100")


def changed(encoder: str, decoder: str, *changes: str) -> list[str]:
    parts = [f"model.encoder={{class: TransformerEncoder, {encoder}}}", f"model.decoder={{{decoder}}}"]
    return [*parts, *SHORT, *changes]


def trained(toy: Path, changes: Sequence[str], directory: Path, steps: int) -> dict[str, torch.Tensor]:
    train(read_config(toy / "toy.yml", [*changes, f"train.steps={steps}"]), directory)
    engine = load(directory, checkpoint="last").engine
    assert isinstance(engine, NativeEngine)
    return engine.model.state_dict()


def test_a_modern_transformer_learns_and_goes_on_where_it_stopped(toy: Path, tmp_path: Path) -> None:
    """Dropped layers have no gradient in a step: clipping, Adam and a resume must do with that."""
    changes = changed(MODERN, f"class: TransformerDecoder, {MODERN}", "train.schedule={class: Constant}")
    whole = trained(toy, changes, tmp_path / "whole", 6)
    trained(toy, changes, tmp_path / "parts", 3)
    parts = trained(toy, changes, tmp_path / "parts", 6)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("positions", ["sinusoidal", "{class: learned, max_positions: 70}", "none"])
def test_an_ssru_decoder_learns_and_translates(toy: Path, tmp_path: Path, positions: str) -> None:
    options = f"{SMALL}, feedforward: 12, norm: sandwich, positions: {positions}"
    trained(toy, changed(options, f"class: ssru, {options}"), tmp_path / "run", 2)
    assert len(load(tmp_path / "run").translate(["a b c", "d"])) == 2


def test_a_sentence_beyond_learnt_positions_is_refused_in_one_sentence(toy: Path, tmp_path: Path) -> None:
    learned = f"{SMALL}, feedforward: 12, positions: {{class: learned, max_positions: 70}}"
    trained(toy, changed(learned, f"class: TransformerDecoder, {SMALL}"), tmp_path / "run", 2)
    with pytest.raises(UsageError, match="there are positions for 70 tokens, and a sentence of 81 or more came"):
        load(tmp_path / "run").translate(["a " * 80])


@pytest.mark.parametrize(
    ("encoder", "decoder", "sentence"),
    [
        (SMALL, f"class: ssru, {SMALL}, positions: rotary", "an SSRU decoder has no self-attention"),
        (f"{SMALL}, key_value_heads: 3", f"class: TransformerDecoder, {SMALL}", "heads must be a multiple of"),
        ("heads: 16, positions: rotary", f"class: TransformerDecoder, {SMALL}", "a head needs an even size, got 1"),
        (f"{SMALL}, {FEEDFORWARD}, feedforward_dropout: 0.1", f"class: ssru, {SMALL}", "feedforward_dropout is for a"),
        (f"{SMALL}, positions: rotory", f"class: ssru, {SMALL}", "no PositionEncoding is named 'rotory'"),
        (f"{SMALL}, norm: both", f"class: ssru, {SMALL}", "expected one of pre, post, sandwich, got 'both'"),
    ],
)
def test_what_does_not_go_together_is_refused_where_it_stands(
    toy: Path, tmp_path: Path, encoder: str, decoder: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        train(read_config(toy / "toy.yml", changed(encoder, decoder)), tmp_path / "run")
    assert sentence in str(caught.value)
    assert "model.encoder" in str(caught.value) or "model.decoder" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_trained_weights_of_other_toolkits_need_is_built_learns_and_goes_on(toy: Path, tmp_path: Path) -> None:
    other = "norm_epsilon: 1.0e-6, scale_embedding: false, norm: post"
    other += ", positions: {class: sinusoidal, layout: pairs, first: 2, inclusive: true}"
    swish = "feedforward: {class: PositionWise, inner_size: 12, activation: swish}"
    parts = changed(f"{SMALL}, {other}, {swish}", f"class: TransformerDecoder, {SMALL}, {other}, {swish}")
    changes = [*parts, "model.embedding.tie=all", "model.embedding.readout_bias=true", "model.read_end=false"]
    whole = trained(toy, changes, tmp_path / "whole", 6)
    trained(toy, changes, tmp_path / "parts", 3)
    assert all(
        torch.equal(weight, whole[name]) for name, weight in trained(toy, changes, tmp_path / "parts", 6).items()
    )
    assert whole["decoder.readout.bias"].abs().max() > 0


@pytest.mark.parametrize("encoder", ["TransformerEncoder, heads: 4", "RNNEncoder, summary: all, layers: 2"])
def test_an_end_that_is_not_read_changes_nothing(encoder: str) -> None:
    text = f"{{class: EncoderDecoder, encoder: {{class: {encoder}}}, decoder: RNNDecoder, read_end: false}}"
    model = build(Config, read_text("data: {train: {tsv: x}}", [f"model={text}"])).model(vocabulary=SIZES).eval()
    ids = torch.tensor([[5, 6, 7, EOS], [5, 6, EOS, EOS]])
    mask = torch.tensor([[True, True, True, True], [True, True, True, False]])
    without = Sequences(ids, torch.tensor([[True, True, True, False], [True, True, False, False]]))
    encoded, expected = model.encode(Sequences(ids, mask)), model.encoder(without)
    assert torch.equal(encoded.mask, without.mask)
    assert_close(encoded.summary, expected.summary)
    assert_close(encoded.values[without.mask], expected.values[without.mask])
