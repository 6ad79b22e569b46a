"""Learning rates follow their formulas, and every optimizer moves weights by them."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from torch import nn

from seqloom.optim import SGD, Adam, Constant, Cosine, Exponential, InverseSquareRoot, Optimizer, Schedule
from seqloom.registry import known

SCHEDULES = known(Schedule)  # type: ignore[type-abstract]
OPTIMIZERS = known(Optimizer)  # type: ignore[type-abstract]


def paper(step: int, *, size: int, warmup: int) -> float:
    """https://arxiv.org/abs/1706.03762, equation 3."""
    return size**-0.5 * min(step**-0.5, step * warmup**-1.5)


def test_inverse_square_root_is_the_papers_formula() -> None:
    schedule = InverseSquareRoot(peak=512**-0.5 * 4000**-0.5, warmup=4000)
    assert schedule.rate(4000, 100_000) == pytest.approx(6.988e-4, rel=1e-4)
    for step in (1, 2, 100, 3999, 4000, 4001, 50_000, 100_000):
        assert schedule.rate(step, 100_000) == pytest.approx(paper(step, size=512, warmup=4000), rel=1e-9)


def test_cosine_goes_from_its_peak_to_its_floor() -> None:
    schedule = Cosine(peak=1.0, warmup=100, floor=0.2)
    assert schedule.rate(50, 1100) == pytest.approx(0.5)
    assert schedule.rate(100, 1100) == pytest.approx(1.0)
    assert schedule.rate(350, 1100) == pytest.approx(0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2)
    assert schedule.rate(600, 1100) == pytest.approx(0.6)
    assert schedule.rate(1100, 1100) == schedule.rate(2000, 1100) == pytest.approx(0.2)


def test_exponential_halves_and_stops_at_its_floor() -> None:
    schedule = Exponential(peak=1.0, decay=0.5, every=10, start=100, floor=0.2)
    steps = (1, 100, 105, 110, 120, 130, 1000)
    wanted = [1.0, 1.0, math.sqrt(0.5), 0.5, 0.25, 0.2, 0.2]
    assert [schedule.rate(step, 1000) for step in steps] == pytest.approx(wanted)


def test_constant_is_constant() -> None:
    assert {Constant(peak=0.3).rate(step, 100) for step in range(1, 101)} == {0.3}


@pytest.mark.parametrize("cls", SCHEDULES)
def test_every_schedule_warms_up_in_a_line_and_never_rises_again(cls: type[Schedule]) -> None:
    schedule = cls(peak=2.0, warmup=20)  # type: ignore[call-arg]
    rates = [schedule.rate(step, 200) for step in range(1, 201)]
    assert rates[:20] == pytest.approx([0.1 * step for step in range(1, 21)], rel=0.01)  # one decays a little meanwhile
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[-1] >= 0


@pytest.mark.parametrize("cls", SCHEDULES)
def test_every_schedule_can_do_with_its_defaults_and_one_step(cls: type[Schedule]) -> None:
    assert 0 <= cls().rate(1, 1) <= inspect.signature(cls).parameters["peak"].default


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_every_optimizer_moves_by_the_rate_it_is_told(cls: type[Optimizer]) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(4, 3)
    before, inputs = linear.weight.detach().clone(), torch.randn(8, 4)
    optimizer, losses = cls().build(linear.parameters()), []
    for rate in [0.0, *[0.02] * 60]:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = (linear(inputs) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        assert rate or torch.equal(linear.weight, before)
    assert losses[-1] < 0.9 * losses[1]


def test_an_optimizer_passes_on_what_it_was_given() -> None:
    (group,) = Adam(betas=(0.8, 0.9), epsilon=1e-5, weight_decay=0.1).build([nn.Parameter(torch.ones(1))]).param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.9), 1e-5, 0.1)
    (group,) = SGD(momentum=0.9, nesterov=True).build([nn.Parameter(torch.ones(1))]).param_groups
    assert (group["momentum"], group["nesterov"]) == (0.9, True)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        InverseSquareRoot(warmup=0)
    assert str(caught.value) == "warmup must be at least 1 step, got 0"
    with pytest.raises(ValueError) as caught:
        SGD(nesterov=True)
    assert str(caught.value) == "nesterov needs a momentum above 0"
