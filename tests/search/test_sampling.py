"""What is drawn has the probabilities that were asked for, and depends on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqloom.search import SearchOptions
from seqloom.search.sampling import draw, keys, tempered

SYMBOLS = 40
ROWS = 20_000


def log_probs(seed: int, sharpness: float = 1.0) -> torch.Tensor:
    numbers = np.random.default_rng(seed)
    return torch.as_tensor(numbers.dirichlet(np.full(SYMBOLS, sharpness))).float().log()


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 100.0])
@pytest.mark.parametrize(
    "way",
    [
        lambda seed, i: (keys(seed, torch.arange(ROWS), 1), 1),  # sentence after sentence
        lambda seed, i: (keys(seed, torch.tensor([7]), ROWS), 1),  # sample after sample of one sentence
    ],
    ids=["sentences", "samples"],
)
def test_frequencies_are_probabilities(way: object, sharpness: float) -> None:
    wanted = log_probs(3, sharpness)
    for seed in (0, 1, 2**63 + 5):
        row_keys, length = way(seed, 0)  # type: ignore[operator]
        counts = torch.bincount(draw(wanted.expand(ROWS, -1), row_keys, length), minlength=SYMBOLS)
        assert distance(counts, wanted.exp()) < 6


def test_frequencies_along_a_sentence_are_probabilities() -> None:
    wanted, key = log_probs(4), keys(1, torch.tensor([0]), 1)
    tokens = torch.cat([draw(wanted[None], key, length) for length in range(1, 5001)])
    assert distance(torch.bincount(tokens, minlength=SYMBOLS), wanted.exp()) < 6
    pairs = torch.bincount(tokens[:-1] * SYMBOLS + tokens[1:], minlength=SYMBOLS**2)
    assert distance(pairs, (wanted.exp()[:, None] * wanted.exp()).flatten()) < 6


def distance(counts: torch.Tensor, wanted: torch.Tensor) -> float:
    """Chi-square in standard deviations from what chance makes of it; cells that are seldom met are one cell."""
    expected = wanted.double() * counts.sum()
    often = expected >= 5
    found, hoped = (torch.cat([x.double()[often], x.double()[~often].sum()[None]]) for x in (counts, expected))
    freedom = int(often.sum())
    return (float(((found - hoped) ** 2 / hoped.clamp(min=1)).sum()) - freedom) / (2 * freedom) ** 0.5


@given(seed=st.integers(0, 10**6), top_k=st.integers(1, SYMBOLS + 5), top_p=st.floats(0.01, 1.0))
def test_what_is_left_is_the_likeliest_and_no_more_than_needed(seed: int, top_k: int, top_p: float) -> None:
    whole = log_probs(seed)[None]
    left = tempered(whole, 1.0, top_k, None)[0].isfinite()
    assert int(left.sum()) == min(top_k, SYMBOLS)
    assert whole[0][left].min() >= whole[0][~left].max() if (~left).any() else top_k >= SYMBOLS
    nucleus = tempered(whole, 1.0, None, top_p)[0].isfinite()
    inside = whole[0][nucleus].exp()
    assert float(inside.sum()) >= top_p - 1e-5
    assert float(inside.sum() - inside.min()) < top_p + 1e-5
    assert whole[0][nucleus].min() >= (whole[0][~nucleus].max() if (~nucleus).any() else -torch.inf)


def test_a_temperature_flattens_and_sharpens() -> None:
    whole = log_probs(5)[None]
    for temperature in (0.5, 2.0):
        wanted = (whole / temperature).softmax(1)[0]
        tokens = draw(tempered(whole, temperature, None, None).expand(ROWS, -1), keys(1, torch.arange(ROWS), 1), 1)
        assert distance(torch.bincount(tokens, minlength=SYMBOLS), wanted) < 6


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sample": True, "temperature": 0}, "temperature must be above 0, got 0"),
        ({"sample": True, "temperature": float("nan")}, "temperature must be above 0, got nan"),
        ({"sample": True, "top_k": 0}, "top_k must be at least 1, got 0"),
        ({"sample": True, "top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
        ({"top_k": 10}, "top_k is for sample: true, got top_k 10 and sample: false"),
        ({"temperature": 2.0}, "temperature is for sample: true, got temperature 2.0 and sample: false"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        SearchOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_sampling_may_give_more_than_a_beam_holds() -> None:
    assert SearchOptions(sample=True, n_best=50, beam_size=5).width == 50
