"""Positions, embeddings, residual connections and the feed-forward network, each against what it says it is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from seqloom.encoders import TransformerEncoder
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import PositionWise
from seqloom.layers.positions import sinusoids
from seqloom.layers.transformer import Residual

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


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_residual_is_its_formula(norm: str) -> None:
    torch.manual_seed(0)
    residual, part, x = Residual(6, dropout=0.0, norm=norm), nn.Linear(6, 6), torch.randn(2, 3, 6)  # type: ignore[arg-type]
    nn.init.normal_(residual.norm.weight)
    got = residual.leave(x, part(residual.enter(x)))
    assert_close(got, x + part(residual.norm(x)) if norm == "pre" else residual.norm(x + part(x)))


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
