"""Ensembles and averages of every encoder and every decoder there is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.attention import AdditiveAttention
from seqloom.averaging import mean_of
from seqloom.checkpoint import Checkpoint
from seqloom.decoders import Decoder, RNNDecoder
from seqloom.layers.embedding import Embedding
from seqloom.models.base import Model
from seqloom.models.ensemble import EncodedByEach, Ensemble, EnsembleDecoder
from seqloom.search import SearchOptions, beam_search
from seqloom.structures import Encoded, Sequences
from seqloom.train import load_model, model_tensors

SourceOf = Callable[..., Encoded]
TOKENS = torch.tensor([[1, 4, 2, 5, 3], [1, 3, 3, 5, 0]])


def other(module: nn.Module) -> nn.Module:
    """The module with other weights."""
    numbers = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=numbers, dtype=parameter.dtype), alpha=0.3)
    return module


def by_each(source: Encoded, count: int) -> EncodedByEach:
    return EncodedByEach(source.keys, source.values, source.mask, source.summary, members=(source,) * count)


@torch.no_grad()
def said(decoder: Decoder, source: Encoded, tokens: Tensor = TOKENS) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities and attention, after the tokens went in by two pieces and the rows were exchanged between."""
    first, state = decoder(tokens[:, :2], decoder.start(source), weights=True)
    rest, _ = decoder(tokens.flip(0)[:, 2:], state.select(torch.tensor([1, 0])), weights=True)
    features = torch.cat([first.features, rest.features.flip(0)], 1)
    shown = first.attention
    if shown is not None:
        shown = torch.cat([shown, rest.attention.flip(0)], 3)
    return decoder.project(features).float().log_softmax(-1), shown


def test_decoders_together_say_the_mean_of_what_they_say(decoder_case: Any, source: SourceOf) -> None:
    members = [decoder_case.build(), other(decoder_case.build())]
    together = EnsembleDecoder(members).eval()
    found, shown = said(together, by_each(source(), 2))
    each = [said(member, source()) for member in members]
    wanted = (each[0][0].exp() + each[1][0].exp()) / 2
    assert_close(found.exp(), wanted)
    assert (shown is None) == (each[0][1] is None)
    if shown is not None:
        assert_close(shown, torch.cat([one[1] for one in each], 1))
    whole, _ = together(TOKENS, together.start(by_each(source(), 2)))
    assert_close(whole.features, found)


class Plain(Model):
    """An encoder under a decoder that attends."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        torch.manual_seed(1)
        self.encoder, attention = encoder, partial(AdditiveAttention, size=8)
        self.decoder = RNNDecoder(embedding=Embedding(6, 8), widths=encoder.widths, size=8, attention=attention)
        self.double().eval()

    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        return self.encoder(source, weights=weights)

    def labels(self, tokens: Any) -> list[str]:
        return self.encoder.labels(tokens)


def found(model: Model, source: Sequences) -> list[Any]:
    ranked = beam_search(
        model.decoder, model.encode(source), SearchOptions(beam_size=3, n_best=2, max_length=5), attention=True
    )
    return [
        (one.tokens, pytest.approx(one.score, abs=1e-5), one.attention.mean((0, 1))) for own in ranked for one in own
    ]


def test_any_encoder_alone_or_with_itself_is_itself(encoder_case: Any, sentences: Sequences) -> None:
    model = Plain(encoder_case.build())
    wanted = found(model, sentences)
    for count in (1, 2):
        together = found(Ensemble([model] * count), sentences)
        assert [one[:2] for one in together] == [one[:2] for one in wanted]
        assert_close([one[2] for one in together], [one[2] for one in wanted])


def checkpoint(module: nn.Module, step: int) -> Checkpoint:
    return Checkpoint(step, model_tensors(module), {}, {"progress": {}})


def check_mean(case: Any) -> None:
    """The mean of weights with themselves are these to the bit, and the mean of others goes back into the model."""
    module = case.build().float()
    alone = mean_of([checkpoint(module, step) for step in (1, 2, 3)]).model
    assert all(torch.equal(alone[name], tensor) for name, tensor in model_tensors(module).items())
    before = {name: tensor.clone() for name, tensor in model_tensors(module).items()}
    mean = mean_of([Checkpoint(1, before, {}, {"progress": {}}), checkpoint(other(module), 2)]).model
    load_model(module, mean)
    assert model_tensors(module).keys() == mean.keys() == before.keys()
    for name, tensor in module.named_parameters():
        assert tensor.shape == mean[name].shape and not torch.equal(mean[name], before[name])


def test_any_decoder_has_a_mean(decoder_case: Any) -> None:
    check_mean(decoder_case)


def test_any_encoder_has_a_mean(encoder_case: Any) -> None:
    check_mean(encoder_case)
