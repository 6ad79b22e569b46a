"""Co-attention is what its paper's equations say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqloom.attention import AlternatingCoAttention, CoAttention, ParallelCoAttention

Array = np.ndarray
B, S, R, FIRST, SECOND, SIZE = 3, 6, 4, 8, 5, 7
LENGTHS = [(S, R), (1, 3), (4, 1)]
MASKS = [torch.arange(most) < torch.tensor([pair[i] for pair in LENGTHS])[:, None] for i, most in ((0, S), (1, R))]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FIRSTS, SECONDS = random(B, S, FIRST), random(B, R, SECOND, seed=1)


def softmax(scores: Array) -> Array:
    return np.asarray(np.exp(scores) / np.exp(scores).sum())


def parallel(w: dict[str, Array], A: Array, Q: Array) -> tuple[Array, Array]:
    """The weights of columns of features, as the paper has them: A is V, the image, and Q the question."""
    C = np.tanh(Q.T @ w["affinity.weight"] @ A)  # equation 3
    WA, WQ = w["first.weight"] @ A, w["second.weight"] @ Q
    HA, HQ = np.tanh(WA + WQ @ C), np.tanh(WQ + WA @ C.T)  # equation 4
    return softmax(w["first_score.weight"][0] @ HA), softmax(w["second_score.weight"][0] @ HQ)


def alternating(w: dict[str, Array], A: Array, Q: Array) -> tuple[Array, Array]:
    def asked(name: str, X: Array, g: Array | None) -> Array:
        H = w[f"{name}.features.weight"] @ X + (0 if g is None else (w[f"{name}.guide.weight"] @ g)[:, None])
        return softmax(w[f"{name}.score.weight"][0] @ np.tanh(H))

    s = Q @ asked("begin", Q, None)
    a = asked("ask_first", A, s)
    return a, asked("ask_second", Q, A @ a)


@pytest.mark.parametrize(("cls", "formula"), [(ParallelCoAttention, parallel), (AlternatingCoAttention, alternating)])
def test_it_is_its_formula(cls: Callable[..., CoAttention], formula: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    module = cls(FIRST, SECOND, size=SIZE).double()
    w = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
    sides = module(FIRSTS, SECONDS, *MASKS)
    for n, lengths in enumerate(LENGTHS):
        columns = [x[n, :length].numpy().T for x, length in zip((FIRSTS, SECONDS), lengths, strict=True)]
        for side, wanted, X in zip(sides, formula(w, *columns), columns, strict=True):
            np.testing.assert_allclose(side.weights[n, : len(wanted)].detach(), wanted, rtol=0, atol=1e-12)
            np.testing.assert_allclose(side.summary[n].detach(), X @ wanted, rtol=0, atol=1e-12)
            assert side.weights[n, len(wanted) :].abs().sum() == 0
    assert [side.hidden.shape for side in sides] == [(B, S, SIZE), (B, R, SIZE)]


@pytest.mark.parametrize("cls", [ParallelCoAttention, AlternatingCoAttention])
def test_padding_changes_nothing(cls: Callable[..., CoAttention]) -> None:
    torch.manual_seed(0)
    module = cls(FIRST, SECOND, size=SIZE).double()
    plain = module(FIRSTS, SECONDS, *MASKS)
    spoilt = [x.where(mask[..., None], 9.0) for x, mask in zip((FIRSTS, SECONDS), MASKS, strict=True)]
    for before, after in zip(plain, module(*spoilt, *MASKS), strict=True):
        assert_close(after.summary, before.summary)
        assert_close(after.weights, before.weights)
    assert_close(module(FIRSTS[:1], SECONDS[:1])[0].summary, plain[0].summary[:1])  # all real


@pytest.mark.parametrize("cls", [ParallelCoAttention, AlternatingCoAttention])
def test_each_side_is_attended_to_as_the_other_asks(cls: Callable[..., CoAttention]) -> None:
    torch.manual_seed(0)
    module = cls(FIRST, SECOND, size=SIZE).double()
    plain = module(FIRSTS, SECONDS)
    for side, others in ((0, (FIRSTS, SECONDS.roll(1, 0))), (1, (FIRSTS.roll(1, 0), SECONDS))):
        assert (module(*others)[side].weights - plain[side].weights).abs().max() > 1e-3
