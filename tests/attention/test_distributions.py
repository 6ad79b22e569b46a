"""Distributions are what they are defined as, and their gradients are exact."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from seqloom.attention import (
    Distribution,
    Entmax,
    GaussianBias,
    Hard,
    LinearChain,
    LocalMonotonic,
    LocalPredictive,
    Reinforce,
    Sigmoid,
    Softmax,
    Sparsemax,
)
from seqloom.registry import known

QUERY, HEADS = 8, 2
CLASSES = [cls for cls in known(Distribution) if cls.__module__.startswith("seqloom.")]  # type: ignore[type-abstract]
SCORES = st.lists(st.floats(-4, 4), min_size=1, max_size=7).map(lambda row: torch.tensor(row, dtype=torch.float64))
anything = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(cls: Callable[..., Distribution], heads: int = HEADS) -> Distribution:
    """A distribution whose parameters, if it has any, are random."""
    distribution = cls(query_size=QUERY, heads=heads)
    for seed, parameter in enumerate(distribution.parameters()):
        parameter.data = random(*parameter.shape, seed=seed)
    return distribution


def of_row(cls: Callable[..., Distribution], scores: Tensor) -> Tensor:
    """The weights of one row of scores [S]."""
    weights: Tensor = made(cls, heads=1)(scores[None, None, None], None, random(1, 1, QUERY))
    return weights[0, 0, 0]


def by_bisection(scores: np.ndarray, alpha: float) -> np.ndarray:
    """max((alpha - 1) e - tau, 0)^(1 / (alpha - 1)), where the sum falls in tau and is 1 at the right one."""
    scores, power = (alpha - 1) * scores, 1 / (alpha - 1)
    low, high = scores.max() - 1, scores.max()
    for _ in range(100):
        middle = (low + high) / 2
        enough = (np.maximum(scores - middle, 0) ** power).sum() >= 1
        low, high = (middle, high) if enough else (low, middle)
    return np.maximum(scores - low, 0) ** power


# --- All of them ------------------------------------------------------------------------------------------------------


@anything
def test_weights_are_shares_of_real_positions_alone(cls: type[Distribution]) -> None:
    distribution, query = made(cls), random(3, 4, QUERY, seed=9)
    mask = (torch.arange(6) < torch.tensor([6, 1, 4])[:, None])[:, None, None]
    torch.manual_seed(0)
    weights = distribution(random(3, HEADS, 4, 6), mask, query)
    torch.manual_seed(0)  # the same draws
    other = distribution(random(3, HEADS, 4, 6).where(mask, 50.0), mask, query)
    assert torch.equal(weights, other)
    assert weights.min() >= 0 and weights.max() <= 1
    assert weights.masked_select(~mask).abs().max() == 0
    sums = weights.sum(-1)
    assert torch.allclose(sums, torch.ones_like(sums)) == cls.normalized


@anything
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_scores_of_any_size_have_finite_weights_and_gradients(cls: type[Distribution], size: float) -> None:
    scores = (random(2, HEADS, 4, 6) * size).float().requires_grad_()
    mask = (torch.arange(6) < torch.tensor([6, 1])[:, None])[:, None, None]
    distribution = made(partial(cls, entropy=1.0) if cls is Reinforce else cls).float()
    weights = distribution(scores, mask, random(2, 4, QUERY).float())
    log_prob, penalty = distribution.drawn(scores, mask, weights)
    if log_prob is not None:  # what isn't differentiable learns from this
        weights = weights + log_prob[:, None, :, None] + penalty
    (weights * random(*weights.shape, seed=1).float()).sum().backward()
    assert weights.isfinite().all()
    assert scores.grad is not None and scores.grad.isfinite().all()
    assert scores.grad.masked_select(~mask).abs().max() == 0


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls not in (Hard, Reinforce)], ids=lambda cls: cls.__name__)
def test_gradients_are_those_of_differences(cls: type[Distribution]) -> None:
    distribution = made(cls)
    mask = (torch.arange(5) < torch.tensor([5, 3])[:, None])[:, None, None]
    scores, query = random(2, HEADS, 3, 5, seed=1).requires_grad_(), random(2, 3, QUERY, seed=2).requires_grad_()
    parameters = tuple(distribution.parameters())
    assert torch.autograd.gradcheck(
        lambda scores, query, *_: distribution(scores, mask, query), (scores, query, *parameters)
    )


# --- Sparse ones ------------------------------------------------------------------------------------------------------


@given(SCORES)
def test_sparsemax_is_the_threshold_that_bisection_finds(scores: Tensor) -> None:
    np.testing.assert_allclose(of_row(Sparsemax, scores), by_bisection(scores.numpy(), 2), rtol=0, atol=1e-12)


@given(SCORES)
def test_entmax_is_the_threshold_that_bisection_finds(scores: Tensor) -> None:
    np.testing.assert_allclose(of_row(Entmax, scores), by_bisection(scores.numpy(), 1.5), rtol=0, atol=1e-12)


def test_sparsemax_of_an_example() -> None:
    assert_close(of_row(Sparsemax, torch.tensor([1.0, 0.5, -1.0]).double()), torch.tensor([0.75, 0.25, 0.0]).double())


@pytest.mark.parametrize("cls", [Sparsemax, Entmax])
def test_equal_scores_weigh_the_same_however_many(cls: type[Distribution]) -> None:
    for length in (1, 2, 1000):
        assert_close(of_row(cls, torch.full((length,), 3.0)), torch.full((length,), 1 / length))


@pytest.mark.parametrize("cls", [Sparsemax, Entmax])
def test_one_far_above_many_has_all_the_weight(cls: type[Distribution]) -> None:
    for length in (2, 10000):
        scores = torch.zeros(length)
        scores[1] = 2.0
        assert_close(of_row(cls, scores), torch.nn.functional.one_hot(torch.tensor(1), length).float())


def test_entmax_stands_between_softmax_and_sparsemax() -> None:
    scores = torch.tensor([1.0, 0.2, -0.4]).double()
    soft, middle, sparse = (of_row(cls, scores) for cls in (Softmax, Entmax, Sparsemax))
    assert soft[0] < middle[0] < sparse[0]
    assert soft[2] > middle[2] > sparse[2] == 0


# --- Hard ones --------------------------------------------------------------------------------------------------------


def test_hard_takes_the_best_and_learns_as_softmax() -> None:
    scores, direction = random(2, HEADS, 4, 5), random(2, HEADS, 4, 5, seed=1)
    gradients = []
    for cls in (Hard, Softmax):
        leaf = scores.clone().requires_grad_()
        weights = made(cls)(leaf, None, random(2, 4, QUERY))
        if cls is Hard:
            assert torch.equal(weights, torch.nn.functional.one_hot(scores.argmax(-1), 5).double())
        (weights * direction).sum().backward()
        gradients.append(leaf.grad)
    assert_close(*gradients)


def test_hard_draws_from_the_softmax_in_training_only() -> None:
    torch.manual_seed(1)
    hard, row = Hard(QUERY, 1, draw=True), torch.tensor([1.0, 0.0, -1.0, 9.0])
    mask = torch.tensor([True, True, True, False])[None, None, None]
    weights = hard(row.expand(1, 1, 20000, 4), mask, torch.zeros(1, 20000, QUERY))
    assert set(weights.unique().tolist()) == {0.0, 1.0}
    assert_close(weights.mean(2)[0, 0, :3], row[:3].softmax(-1), rtol=0, atol=0.015)  # 4 deviations
    assert weights[..., 3].max() == 0
    assert torch.equal(hard.eval()(row[None, None, None], mask, torch.zeros(1, 1, QUERY))[0, 0, 0], torch.eye(4)[0])


def test_reinforce_draws_in_training_and_takes_the_best_in_use() -> None:
    torch.manual_seed(1)
    reinforce, row = Reinforce(QUERY, 1, temperature=2.0, entropy=0.5), torch.tensor([1.0, 0.0, -1.0, 9.0])
    mask, query = torch.tensor([True, True, True, False])[None, None, None], torch.zeros(1, 20000, QUERY)
    scores, soft = row.expand(1, 1, 20000, 4), (row[:3] / 2).softmax(-1)
    weights = reinforce(scores, mask, query)
    assert set(weights.unique().tolist()) == {0.0, 1.0} and weights[..., 3].max() == 0
    assert_close(weights.mean(2)[0, 0, :3], soft, rtol=0, atol=0.015)  # 4 deviations
    log_prob, penalty = reinforce.drawn(scores, mask, weights)
    assert_close(log_prob, soft.log()[weights[:, 0].argmax(-1)])
    assert_close(penalty, 0.5 * (soft * soft.log()).sum())
    reinforce.eval()
    weights = reinforce(scores, mask, query)
    assert torch.equal(weights[0, 0], torch.eye(4)[:1].expand(20000, -1))
    assert reinforce.drawn(scores, mask, weights) == (None, 0.0)


def test_heads_draw_for_themselves_and_their_probabilities_multiply() -> None:
    torch.manual_seed(1)
    reinforce, scores = Reinforce(QUERY, HEADS), random(1, HEADS, 500, 5)
    weights = reinforce(scores, None, torch.zeros(1, 500, QUERY))
    assert not torch.equal(weights[:, 0], weights[:, 1])
    wanted = (scores.log_softmax(-1) * weights).sum((1, -1))
    assert_close(reinforce.drawn(scores, None, weights).log_prob, wanted)


# --- Local and structured ones ----------------------------------------------------------------------------------------


def test_what_is_outside_the_window_weighs_nothing() -> None:
    local, query = LocalPredictive(QUERY, 1, window=2).double(), random(1, 40, QUERY)
    for parameter in local.parameters():
        parameter.data = random(*parameter.shape)
    place = local.predict(torch.zeros(1, 1, 40, 30).double(), None, query)
    weights = local(random(1, 1, 40, 30), None, query)
    away = (torch.arange(30) - place).abs()
    assert place.min() < 5 and place.max() > 25
    assert weights.masked_select(away > 2).max() == 0
    assert weights.masked_select(away <= 2).min() > 0


def test_the_window_goes_on_with_each_query_and_stops_at_the_end() -> None:
    local, mask = LocalMonotonic(QUERY, 1, window=1), (torch.arange(5) < torch.tensor([5, 2])[:, None])[:, None, None]
    looked_at = local(torch.zeros(2, 1, 6, 5), mask, torch.zeros(2, 6, QUERY))[:, 0] > 0
    of_first, of_second = ([row.nonzero()[:, 0].tolist() for row in rows] for rows in looked_at)
    assert of_first == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4], [4]]
    assert of_second == [[0, 1], [0, 1], [1], [1], [1], [1]]
    later = local(torch.zeros(2, 1, 2, 5), mask, torch.zeros(2, 2, QUERY), 4)[:, 0] > 0
    assert torch.equal(later, looked_at[:, 4:])


def test_places_and_windows_are_shares_of_each_length() -> None:
    """Queries that say the same look at the same share of a short source and of a long one."""
    query = random(1, 1, QUERY).expand(2, 3, QUERY)
    mask = (torch.arange(8) < torch.tensor([8, 4])[:, None])[:, None, None]
    for cls, numbers in ((LocalPredictive, HEADS), (GaussianBias, 2 * HEADS)):
        long, short = made(cls).predict(torch.zeros(2, HEADS, 3, 8).double(), mask, query)
        assert long.shape == (numbers, 3, 1)
        assert_close(long, 2 * short)
        assert long.min() > 0 and long.max() < 8


def enumerated(scores: np.ndarray, transitions: np.ndarray) -> np.ndarray:
    """Marginals of one row of scores [S], summed over all 2^S ways to look at its positions."""
    ways = np.array(list(itertools.product([0, 1], repeat=len(scores))))
    mass = np.exp(ways @ scores + transitions[ways[:, :-1], ways[:, 1:]].sum(-1))
    return np.asarray(mass @ ways / mass.sum())


@pytest.mark.parametrize("length", [1, 2, 6])
def test_a_linear_chain_is_the_sum_over_all_ways(length: int) -> None:
    chain, scores = made(LinearChain), random(3, HEADS, 4, 6)
    mask = torch.arange(6).expand(3, 1, 1, 6) < length
    weights = chain(scores, mask, random(3, 4, QUERY))
    for n, h, t in itertools.product(range(3), range(HEADS), range(4)):
        wanted = enumerated(scores[n, h, t, :length].numpy(), chain.transitions[h].detach().numpy())  # type: ignore
        np.testing.assert_allclose(weights[n, h, t, :length].detach(), wanted, rtol=0, atol=1e-12)


def test_a_linear_chain_without_neighbours_is_sigmoid() -> None:
    scores, query = random(2, HEADS, 4, 5), random(2, 4, QUERY)
    assert_close(LinearChain(QUERY, HEADS)(scores, None, query), Sigmoid(QUERY, HEADS)(scores, None, query))


def test_neighbours_that_like_each_other_are_looked_at_together() -> None:
    chain, scores = (
        LinearChain(QUERY, 1).double(),
        torch.tensor([-1.0, 2.0, -1.0, -1.0, -1.0]).double()[None, None, None],
    )
    alone = chain(scores, None, random(1, 1, QUERY))[0, 0, 0]
    chain.transitions.data[0] = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    together = chain(scores, None, random(1, 1, QUERY))[0, 0, 0]
    assert together[0] > alone[0] and together[2] > alone[2] and together[4] < alone[4]
