"""What tells a Transformer where tokens stand, each kind against a plain version of its equation."""

from __future__ import annotations

import cmath

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqloom.errors import UsageError
from seqloom.layers.distances import AlibiDistances, RelativeDistances, RotaryDistances, alibi_slopes
from seqloom.layers.positions import (
    AlibiPositions,
    LearnedPositions,
    NoPositions,
    RelativePositions,
    RotaryPositions,
    SinusoidalPositions,
    sinusoids,
)

N, H, T, S, D = 2, 3, 4, 9, 6


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clipped(distance: int, most: int) -> int:
    return max(-most, min(most, distance))


@pytest.mark.parametrize("most", [1, 3, 20])
def test_relative_scores_are_equation_4(most: int) -> None:
    distances, query = RelativeDistances(D, max_distance=most).double(), random(N, H, T, D)
    got = distances.scores(query, S)
    for i in range(T):
        for j in range(S):
            row = distances.keys[clipped(j - (S - T + i), most) + most]
            assert_close(got[:, :, i, j], (query[:, :, i] * row).sum(-1) / D**0.5, rtol=0, atol=1e-12)


@pytest.mark.parametrize("most", [1, 3, 20])
def test_relative_values_are_equation_3(most: int) -> None:
    distances, weights = RelativeDistances(D, max_distance=most).double(), random(N, H, T, S).softmax(-1)
    context = random(N, H, T, D, seed=3)
    got = distances.context(context, weights) - context
    for i in range(T):
        rows = [distances.values[clipped(j - (S - T + i), most) + most] for j in range(S)]
        wanted = sum(weights[:, :, i, j, None] * row for j, row in enumerate(rows))
        assert_close(got[:, :, i], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("start", [0, 5])
def test_rotary_turns_each_pair_by_its_angle(start: int) -> None:
    """A pair of features is a complex number, and turning it a multiplication with e^(i m theta)."""
    x = random(N, H, T, D)
    got = RotaryDistances(D, base=100).place(x, start)
    for t in range(T):
        for pair in range(D // 2):
            turn = cmath.exp(1j * (start + t) * 100 ** (-2 * pair / D))
            wanted = torch.complex(x[:, :, t, pair], x[:, :, t, pair + D // 2]) * turn
            assert_close(got[:, :, t, pair], wanted.real, rtol=0, atol=1e-12)
            assert_close(got[:, :, t, pair + D // 2], wanted.imag, rtol=0, atol=1e-12)


def test_rotary_scores_depend_on_distances_alone() -> None:
    distances, query, key = RotaryDistances(D, base=10_000), random(1, 1, 1, D), random(1, 1, 1, D, seed=2)
    scores = [distances.place(query, p + 7) @ distances.place(key, p).mT for p in (0, 1, 30, 4000)]
    for score in scores[1:]:
        assert_close(score, scores[0], rtol=0, atol=1e-9)


def test_rotary_in_bfloat16_still_tells_late_neighbours_apart() -> None:
    ones = torch.ones(1, 1, 300, D, dtype=torch.bfloat16)
    turned = RotaryDistances(D, base=10_000).place(ones, 0)
    assert turned.dtype == torch.bfloat16
    assert (turned[0, 0, 1:] != turned[0, 0, :-1]).any(1).all()


@pytest.mark.parametrize(
    ("heads", "slopes"),
    [
        (8, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]),
        (4, [1 / 4, 1 / 16, 1 / 64, 1 / 256]),
        (1, [1 / 256]),
        (6, [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]),
    ],
)
def test_alibi_slopes_are_the_papers(heads: int, slopes: list[float]) -> None:
    assert alibi_slopes(heads) == slopes


def test_alibi_scores_fall_in_a_line_on_both_sides() -> None:
    got = AlibiDistances(4).scores(random(N, 4, T, D), S)
    for h, slope in enumerate(alibi_slopes(4)):
        for i in range(T):
            for j in range(S):
                assert got[h, i, j] == -slope * abs(j - (S - T + i))


def test_absolute_positions_are_added() -> None:
    x, learned = random(N, T, D), LearnedPositions(D, max_positions=7)
    assert torch.equal(NoPositions(D, 2).add(x, 2), x)
    assert_close(SinusoidalPositions(D, 2).add(x, 2), x + sinusoids(2, T, D, x.device))
    assert_close(learned.add(x, 3), x + learned.table.weight[3:7])
    for kind in (NoPositions, SinusoidalPositions, LearnedPositions):
        assert kind(D, 2).distances() is None


def test_relative_kinds_add_nothing_and_make_a_part_for_each_layer() -> None:
    x = random(N, T, D)
    for kind in (RelativePositions, RotaryPositions, AlibiPositions):
        positions = kind(D, 1)
        assert positions.add(x, 2) is x
        assert positions.distances() is not positions.distances()
        assert [*positions.parameters()] == []


def test_more_tokens_than_learnt_positions_are_refused_in_one_sentence() -> None:
    positions = LearnedPositions(D, max_positions=7)
    assert positions(3, 4).shape == (4, D)
    with pytest.raises(UsageError) as caught:
        positions(3, 5)
    assert str(caught.value) == (
        "there are positions for 7 tokens, and a sentence of 8 or more came; give max_positions to a new model, "
        "or lower search.max_length and search.max_source_length"
    )


def test_rotary_positions_refuse_heads_of_odd_size() -> None:
    with pytest.raises(ValueError) as caught:
        RotaryPositions(12, 4)
    assert str(caught.value) == "rotary positions turn pairs of features, so a head needs an even size, got 3"
