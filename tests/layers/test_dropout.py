"""Dropout drops the share it is told to, keeps the expectation, and is reproducible."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from seqloom.layers.dropout import Dropout

COUNT = 200_000


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3, 0.5, 0.9])
def test_it_drops_its_share_and_keeps_the_expectation(rate: float) -> None:
    torch.manual_seed(0)
    y = Dropout(rate)(torch.ones(COUNT))
    deviation = (rate * (1 - rate) / COUNT) ** 0.5
    assert abs((y == 0).float().mean().item() - rate) < 5 * deviation
    assert abs(y.mean().item() - 1) < 5 * deviation / (1 - rate)
    assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - rate)), rtol=2e-4, atol=0)


def test_each_feature_is_decided_on_by_itself() -> None:
    """Four decisions come out of one random number: neighbours at every small distance must not know of each other."""
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(COUNT)) == 0).float() - 0.5
    for distance in range(1, 9):
        correlation = (dropped[distance:] * dropped[:-distance]).mean().item() / 0.25
        assert abs(correlation) < 5 * COUNT**-0.5


def test_every_position_is_dropped_equally_often() -> None:
    torch.manual_seed(0)
    dropout, x = Dropout(0.3), torch.ones(7)
    often = torch.stack([dropout(x) == 0 for _ in range(4000)]).float().mean(0)
    assert (often - 0.3).abs().max() < 5 * (0.3 * 0.7 / 4000) ** 0.5


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (5,), (2, 3, 7), (0, 4)])
def test_any_shape_is_kept(shape: tuple[int, ...]) -> None:
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


def test_what_was_dropped_gets_no_gradient_and_the_rest_is_scaled_alike() -> None:
    torch.manual_seed(0)
    x = torch.randn(1000, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    assert_close(x.grad * x.detach(), y.detach())
    assert (x.grad == 0).any() and (x.grad != 0).any()


def test_the_seed_decides() -> None:
    def drawn(seed: int) -> list[bool]:
        torch.manual_seed(seed)
        return (Dropout(0.5)(torch.ones(100)) == 0).tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_it_does_nothing_in_use_or_at_rate_zero() -> None:
    x = torch.randn(10)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_rate_that_is_no_such_probability_is_refused(rate: float) -> None:
    with pytest.raises(ValueError) as caught:
        Dropout(rate)
    assert str(caught.value) == f"dropout is a probability from 0 up to, not including, 1, got {rate}"
