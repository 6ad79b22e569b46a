"""Attention that knows what earlier queries did, or asks again, is what its papers say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqloom.attention import (
    Additive,
    AdditiveAttention,
    Attention,
    Convolutional,
    CosineSimilarity,
    Dot,
    Entmax,
    General,
    GeneralAttention,
    LocalMonotonic,
    Location,
    MultiHop,
    Reinforce,
    ScaledDot,
    Sigmoid,
)
from seqloom.structures import Encoded, Widths

Array = np.ndarray
N, T, S, QUERY = 3, 4, 6, 8
WIDTHS = Widths(10, 9, 7)
LENGTHS = [S, 1, 4]
MASK = torch.arange(S) < torch.tensor(LENGTHS)[:, None]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(factory: Callable[..., Attention], **options: Any) -> Any:
    """An attention with random weights, in float64, as it is in use."""
    attention = factory(QUERY, WIDTHS, **options).eval()
    for seed, parameter in enumerate(attention.parameters()):
        parameter.data = random(*parameter.shape, seed=seed) * 0.5
    return attention


SOURCE = Encoded(random(N, S, WIDTHS.keys, seed=1), random(N, S, WIDTHS.values, seed=2), MASK, random(N, 7, seed=3))
QUERIES = random(N, T, QUERY, seed=7)


def softmax(scores: Array) -> Array:
    return np.asarray(np.exp(scores) / np.exp(scores).sum())


def covering(score: Callable[[Array, Array, Array], Array], attention: Any) -> tuple[Array, float]:
    """Weights [N, T, S] of a loop in which `score` is told a query, the keys [S, K] and what was looked at, [S]."""
    weights, losses = np.zeros((N, T, S)), []
    for n, length in enumerate(LENGTHS):
        covered, keys = np.zeros(length), SOURCE.keys[n, :length].numpy()
        for t in range(T):
            shares = softmax(score(QUERIES[n, t].numpy(), keys, covered))
            losses.append(np.minimum(shares, covered).sum())  # equation 12
            covered = covered + shares  # equation 10
            weights[n, t, :length] = shares
    return weights, float(np.mean(losses))


def parameters(attention: Any) -> dict[str, Array]:
    return {name.removeprefix("compatibility."): value.detach().numpy() for name, value in attention.named_parameters()}


def test_coverage_under_additive_attention_is_that_of_pointer_generators() -> None:
    attention = made(GeneralAttention, compatibility=partial(Additive, size=5), coverage=0.25)
    w = parameters(attention)

    def score(q: Array, k: Array, c: Array) -> Array:  # equation 11
        hidden = (
            w["query.weight"] @ q + w["query.bias"] + k @ w["key.weight"].T + c[:, None] * w["coverage.weight"][:, 0]
        )
        return np.asarray(np.tanh(hidden) @ w["score.weight"][0])

    seen, (wanted, loss) = attention(QUERIES, attention.memory(SOURCE), weights=True), covering(score, attention)
    np.testing.assert_allclose(seen.weights[:, 0].detach(), wanted, rtol=0, atol=1e-12)
    assert seen.penalty.item() == pytest.approx(0.25 * loss, abs=1e-12)


def test_coverage_under_any_other_compatibility_joins_the_keys() -> None:
    attention = made(GeneralAttention, compatibility=General, coverage=0.0)
    w = parameters(attention)

    def score(q: Array, k: Array, c: Array) -> Array:
        return np.asarray((k + c[:, None] * w["coverage.weight"][:, 0]) @ w["query.weight"] @ q)

    seen, (wanted, _) = attention(QUERIES, attention.memory(SOURCE), weights=True), covering(score, attention)
    np.testing.assert_allclose(seen.weights[:, 0].detach(), wanted, rtol=0, atol=1e-12)
    assert seen.penalty == 0.0


@pytest.mark.parametrize("distribution", [Entmax, Sigmoid, LocalMonotonic, Reinforce])
@pytest.mark.parametrize("part", [Dot, ScaledDot, CosineSimilarity, Additive, Convolutional])
def test_coverage_goes_with_heads_and_any_distribution(part: Any, distribution: Any) -> None:
    options = {"compatibility": partial(part, size=6), "distribution": distribution, "heads": 3, "coverage": 1.0}
    attention = made(GeneralAttention, **options)
    seen = attention(QUERIES, attention.memory(SOURCE), weights=True)
    covered = seen.weights.cumsum(2) - seen.weights
    wanted = torch.minimum(covered, seen.weights).sum(-1).mean()
    assert seen.penalty.item() == pytest.approx(wanted.item(), abs=1e-12)
    torch.testing.assert_close(seen.memory.past.total, seen.weights.sum(2))
    assert torch.equal(seen.memory.past.last, seen.weights[:, :, -1])
    assert seen.memory.past.step == T


@pytest.mark.parametrize("hops", [1, 3])
def test_hops_ask_again_in_the_light_of_the_answer(hops: int) -> None:
    attention = made(MultiHop, attention=partial(AdditiveAttention, size=5), hops=hops)
    seen, inner = attention(QUERIES, attention.memory(SOURCE), weights=True), parameters(attention.attention)
    assert seen.weights.shape == (N, hops, T, S)
    for n, length in enumerate(LENGTHS):
        keys, values = SOURCE.keys[n, :length].numpy(), SOURCE.values[n, :length].numpy()
        for t in range(T):
            q = QUERIES[n, t].numpy()
            for hop in range(hops):
                hidden = np.tanh(inner["query.weight"] @ q + inner["query.bias"] + keys @ inner["key.weight"].T)
                shares = softmax(hidden @ inner["score.weight"][0])
                np.testing.assert_allclose(seen.weights[n, hop, t, :length].detach(), shares, rtol=0, atol=1e-12)
                o = shares @ values
                if hop < hops - 1:
                    q = attention.next[hop].weight.detach().numpy() @ np.concatenate([q, o])
            np.testing.assert_allclose(seen.context[n, t].detach(), o, rtol=0, atol=1e-12)


def test_what_hops_drew_is_one_draw() -> None:
    attention = made(
        MultiHop, attention=partial(GeneralAttention, distribution=partial(Reinforce, entropy=1.0)), hops=2
    )
    attention.train()
    torch.manual_seed(0)
    seen = attention(QUERIES, attention.memory(SOURCE))
    assert seen.log_prob.shape == (N, T) and seen.log_prob[0].max() < 0
    assert seen.penalty.item() < 0


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: made(GeneralAttention, compatibility=Location, coverage=1.0),
            "coverage is a feature of keys, and Location doesn't look at them; leave one of the two out",
        ),
        (
            lambda: made(MultiHop, attention=partial(GeneralAttention, coverage=1.0)),
            "the hops of one query would be to its attention what earlier queries are, and this one looks back at "
            "those (by coverage, or a convolution of weights); choose one that doesn't",
        ),
        (
            lambda: made(GeneralAttention, compatibility=partial(CosineSimilarity, size=6), heads=4, size=12),
            "4 heads can't share 6 features evenly",
        ),
    ],
)
def test_pairs_that_can_not_work_say_why(build: Callable[[], Attention], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value) == sentence
