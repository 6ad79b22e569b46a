"""Weights that are laid out for searching say what they said."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.support.small_models import small_model
from torch import nn
from torch.testing import assert_close

from seqloom.engines import packed
from seqloom.engines.base import Request
from seqloom.engines.native import NativeEngine
from seqloom.engines.packed import BFloat16Linear, laid_out
from seqloom.models import Model
from seqloom.search import SearchOptions

SYMBOLS = 40
SOURCES = [[5, 6, 7], [9], [11, 12, 13, 14, 8]]


@pytest.fixture(params=["transformer", "recurrent"])
def model(request: Any) -> Model:
    return small_model(request.param, SYMBOLS)


def found(model: nn.Module, precision: packed.Precision) -> tuple[list[list[int]], list[float], list[float]]:
    """Tokens and scores of each source, and what the model says of some targets."""
    engine = NativeEngine(model, precision=precision)  # type: ignore[arg-type]
    best = [one.hypotheses[0] for one in engine.search(SOURCES, Request(options=SearchOptions(beam_size=2)))]
    scores = engine.score(SOURCES, [[6, 5], [7, 7, 7], []])
    return [one.tokens for one in best], [one.score for one in best], [x for row in scores for x in row]


def test_in_float32_nothing_changes(model: Model) -> None:
    before, weights = found(copy.deepcopy(model), "float32"), copy.deepcopy(model.state_dict())
    fingerprint = NativeEngine(copy.deepcopy(model)).fingerprint()
    there = laid_out(model)
    tokens, scores, given = found(there, "float32")
    assert tokens == before[0]
    assert (scores, given) == (pytest.approx(before[1], abs=1e-5), pytest.approx(before[2], abs=1e-5))
    assert_close(dict(there.state_dict()), dict(weights), rtol=0, atol=0)
    assert NativeEngine(model).fingerprint() == fingerprint


@pytest.mark.parametrize("reorders", [True, False])
def test_in_bfloat16_it_is_near(model: Model, reorders: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if reorders and not packed.REORDERS:
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(packed, "REORDERS", reorders)
    exact = found(copy.deepcopy(model), "float32")[2]
    float32 = NativeEngine(copy.deepcopy(model)).fingerprint()
    there = laid_out(model, "bfloat16")
    assert any(isinstance(one, BFloat16Linear) for one in there.modules())
    near = found(there, "bfloat16")[2]
    assert near != exact
    assert near == pytest.approx(exact, abs=0.1)
    assert NativeEngine(model, precision="bfloat16").fingerprint() != float32


@pytest.mark.parametrize("rows", [(), (1,), (3, 5), (7, 6)])
def test_however_many_rows_there_are_float32_says_the_same(rows: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    linear, norm, x = nn.Linear(24, 33), nn.LayerNorm(24), torch.randn(*rows, 24)
    nn.init.normal_(norm.weight)
    assert_close(laid_out(nn.Sequential(linear))(x), linear(x).detach())
    assert_close(laid_out(nn.Sequential(norm))(x), norm(x).detach())


def test_other_numbers_reach_what_is_laid_out() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 33), nn.LayerNorm(33))
    x = torch.randn(5, 24, dtype=torch.float64)
    wanted = copy.deepcopy(model).double()(x).detach()
    assert_close(laid_out(model).double()(x), wanted, rtol=0, atol=1e-12)


def test_one_row_and_many_are_multiplied_alike() -> None:
    torch.manual_seed(0)
    linear, rows = nn.Linear(24, 33), torch.randn(5, 7, 24)
    wanted = linear(rows)
    packed_linear = laid_out(nn.Sequential(linear), "bfloat16")
    near = packed_linear(rows)
    assert near.dtype == torch.float32
    assert_close(near, wanted, rtol=0.02, atol=0.02)
    assert_close(packed_linear(rows[0, 0]), near[0, 0], rtol=0.01, atol=0.01)
