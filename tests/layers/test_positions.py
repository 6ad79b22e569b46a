"""Where a token stands, as weights of its features."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from seqloom.layers.positions import SinusoidalPositions, placed, sinusoids, slopes

CPU = torch.device("cpu")


@pytest.mark.parametrize("count, size, longest", [(5, 4, 5), (3, 7, 100), (12, 3, 5), (1, 1, 1)])
def test_it_is_the_formula_of_end_to_end_memory_networks(count: int, size: int, longest: int) -> None:
    J, d = longest + 1, size + 1
    expected = [
        [(1 - j / J) - k / d * (1 - 2 * j / J) for k in range(1, size + 1)]
        for j in range(1, count + 1)  # beyond `longest`, too
    ]
    assert_close(slopes(count, size, longest=longest, device=CPU), torch.tensor(expected))


def test_a_sentence_read_backwards_turns_the_features_round() -> None:
    weights = slopes(9, 6, longest=9, device=CPU)
    assert_close(weights.flip(0, 1), weights)


def test_beyond_the_longest_each_feature_goes_on_in_a_straight_line() -> None:
    weights = slopes(50, 6, longest=10, device=CPU)
    steps = weights.diff(dim=0)
    assert_close(steps, steps[:1].expand_as(steps), atol=1e-5, rtol=0)
    assert_close(weights[:10], slopes(10, 6, longest=10, device=CPU))


def test_they_are_added_or_multiplied() -> None:
    x = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1))
    weights = slopes(4, 6, longest=8, device=CPU)
    assert_close(placed(x, "add", longest=8), x + weights)
    assert_close(placed(x, "multiply", longest=8), x * weights)
    assert placed(x, "none", longest=8) is x


@pytest.mark.parametrize("inclusive", [False, True])
def test_the_longest_wave_is_reached_only_if_it_is_included(inclusive: bool) -> None:
    D = 8
    waves = [10_000 ** (k / (D / 2 - 1 if inclusive else D / 2)) for k in range(D // 2)]
    expected = [[f(j / wave) for f in (math.sin, math.cos) for wave in waves] for j in range(3, 9)]
    assert_close(sinusoids(3, 6, D, CPU, inclusive=inclusive), torch.tensor(expected))


@pytest.mark.parametrize("size", [8, 7])
def test_in_pairs_each_sine_stands_before_its_cosine(size: int) -> None:
    halves, pairs = sinusoids(0, 9, 8, CPU), sinusoids(0, 9, 8, CPU, layout="pairs")
    assert_close(pairs[:, 0::2], halves[:, :4])
    assert_close(pairs[:, 1::2], halves[:, 4:])
    assert sinusoids(0, 9, size, CPU, layout="pairs").shape == (9, size)


def test_places_may_be_counted_from_another_number() -> None:
    x = torch.zeros(1, 5, 8)
    assert_close(SinusoidalPositions(8, first=2).add(x, 1), SinusoidalPositions(8).add(x, 3))
