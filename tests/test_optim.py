"""Learning rates follow their formulas, and every optimizer moves weights by them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seqloom.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Constant,
    Cosine,
    Exponential,
    Ftrl,
    InverseSquareRoot,
    InverseTime,
    Optimizer,
    Plateau,
    RMSProp,
    RNMTPlusSchedule,
    Schedule,
)
from seqloom.registry import known

SCHEDULES = known(Schedule)  # type: ignore[type-abstract]
OPTIMIZERS = known(Optimizer)  # type: ignore[type-abstract]
WITH_A_PEAK = [cls for cls in SCHEDULES if cls is not RNMTPlusSchedule]  # whose warm-up begins at its base, not at 0
UNITS = {Adadelta: 1.0}  # the rate to learn with, where it isn't a step's length


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


def test_inverse_time_is_its_formula_and_stops_at_its_floor() -> None:
    schedule = InverseTime(peak=1.0, decay=0.5, every=10, start=100, floor=0.2)
    steps = (1, 100, 110, 120, 125, 180, 1000)
    wanted = [1.0, 1.0, 1 / 1.5, 1 / 2, 1 / 2.25, 0.2, 0.2]
    assert [schedule.rate(step, 1000) for step in steps] == pytest.approx(wanted)


@pytest.mark.parametrize("cls", [Exponential, InverseTime])
def test_a_decay_stops_where_it_is_told_and_goes_down_in_stairs(cls: type[Exponential | InverseTime]) -> None:
    smooth, stairs = (cls(peak=1.0, every=10, start=100, stop=125, staircase=staircase) for staircase in (False, True))
    rates = {step: (smooth.rate(step, 1000), stairs.rate(step, 1000)) for step in range(1, 201)}
    for step in (*range(1, 101), 110, 120):
        assert rates[step][0] == rates[step][1], f"a stair begins at {step}"
    for step in range(101, 200):
        assert (rates[step][0] > rates[step + 1][0]) == (step < 125)
        assert (rates[step][1] > rates[step + 1][1]) == (step + 1 in (110, 120))


def tensorflows(kind: str, done: int, rate: float, *, start: int, stop: int, staircase: bool) -> float:
    """The rate after `done` updates in programs that put a decay of TensorFlow 1 between two steps: decay .7, every 4,
    at least .05.  Only beyond `start` is the decay looked at.
    """
    times = (min(done, stop) - start) / 4
    times = math.floor(times) if staircase else times
    fallen = {"exponential": 0.7**times, "natural": math.exp(-0.7 * times), "inverse": 1 / (1 + 0.7 * times)}[kind]
    return max(0.05, rate * fallen if done > start else rate)


@pytest.mark.parametrize("staircase", [False, True])
@pytest.mark.parametrize("start, stop", [(0, 2**31 - 1), (7, 2**31 - 1), (7, 19)])
@pytest.mark.parametrize("kind", ["exponential", "natural", "inverse"])
def test_the_decays_of_tensorflow_can_be_said(kind: str, start: int, stop: int, staircase: bool) -> None:
    """They count the updates that are done, so that their step 0 is our step 1."""
    cls = InverseTime if kind == "inverse" else Exponential
    decay = math.exp(-0.7) if kind == "natural" else 0.7
    schedule = cls(peak=0.5, decay=decay, every=4, start=start + 1, stop=stop + 1, floor=0.05, staircase=staircase)
    theirs = [tensorflows(kind, done, 0.5, start=start, stop=stop, staircase=staircase) for done in range(60)]
    assert [schedule.rate(done + 1, 60) for done in range(60)] == pytest.approx(theirs, rel=1e-12)
    assert len(set(theirs)) > 2


def test_constant_is_constant() -> None:
    assert {Constant(peak=0.3).rate(step, 100) for step in range(1, 101)} == {0.3}


@pytest.mark.parametrize("cls", WITH_A_PEAK)
def test_every_schedule_warms_up_in_a_line_and_never_rises_again(cls: type[Schedule]) -> None:
    schedule = cls(peak=2.0, warmup=20)  # type: ignore[call-arg]
    rates = [schedule.rate(step, 200) for step in range(1, 201)]
    assert rates[:20] == pytest.approx([0.1 * step for step in range(1, 21)], rel=0.01)  # one decays a little meanwhile
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[-1] >= 0


def test_a_plateau_lowers_the_rate_at_stalls_until_there_is_nothing_to_gain() -> None:
    schedule = Plateau(peak=0.25, factor=0.1, patience=2, floor=1e-4)
    assert {schedule.rate(step, 100) for step in range(1, 101)} == {0.25}
    assert [schedule.after_stalls(stalls) for stalls in range(6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert [stalls for stalls in range(12) if schedule.is_over(stalls)] == [8, 9, 10, 11]


@pytest.mark.parametrize("cls", [cls for cls in SCHEDULES if cls is not Plateau])
def test_other_schedules_care_for_no_stalls(cls: type[Schedule]) -> None:
    assert [(cls().after_stalls(stalls), cls().is_over(stalls)) for stalls in (0, 1, 1000)] == [(1.0, False)] * 3


def rnmt_plus(t: int, *, n: int, p: int, s: int, e: int) -> float:
    """https://arxiv.org/abs/1804.09849, equation 1, as it stands, with the 0.5 it ends at."""
    return max(0.5e-4, 1e-4 * min(1 + t * (n - 1) / (n * p), n, n * (2 * n) ** ((s - n * t) / (e - s))))


def test_the_schedule_of_rnmt_plus_is_the_papers_formula() -> None:
    n, p, s, e = 32, 500, 600_000, 1_200_000
    schedule = RNMTPlusSchedule(replicas=n, warmup=p, decay_start=s, decay_end=e)
    for t in (1, 2, 8000, 15_999, 16_000, 16_001, 18_750, 18_751, 25_000, 37_499, 37_500, 37_501, 60_000):
        assert schedule.rate(t, 10**6) == pytest.approx(rnmt_plus(t, n=n, p=p, s=s, e=e), rel=1e-12), t
    corners = {1: 1e-4 * (1 + 31 / 16_000), 16_000: 32e-4, 18_750: 32e-4, 28_125: 4e-4, 37_500: 0.5e-4, 10**6: 0.5e-4}
    assert {t: schedule.rate(t, 10**6) for t in corners} == pytest.approx(corners, rel=1e-9)


def test_one_replica_of_rnmt_plus_has_no_warm_up() -> None:
    schedule = RNMTPlusSchedule(base=2.0, decay_start=10, decay_end=30)
    rates = [schedule.rate(t, 100) for t in (1, 10, 20, 30, 31)]
    assert rates == pytest.approx([2.0, 2.0, math.sqrt(2.0), 1.0, 1.0])
    assert RNMTPlusSchedule(replicas=512, decay_start=10**6, decay_end=10**6 + 1).rate(1, 1) > 0, "no overflow"


@pytest.mark.parametrize("cls", WITH_A_PEAK)
def test_every_schedule_can_do_with_its_defaults_and_one_step(cls: type[Schedule]) -> None:
    assert 0 <= cls().rate(1, 1) <= inspect.signature(cls).parameters["peak"].default


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_every_optimizer_moves_by_the_rate_it_is_told(cls: type[Optimizer]) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(4, 3)
    before, inputs = linear.weight.detach().clone(), torch.randn(8, 4)
    optimizer, losses = cls().build(linear.parameters()), []
    for rate in [0.0, *[UNITS.get(cls, 0.02)] * 60]:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = (linear(inputs) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        assert rate or torch.equal(linear.weight, before)
    assert losses[-1] < 0.9 * losses[1]


Step = Callable[[float, float, float], float]  # (weight, gradient, rate) -> weight


def adagrad(*, initial: float) -> Step:
    total = initial

    def step(weight: float, gradient: float, rate: float) -> float:
        nonlocal total
        total += gradient**2
        return weight - rate * gradient / math.sqrt(total)

    return step


def adadelta(*, decay: float, epsilon: float) -> Step:
    """https://arxiv.org/abs/1212.5701, algorithm 1."""
    gradients, moves = 0.0, 0.0

    def step(weight: float, gradient: float, rate: float) -> float:
        nonlocal gradients, moves
        gradients = decay * gradients + (1 - decay) * gradient**2
        move = -math.sqrt(moves + epsilon) / math.sqrt(gradients + epsilon) * gradient
        moves = decay * moves + (1 - decay) * move**2
        return weight + rate * move

    return step


def rmsprop(*, decay: float, momentum: float, epsilon: float, initial: float) -> Step:
    mean, velocity = initial, 0.0

    def step(weight: float, gradient: float, rate: float) -> float:
        nonlocal mean, velocity
        mean = decay * mean + (1 - decay) * gradient**2
        velocity = momentum * velocity + rate * gradient / math.sqrt(mean + epsilon)
        return weight - velocity

    return step


def ftrl(*, power: float, initial: float, l1: float, l2: float) -> Step:
    """Algorithm 1 of McMahan et al. 2013, with n^-power in place of its root, and no beta."""
    n, z = initial, 0.0

    def step(weight: float, gradient: float, rate: float) -> float:
        nonlocal n, z
        sigma = ((n + gradient**2) ** -power - n**-power) / rate
        z, n = z + gradient - sigma * weight, n + gradient**2
        return 0.0 if abs(z) <= l1 else -(z - math.copysign(l1, z)) / (n**-power / rate + 2 * l2)

    return step


EQUATIONS: list[tuple[Optimizer, Callable[[], Step]]] = [
    (Adagrad(), lambda: adagrad(initial=0.1)),
    (Adagrad(initial_accumulator=2.0), lambda: adagrad(initial=2.0)),
    (Adadelta(), lambda: adadelta(decay=0.95, epsilon=1e-6)),
    (Adadelta(decay=0.5, epsilon=0.1), lambda: adadelta(decay=0.5, epsilon=0.1)),
    (RMSProp(), lambda: rmsprop(decay=0.9, momentum=0, epsilon=1e-10, initial=0)),
    (
        RMSProp(decay=0.7, momentum=0.5, epsilon=0.1, initial_accumulator=1.0),
        lambda: rmsprop(decay=0.7, momentum=0.5, epsilon=0.1, initial=1),
    ),
    (Ftrl(), lambda: ftrl(power=-0.5, initial=0.1, l1=0, l2=0)),
    (
        Ftrl(learning_rate_power=-0.7, initial_accumulator=0.3, l1=0.4, l2=0.2),
        lambda: ftrl(power=-0.7, initial=0.3, l1=0.4, l2=0.2),
    ),
    (Ftrl(learning_rate_power=0.0, l1=0.1), lambda: ftrl(power=0, initial=0.1, l1=0.1, l2=0)),
]


@pytest.mark.parametrize("optimizer, reference", EQUATIONS, ids=lambda item: type(item).__name__)
def test_ten_steps_follow_the_equations(optimizer: Optimizer, reference: Callable[[], Step]) -> None:
    draw = np.random.default_rng(1)
    weight = nn.Parameter(torch.tensor(draw.normal(size=5)))
    built, steps, wanted = optimizer.build([weight]), [reference() for _ in weight], weight.tolist()
    for rate in np.linspace(0.3, 0.1, 10):
        gradient = draw.normal(size=5) * [1, 1, 1, 0.01, 0.1]
        weight.grad = torch.tensor(gradient)
        built.param_groups[0]["lr"] = rate
        built.step()
        wanted = [step(*values, rate) for step, *values in zip(steps, wanted, gradient, strict=True)]
        assert weight.tolist() == pytest.approx(wanted, rel=1e-6, abs=1e-12)


def test_ftrl_leaves_zeros_where_gradients_are_small() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = Ftrl(l1=0.5).build([weight])
    optimizer.param_groups[0]["lr"] = 0.1
    for _ in range(3):
        weight.grad = torch.tensor([1.0, 0.01, -1.0])
        optimizer.step()
    assert (weight == 0).tolist() == [False, True, False]


def test_an_optimizer_passes_on_what_it_was_given() -> None:
    (group,) = Adam(betas=(0.8, 0.9), epsilon=1e-5, weight_decay=0.1).build([nn.Parameter(torch.ones(1))]).param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.9), 1e-5, 0.1)
    (group,) = SGD(momentum=0.9, nesterov=True).build([nn.Parameter(torch.ones(1))]).param_groups
    assert (group["momentum"], group["nesterov"]) == (0.9, True)


@pytest.mark.parametrize(
    "cls, wrong, sentence",
    [
        (InverseSquareRoot, {"warmup": 0}, "warmup must be at least 1 step, got 0"),
        (SGD, {"nesterov": True}, "nesterov needs a momentum above 0"),
        (InverseTime, {"start": 5, "stop": 4}, "stop must not be before start, got 4 and 5"),
        (
            RNMTPlusSchedule,
            {"decay_start": 5, "decay_end": 5},
            "decay_end must be after decay_start, got 5 and 5",
        ),
        (Ftrl, {"learning_rate_power": 0.5}, "learning_rate_power must be 0 or less, got 0.5"),
        (Ftrl, {"initial_accumulator": 0.0}, "initial_accumulator must be above 0, since a rate is divided by it"),
    ],
)
def test_settings_that_make_no_sense_are_refused(cls: type, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        cls(**wrong)
    assert str(caught.value) == sentence


# What docs/scale.md says of rates and batches: k times the tokens, and 1/k of the steps


def travelled(optimizer: Optimizer, *, rate: float, steps: int, noise: float, slope: float = 0.0) -> torch.Tensor:
    """Many weights that start at 0, after steps along gradients that are mostly noise."""
    torch.manual_seed(0)
    weights = nn.Parameter(torch.zeros(4000))
    built = optimizer.build([weights])
    for _ in range(steps):
        built.param_groups[0]["lr"] = rate
        weights.grad = slope + noise * torch.randn(4000)
        built.step()
    return weights.detach()


@pytest.mark.parametrize("growth", [4, 16])
def test_through_noise_adam_goes_as_far_with_the_root_of_a_batchs_growth(growth: int) -> None:
    """A mean over k times the tokens has 1/sqrt(k) of the noise, of which Adam, minding no scale, sees nothing."""

    def far(rate: float, steps: int, noise: float) -> float:
        return travelled(Adam(), rate=rate, steps=steps, noise=noise).std().item()

    before, larger = far(0.01, 800, 1.0), (800 // growth, growth**-0.5)
    assert far(0.01 * growth**0.5, *larger) == pytest.approx(before, rel=0.1)
    assert far(0.01 * growth, *larger) > 1.5 * before, "the growth itself is too much"


@pytest.mark.parametrize("growth", [4, 16])
def test_down_a_slope_sgd_goes_as_far_with_a_batchs_growth_itself(growth: int) -> None:
    def far(rate: float, steps: int, noise: float) -> float:
        return travelled(SGD(), rate=rate, steps=steps, noise=noise, slope=0.1).mean().item()

    assert far(0.01 * growth, 800 // growth, growth**-0.5) == pytest.approx(far(0.01, 800, 1.0), rel=0.05)
