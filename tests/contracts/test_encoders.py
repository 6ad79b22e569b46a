"""What every encoder promises, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from seqloom.encoders import Encoder
from seqloom.structures import Encoded, Sequences

ROWS = torch.tensor([2, 0, 0, 1])


def assert_same(one: Encoded, other: Encoded) -> None:
    """Two results agree in all that may be looked at, the penalty too: of the same sentences."""
    assert_same_sentences(one, other)
    assert_close(torch.as_tensor(one.penalty), torch.as_tensor(other.penalty))


def assert_same_sentences(one: Encoded, other: Encoded) -> None:
    """Two results agree in all that is known of each sentence: real positions, summary and mask."""
    assert torch.equal(one.mask, other.mask)
    real = one.mask
    assert_close(one.keys[real], other.keys[real])
    assert_close(one.values[real], other.values[real])
    assert_close(one.summary, other.summary)


def positions(encoder: Encoder, length: int) -> int:
    """How many positions a source of so many tokens has."""
    return len(encoder.labels(["token"] * length))


def cut(result: Encoded, length: int) -> Encoded:
    """The first positions only."""
    keys, values, mask = (x[:, :length] for x in (result.keys, result.values, result.mask))
    return Encoded(keys, values, mask, result.summary, None, result.penalty)


def test_shapes_are_those_that_the_encoder_announces(encoder: Encoder, sentences: Sequences) -> None:
    result, S = encoder(sentences), positions(encoder, 5)
    assert result.keys.shape == (3, S, encoder.widths.keys)
    assert result.values.shape == (3, S, encoder.widths.values)
    assert result.summary.shape == (3, encoder.widths.summary)
    assert result.attention is None


def test_what_has_a_label_is_real(encoder: Encoder, sentences: Sequences) -> None:
    mask = encoder(sentences).mask
    assert mask.sum(1).tolist() == [positions(encoder, length) for length in sentences.lengths().tolist()]
    assert torch.equal(mask, mask.sort(1, descending=True).values)
    assert not encoder.aligned or torch.equal(mask, sentences.mask)


@pytest.mark.parametrize("symbol", [0, 5])
def test_padding_changes_nothing(encoder: Encoder, sentences: Sequences, symbol: int) -> None:
    plain = encoder(sentences)
    other = sentences.ids.where(sentences.mask, torch.tensor(symbol))
    assert_same(encoder(Sequences(other, sentences.mask)), plain)
    wide = Sequences(nn.functional.pad(other, (0, 3), value=symbol), nn.functional.pad(sentences.mask, (0, 3)))
    assert_same(cut(encoder(wide), plain.mask.size(1)), plain)


def test_each_sentence_is_encoded_as_if_alone(encoder: Encoder, sentences: Sequences) -> None:
    together = encoder(sentences)
    for row, length in enumerate(sentences.lengths().tolist()):
        here = torch.tensor([row])
        alone = Sequences(sentences.ids[here, :length], sentences.mask[here, :length])
        assert_same_sentences(encoder(alone), cut(together.select(here), positions(encoder, length)))


def test_rows_can_be_selected_before_or_after(encoder: Encoder, sentences: Sequences) -> None:
    assert_same_sentences(encoder(sentences.select(ROWS)), encoder(sentences).select(ROWS))


def test_every_real_token_matters_to_the_summary(encoder: Encoder, sentences: Sequences) -> None:
    before = encoder(sentences).summary
    for place in range(5):
        other = sentences.ids.clone()
        other[:, place] = (other[:, place] + 1) % 6
        changed = (encoder(Sequences(other, sentences.mask)).summary - before).abs().amax(1) > 1e-9
        assert torch.equal(changed, sentences.mask[:, place])


def test_self_attention_is_a_distribution_over_real_tokens(
    encoder: Encoder, encoder_case: Any, sentences: Sequences
) -> None:
    result = encoder(sentences, weights=True)
    assert_same(result, encoder(sentences))
    assert (result.attention is not None) == encoder_case.attends
    if result.attention is None:
        return
    B, L, H, T, S = result.attention.shape
    assert (B, T, S) == (3, *[positions(encoder, 5)] * 2) and L > 0 and H > 0
    assert result.attention.min() >= 0
    assert_close(result.attention.sum(-1), torch.ones(B, L, H, T, dtype=result.attention.dtype))
    assert result.attention.masked_select(~result.mask[:, None, None, None]).abs().max() == 0


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_written_on_the_module(
    encoder: Encoder, sentences: Sequences, contents: Callable[[nn.Module], dict[str, Any]], training: bool
) -> None:
    encoder.train(training)
    before = contents(encoder)
    for weights in (False, True):
        encoder(sentences, weights=weights)
    assert contents(encoder) == before


def test_every_parameter_is_learnt_from(encoder: Encoder, sentences: Sequences) -> None:
    numbers = torch.Generator().manual_seed(2)
    for training in (False, True):
        result = encoder.train(training)(sentences)
        heard = result.keys[result.mask], result.values[result.mask], result.summary
        said = sum((x * torch.randn(x.shape, generator=numbers, dtype=x.dtype)).sum() for x in heard)
        (said + result.penalty).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-8, name
