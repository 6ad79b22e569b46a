"""Where a token stands, as weights of its features."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from seqloom.layers.positions import placed, slopes

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
