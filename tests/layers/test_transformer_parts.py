"""Positions, embeddings, residual connections and the feed-forward network, each against what it says it is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.decoders import TransformerDecoder
from seqloom.encoders import TransformerEncoder
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import PositionWise
from seqloom.layers.positions import sinusoids
from seqloom.layers.transformer import Norm, Normalization, Residual, last_norm
from seqloom.structures import Sequences, Widths

CPU = torch.device("cpu")


@pytest.mark.parametrize("start", [0, 1, 7, 500])
@pytest.mark.parametrize("size", [1, 7, 16])
def test_positions_from_anywhere_are_a_slice_of_all_positions(start: int, size: int) -> None:
    assert torch.equal(sinusoids(start, 12, size, CPU), sinusoids(0, start + 12, size, CPU)[start:])


def test_positions_are_the_papers_formula() -> None:
    vectors, half = sinusoids(3, 5, 16, CPU), 8
    for row, place in enumerate(range(3, 8)):
        for i in range(half):
            angle = place / 10_000 ** (2 * i / 16)
            assert vectors[row, i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert vectors[row, half + i].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_two_positions_are_as_alike_as_they_are_near() -> None:
    """The product of two vectors depends on their distance alone."""
    vectors = sinusoids(0, 100, 32, CPU).double()
    products = vectors @ vectors.T
    for distance in (0, 1, 5, 40):
        diagonal = products.diagonal(distance)
        assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-4)


def test_a_tied_projection_is_the_table_itself() -> None:
    embedding = Embedding(7, 5, tied=True)
    linear = embedding.projection(5)
    assert linear.weight is embedding.table.weight and linear.bias is None


def test_an_untied_projection_has_weights_of_its_own() -> None:
    embedding = Embedding(7, 5)
    linear = embedding.projection(9)
    assert linear.weight.shape == (7, 9) and linear.bias.abs().max() == 0


def test_a_tied_projection_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Embedding(7, 5, tied=True).projection(6)
    assert str(caught.value) == "tied embeddings of size 5 can't project features of size 6"


def rms(x: Tensor, gain: Tensor) -> Tensor:
    """https://arxiv.org/abs/1910.07467, equation 4."""
    return x / x.square().mean(-1, keepdim=True).sqrt() * gain


@pytest.mark.parametrize("normalization", ["layer", "rms"])
@pytest.mark.parametrize("norm", ["pre", "post", "sandwich"])
def test_a_residual_is_its_formula(norm: Norm, normalization: Normalization) -> None:
    torch.manual_seed(0)
    residual = Residual(6, dropout=0.0, norm=norm, normalization=normalization)
    part, x = nn.Linear(6, 6), torch.randn(2, 3, 6)
    for parameter in residual.parameters():
        nn.init.normal_(parameter)
    first, second = residual.norm, residual.second_norm
    wanted = {
        "pre": lambda: x + part(first(x)),
        "post": lambda: first(x + part(x)),
        "sandwich": lambda: x + second(part(first(x))),
    }
    assert_close(residual.leave(x, part(residual.enter(x))), wanted[norm]())
    if normalization == "rms":
        assert_close(first(x), rms(x, first.weight), rtol=0, atol=1e-5)
    else:
        assert isinstance(first, nn.LayerNorm)


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_only_layers_that_end_in_a_norm_have_none_behind_them(kind: Normalization) -> None:
    for norm in ("pre", "post", "sandwich"):
        assert isinstance(last_norm(norm, kind, 4), nn.Identity) == (norm == "post")  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_an_encoder_layer_is_that_of_pytorch(norm: str) -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(Embedding(9, 8), layers=1, heads=2, feedforward=12, dropout=0.0, norm=norm)  # type: ignore[arg-type]
    (ours,) = encoder.layers
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.5)
    theirs = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, norm_first=norm == "pre")
    attention = ours.attention
    pairs = [
        (theirs.self_attn.in_proj_weight, torch.cat([attention.query.weight, attention.key_value.weight])),
        (theirs.self_attn.in_proj_bias, torch.cat([attention.query.bias, attention.key_value.bias])),
    ]
    for there, here in (
        (theirs.self_attn.out_proj, attention.out),
        (theirs.linear1, ours.feedforward.inner),
        (theirs.linear2, ours.feedforward.outer),
        (theirs.norm1, ours.around_attention.norm),
        (theirs.norm2, ours.around_feedforward.norm),
    ):
        pairs += [(there.weight, here.weight), (there.bias, here.bias)]
    for parameter, value in pairs:
        parameter.data = value.detach().clone()
    ours, theirs = ours.double(), theirs.double()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    mask = torch.arange(5)[None] < torch.tensor([5, 2, 4])[:, None]
    got = ours(x, mask, weights=False)[0]
    assert_close(got[mask], theirs(x, src_key_padding_mask=~mask)[mask])


def test_feed_forward_is_its_formula() -> None:
    torch.manual_seed(0)
    layer, x = PositionWise(4, inner_size=9), torch.randn(2, 3, 4)
    hidden = (x @ layer.inner.weight.T + layer.inner.bias).clamp(min=0)
    assert_close(layer(x, None)[0], hidden @ layer.outer.weight.T + layer.outer.bias)


def test_gelu_is_its_formula() -> None:
    torch.manual_seed(0)
    layer, x = PositionWise(4, inner_size=9, activation="gelu").double(), torch.randn(2, 3, 4, dtype=torch.float64)
    hidden = layer.inner(x)
    hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    assert_close(layer(x, None)[0], layer.outer(hidden))


def test_swiglu_is_its_formula() -> None:
    torch.manual_seed(0)
    layer, x = PositionWise(4, inner_size=9, activation="swiglu").double(), torch.randn(2, 3, 4, dtype=torch.float64)
    W, V = layer.inner.weight.T.chunk(2, 1)
    gates = (x @ W) / (1 + torch.exp(-x @ W))
    assert_close(layer(x, None)[0], (gates * (x @ V)) @ layer.outer.weight.T)
    assert [name for name, _ in layer.named_parameters()] == ["inner.weight", "outer.weight"]


def test_a_dropout_that_a_part_would_never_see_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        TransformerEncoder(Embedding(9, 8), heads=2, feedforward=PositionWise, feedforward_dropout=0.1)
    assert str(caught.value) == (
        "feedforward_dropout is for a feedforward that is a number; give the part a dropout instead"
    )


def sentences() -> Sequences:
    return Sequences(torch.tensor([[3, 4, 5], [6, 7, 2]]), torch.ones(2, 3, dtype=torch.bool))


def test_layers_are_dropped_in_training_alone_and_at_their_rate() -> None:
    encoder = TransformerEncoder(Embedding(9, 8), layers=4, heads=2, feedforward=8, dropout=0.0, layer_drop=0.25)
    calls = [0]
    for layer in encoder.layers:
        layer.register_forward_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))
    torch.manual_seed(0)
    for _ in range(200):
        encoder(sentences())
    assert 0.7 < calls[0] / 800 < 0.8
    assert encoder.eval()(sentences(), weights=True).attention.shape[1] == 4


def test_the_same_seed_drops_the_same_layers() -> None:
    encoder = TransformerEncoder(Embedding(9, 8), layers=6, heads=2, feedforward=8, dropout=0.0, layer_drop=0.5)
    seen = []
    for seed in (1, 1, 2, 3, 4):
        torch.manual_seed(seed)
        seen.append(encoder(sentences()).keys)
    assert torch.equal(seen[0], seen[1])
    assert len({float(keys.detach().sum()) for keys in seen}) > 2


def test_without_layer_drop_nothing_is_drawn() -> None:
    encoder = TransformerEncoder(Embedding(9, 8), layers=2, heads=2, feedforward=8, dropout=0.0)
    torch.manual_seed(1)
    encoder(sentences())
    drawn = torch.rand(())
    torch.manual_seed(1)
    assert drawn == torch.rand(())


def test_a_model_without_any_layer_left_still_says_something() -> None:
    torch.manual_seed(0)
    decoder = TransformerDecoder(Embedding(9, 8), Widths(8, 8, 8), layers=2, heads=2, feedforward=8, layer_drop=0.999)
    source = TransformerEncoder(Embedding(9, 8), layers=1, heads=2, feedforward=8, layer_drop=0.999)(
        sentences(), weights=True
    )
    output, _ = decoder(torch.tensor([[0, 3], [0, 4]]), decoder.start(source), weights=True)
    assert source.attention is None and output.attention is None
    assert output.features.isfinite().all()
