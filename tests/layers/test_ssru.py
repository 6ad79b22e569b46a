"""The recurrence that stands in for self-attention, against its equations and against autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqloom.decoders import SSRUDecoder
from seqloom.layers.embedding import Embedding
from seqloom.layers.positions import AlibiPositions, RelativePositions, RotaryPositions
from seqloom.layers.ssru import SSRU, running_mix
from seqloom.structures import Encoded, Widths

N, T, D = 3, 7, 5


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_unit_is_its_equations() -> None:
    unit, x, c = SSRU(D).double(), random(N, T, D), random(N, D, seed=2)
    got, after = unit.step(x, c)
    for t in range(T):
        f = torch.sigmoid(x[:, t] @ unit.forget.weight.T + unit.forget.bias)
        c = f * c + (1 - f) * (x[:, t] @ unit.candidate.weight.T)
        assert_close(got[:, t], c.clamp(min=0), rtol=0, atol=1e-12)
    assert_close(after, c)


@pytest.mark.parametrize("T", [1, 2, 7])
def test_gradients_are_those_of_differences(T: int) -> None:
    x, kept, before = random(N, T, D), random(N, T, D, seed=2).sigmoid(), random(N, D, seed=3)
    assert torch.autograd.gradcheck(running_mix, [value.requires_grad_() for value in (x, kept, before)])


def test_in_bfloat16_the_memory_keeps_its_precision() -> None:
    unit, x = SSRU(D), random(N, 400, D).float()
    wanted, _ = unit.step(x, unit.start(x))
    with torch.autocast("cpu", torch.bfloat16):
        got, after = unit.step(x, unit.start(x))
    assert got.dtype == after.dtype == torch.float32
    assert_close(got, wanted, rtol=0, atol=0.03)


def test_a_long_forgetting_neither_overflows_nor_vanishes() -> None:
    """Products of 3,000 shares underflow; the memory doesn't."""
    x, kept = torch.ones(1, 3000, 1), torch.full((1, 3000, 1), 0.01)
    assert_close(running_mix(x, kept, torch.zeros(1, 1))[0, -1], torch.ones(1))


def test_a_state_is_one_vector_a_layer_however_long_the_target() -> None:
    decoder = SSRUDecoder(Embedding(9, 8), Widths(6, 6, 6), layers=3, heads=2, feedforward=10)
    source = Encoded(torch.randn(2, 4, 6), torch.randn(2, 4, 6), torch.ones(2, 4, dtype=torch.bool), torch.randn(2, 6))
    _, state = decoder(torch.full((2, 11), 3), decoder.start(source))
    assert [past.shape for past in state.past] == [(2, 8)] * 3
    assert not any("self_attention.query" in name for name in decoder.state_dict())


@pytest.mark.parametrize("positions", [RelativePositions, RotaryPositions, AlibiPositions])
def test_positions_of_self_attention_are_refused(positions: type) -> None:
    with pytest.raises(ValueError) as caught:
        SSRUDecoder(Embedding(9, 8), Widths(6, 6, 6), heads=2, positions=positions)
    assert str(caught.value) == (
        "an SSRU decoder has no self-attention that could mind distances; positions must be sinusoidal, learned or none"
    )
