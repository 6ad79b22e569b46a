"""Pooling by attention is what its papers say, and its penalty keeps hops apart."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.testing import assert_close

from seqloom.attention import Additive, GeneralAttention
from seqloom.attention.pooling import QueryPooling, SelfAttentivePooling, overlap
from seqloom.structures import Encoded, Widths

B, S, D, HOPS = 3, 6, 8, 4
MASK = torch.arange(S) < torch.tensor([S, 1, 4])[:, None]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)


def test_self_attentive_pooling_is_its_formula() -> None:
    pooling, x = SelfAttentivePooling(D, HOPS, 5).double(), random(B, S, D)
    found = pooling(x, MASK)
    W1, W2 = (layer.weight.detach().numpy() for layer in (pooling.hidden, pooling.score))
    wanted = []
    for row, length in zip(x.numpy(), (S, 1, 4), strict=True):
        H = row[:length]
        A = softmax(W2 @ np.tanh(W1 @ H.T))
        wanted.append(((A @ A.T - np.eye(HOPS)) ** 2).sum())
        n = len(wanted) - 1
        np.testing.assert_allclose(found.weights[n, :, :length].detach(), A, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.vectors[n].detach(), A @ H, rtol=0, atol=1e-12)
        assert found.weights[n, :, length:].abs().sum() == 0
    np.testing.assert_allclose(found.penalty.item(), np.mean(wanted), rtol=1e-12)


def test_the_penalty_falls_as_hops_part() -> None:
    apart = torch.eye(HOPS)[None].expand(B, -1, -1)
    together = torch.zeros(B, HOPS, S).index_fill(2, torch.tensor([0]), 1.0)
    assert overlap(apart) == 0
    assert overlap(together) == HOPS**2 - HOPS
    pooling, x = SelfAttentivePooling(D, HOPS, 5).double(), random(B, S, D, seed=1)
    before = pooling(x).penalty
    optimizer = torch.optim.Adam(pooling.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        pooling(x).penalty.backward()
        optimizer.step()
    assert pooling(x).penalty < before / 10


def test_a_task_asks_what_it_learnt_to_ask_whatever_the_sentence() -> None:
    attention = partial(GeneralAttention, compatibility=partial(Additive, size=5))
    pooling = QueryPooling(Widths(D, D, D), attention=attention, size=7, queries=2).double()
    x = random(B, S, D)
    found = pooling(Encoded(x, x, MASK, x[:, 0]), weights=True)
    part = pooling.attention.compatibility
    W, b, U, v = (
        p.detach().numpy() for p in (part.query.weight, part.query.bias, part.key.weight, part.score.weight[0])
    )
    for n, length in enumerate((S, 1, 4)):
        for t, u in enumerate(pooling.queries.detach().numpy()):
            H = x[n, :length].numpy()
            A = softmax(np.tanh(W @ u + b + H @ U.T) @ v)
            np.testing.assert_allclose(found.context[n, t].detach(), A @ H, rtol=0, atol=1e-12)
            np.testing.assert_allclose(found.weights[n, 0, t, :length].detach(), A, rtol=0, atol=1e-12)
    found.context.sum().backward()
    assert pooling.queries.grad is not None and pooling.queries.grad.abs().min() > 0
    assert_close(found.weights.sum(-1), torch.ones(B, 1, 2).double())
