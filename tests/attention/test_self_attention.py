"""Self-attention that minds distances, and heads that share keys and values, each against a plain version."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.attention import MultiHeadAttention
from seqloom.attention.self_attention import SelfAttention
from seqloom.layers.distances import AlibiDistances, Distances, RelativeDistances, RotaryDistances, alibi_slopes
from seqloom.structures import Encoded, Memory, Widths

N, T, SIZE, HEADS, HEAD = 2, 5, 12, 3, 4
DISTANCES = {
    "none": lambda: None,
    "relative": lambda: RelativeDistances(HEAD, max_distance=2),
    "rotary": lambda: RotaryDistances(HEAD, base=50),
    "alibi": lambda: AlibiDistances(HEADS),
}


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(kind: str, **options: int) -> SelfAttention:
    torch.manual_seed(0)
    attention = SelfAttention(SIZE, heads=HEADS, distances=DISTANCES[kind](), **options)
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.7)
    return attention.double().eval()


def turned(x: Tensor, place: int) -> Tensor:
    """One head's features [D] at a place, by complex numbers."""
    half = len(x) // 2
    pairs = [complex(x[k], x[k + half]) * cmath.exp(1j * place * 50 ** (-k / half)) for k in range(half)]
    return torch.tensor([z.real for z in pairs] + [z.imag for z in pairs], dtype=torch.float64)


def row(i: int, j: int) -> int:
    """Where the distance from i to j stands in a table for distances up to 2."""
    return max(-2, min(2, j - i)) + 2


def plainly(attention: SelfAttention, x: Tensor, kind: str, *, causal: bool) -> Tensor:
    """Self-attention as its papers write it: sentence by sentence, head by head, query by query, key by key."""
    with torch.no_grad():
        q, (k, v) = attention.query(x), attention.key_value(x).chunk(2, -1)
        contexts = torch.zeros_like(q)
        for n in range(len(x)):
            for h, part in enumerate(slice(h * HEAD, (h + 1) * HEAD) for h in range(HEADS)):
                for i in range(T):
                    seen = range(i + 1) if causal else range(T)
                    scores = [score(attention.distances, kind, h, q[n, i, part], k[n, j, part], i, j) for j in seen]
                    values = [v[n, j, part] for j in seen]
                    if kind == "relative":  # equation 3
                        values = [v[n, j, part] + attention.distances.values[row(i, j)] for j in seen]
                    weights = [math.exp(e) / sum(map(math.exp, scores)) for e in scores]
                    contexts[n, i, part] = sum(w * value for w, value in zip(weights, values, strict=True))
        return attention.out(contexts)


def score(distances: Distances, kind: str, h: int, q: Tensor, k: Tensor, i: int, j: int) -> float:
    if kind == "relative":  # equation 4
        k = k + distances.keys[row(i, j)]
    if kind == "rotary":
        q, k = turned(q, i), turned(k, j)
    e = float(q @ k) / math.sqrt(HEAD)
    return e - alibi_slopes(HEADS)[h] * abs(j - i) if kind == "alibi" else e


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", DISTANCES)
def test_self_attention_is_that_of_its_paper(kind: str, causal: bool, weights: bool) -> None:
    attention, x = built(kind), random(N, T, SIZE)
    got = attention(x, Memory(*attention.key_values(x)), weights=weights, causal=causal).context
    assert_close(got, plainly(attention, x, kind, causal=causal), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", DISTANCES)
def test_both_ways_of_computing_have_one_gradient(kind: str) -> None:
    attention, grads = built(kind), []
    for weights in (False, True):
        x = random(N, T, SIZE).requires_grad_()
        attention.zero_grad()
        memory = Memory(*attention.key_values(x), torch.arange(T)[None] < torch.tensor([[5], [3]]))
        attention(x, memory, weights=weights).context.square().sum().backward()
        grads.append([x.grad, *(parameter.grad.clone() for parameter in attention.parameters())])
    for fused, written in zip(*grads, strict=True):
        assert_close(fused, written)


@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3), (4, 1), (5,)])
def test_step_by_step_is_all_at_once(kind: str, sizes: tuple[int, ...]) -> None:
    attention, x = built(kind, key_value_heads=1), random(N, T, SIZE)
    whole, _ = attention.step(x, attention.start(x))
    past, pieces = attention.start(x), []
    for piece in x.split(sizes, 1):
        context, past = attention.step(piece, past)
        pieces.append(context)
    assert_close(torch.cat(pieces, 1), whole)
    assert past.memory().keys.shape == (N, 1, T, HEAD)


@pytest.mark.parametrize("shared", [1, 2, 3, 6])
@pytest.mark.parametrize("weights", [False, True])
def test_heads_that_share_are_heads_with_the_same_weights(shared: int, weights: bool) -> None:
    """Grouped-query attention is multi-head attention in which the rows that make keys and values are repeated."""
    widths = Widths(7, 7, 7)
    grouped = MultiHeadAttention(SIZE, widths, heads=6, key_value_heads=shared).double()
    full = MultiHeadAttention(SIZE, widths, heads=6).double()
    full.query, full.out = grouped.query, grouped.out
    nn.init.normal_(grouped.key_value.bias)
    for name in ("weight", "bias"):
        parts = getattr(grouped.key_value, name).chunk(2)
        repeated = [part.unflatten(0, (shared, 2)).repeat_interleave(6 // shared, 0).flatten(0, 1) for part in parts]
        getattr(full.key_value, name).data = torch.cat(repeated)
    keys = random(N, 4, 7)
    source = Encoded(keys, keys, torch.arange(4)[None] < torch.tensor([[4], [2]]), keys[:, 0])
    got, wanted = (a(random(N, T, SIZE), a.memory(source), weights=weights) for a in (grouped, full))
    assert_close(got.context, wanted.context)
    assert not weights or torch.allclose(got.weights, wanted.weights)
    assert grouped.memory(source).keys.shape == (N, shared, 4, 2)


@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("grad", [False, True])
def test_under_bf16_autocast_the_result_stays_near(kind: str, grad: bool) -> None:
    attention, x = built(kind).float(), random(N, T, SIZE).float()
    for parameter in attention.parameters():
        parameter.data *= 0.3  # scores far apart would turn rounding into another choice
    wanted = attention(x, Memory(*attention.key_values(x)), causal=True).context
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(grad):
        got = attention(x, Memory(*attention.key_values(x)), causal=True).context
    assert got.dtype == torch.bfloat16
    assert_close(got.float(), wanted, rtol=0.05, atol=0.05)
