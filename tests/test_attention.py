"""Each attention is the formula of its paper: held against NumPy, and against PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.attention import AdditiveAttention, Attention, DotAttention, MultiHeadAttention
from seqloom.attention.base import weigh
from seqloom.attention.self_attention import SelfAttention
from seqloom.structures import Encoded, Memory, Widths

N, T, S, QUERY, MEMORY = 3, 4, 6, 8, 10


def of(width: int) -> Widths:
    """Everything is as wide as this."""
    return Widths(width, width, width)


WIDE, SAME = of(MEMORY), of(QUERY)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sources(size: int = MEMORY, *, shared: bool = False) -> Encoded:
    keys = random(N, S, size, seed=1)
    mask = torch.arange(S)[None] < torch.tensor([6, 2, 4])[:, None]
    return Encoded(keys, keys if shared else random(N, S, size, seed=2), mask, keys[:, 0])


def randomized(attention: Attention) -> Attention:
    for seed, parameter in enumerate(attention.parameters()):
        parameter.data = random(*parameter.shape, seed=seed) * 0.5
    return attention


def array(x: Tensor) -> np.ndarray:
    return x.detach().numpy()


def softmax(scores: np.ndarray, mask: Tensor) -> np.ndarray:
    """Over the last dimension of [N, ..., T, S]; 0 where the mask [N, S] is False."""
    shape = (len(mask), *[1] * (scores.ndim - 2), mask.size(1))
    weights = np.exp(scores) * array(mask).reshape(shape)
    return weights / weights.sum(-1, keepdims=True)


def bias(linear: nn.Linear) -> np.ndarray | float:
    return 0.0 if linear.bias is None else array(linear.bias)


def additive(attention: AdditiveAttention, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    W, b, U, v = map(
        array, (attention.query.weight, attention.query.bias, attention.key.weight, attention.score.weight)
    )
    return np.tanh((q @ W.T + b)[:, :, None] + (k @ U.T + bias(attention.key))[:, None]) @ v[0]


def projected(attention: DotAttention, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    assert isinstance(attention.query, nn.Linear) and isinstance(attention.key, nn.Linear)
    W, b, U = map(array, (attention.query.weight, attention.query.bias, attention.key.weight))
    return np.einsum("ntd,nsd->nts", q @ W.T + b, k @ U.T + bias(attention.key))


@pytest.mark.parametrize(
    ("attention", "score"),
    [
        (AdditiveAttention(QUERY, WIDE, size=5), additive),
        (AdditiveAttention(QUERY, WIDE, size=5, key_bias=True), additive),
        (DotAttention(QUERY, SAME), lambda _, q, k: np.einsum("ntd,nsd->nts", q, k)),
        (DotAttention(QUERY, SAME, scaled=True), lambda _, q, k: np.einsum("ntd,nsd->nts", q, k) / np.sqrt(QUERY)),
        (DotAttention(QUERY, WIDE, size=5), projected),
        (DotAttention(QUERY, WIDE, size=5, key_bias=True), projected),
        (DotAttention(QUERY, WIDE, size=5, scaled=True), lambda *given: projected(*given) / np.sqrt(5)),
    ],
    ids=[
        "additive",
        "additive, key bias",
        "dot",
        "scaled dot",
        "projected dot",
        "projected dot, key bias",
        "scaled projected dot",
    ],
)
def test_one_headed_attention_is_its_formula(attention: Attention, score: Callable[..., np.ndarray]) -> None:
    source, query = sources(attention.output_size), random(N, T, QUERY, seed=3)
    attention = randomized(attention)
    seen = attention(query, attention.memory(source), weights=True)
    context, weights = seen.context, seen.weights
    wanted = softmax(score(attention, array(query), array(source.keys)), source.mask)
    assert np.allclose(array(weights)[:, 0], wanted, rtol=0, atol=1e-12)
    assert np.allclose(array(context), wanted @ array(source.values), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [None, 12])
@pytest.mark.parametrize("shared", [False, True])
def test_multi_head_attention_is_its_formula(size: int | None, shared: bool) -> None:
    attention = randomized(MultiHeadAttention(QUERY, WIDE, size=size, heads=2))
    source, query = sources(shared=shared), random(N, T, QUERY, seed=3)
    D = (size or QUERY) // 2

    def heads(x: Tensor, weight: Tensor, bias: Tensor) -> np.ndarray:
        return (array(x) @ array(weight).T + array(bias)).reshape(N, -1, 2, D).transpose(0, 2, 1, 3)  # [N, H, T, D]

    (key_weight, value_weight), (key_bias, value_bias) = (
        attention.key_value.weight.chunk(2),
        attention.key_value.bias.chunk(2),
    )
    q = heads(query, attention.query.weight, attention.query.bias)
    k, v = heads(source.keys, key_weight, key_bias), heads(source.values, value_weight, value_bias)
    wanted = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(D), source.mask)
    context = (wanted @ v).transpose(0, 2, 1, 3).reshape(N, T, 2 * D)
    context = context @ array(attention.out.weight).T + array(attention.out.bias)
    seen = attention(query, attention.memory(source), weights=True)
    got, weights = seen.context, seen.weights
    assert np.allclose(array(weights), wanted, rtol=0, atol=1e-12)
    assert np.allclose(array(got), context, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention_is_that_of_pytorch(weights: bool, causal: bool) -> None:
    """Outputs, weights, and the gradients of inputs and of every parameter."""
    size, length = 12, 5
    ours = randomized(SelfAttention(size, heads=3) if causal else MultiHeadAttention(size, WIDE, heads=3))
    width = size if causal else MEMORY
    theirs = nn.MultiheadAttention(size, 3, kdim=width, vdim=width, batch_first=True, dtype=torch.float64)
    names = ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    parts = [ours.query.weight, *ours.key_value.weight.chunk(2)]
    if causal:
        theirs.in_proj_weight.data = torch.cat(parts).detach()
    else:
        for name, part in zip(names, parts, strict=True):
            getattr(theirs, name).data = part.detach().clone()
    theirs.in_proj_bias.data = torch.cat([ours.query.bias, ours.key_value.bias]).detach()
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data

    queries = [random(N, length, size, seed=3).requires_grad_() for _ in range(2)]
    if causal:
        keys = queries
        memory, padding = Memory(*ours.key_values(queries[0])), None
        forbidden = ~torch.ones(length, length, dtype=torch.bool).tril()
    else:
        source = sources()
        keys = [source.keys.clone().requires_grad_() for _ in range(2)]
        memory = ours.memory(Encoded(keys[0], keys[0], source.mask, source.summary))
        padding, forbidden = ~source.mask, None
    seen = ours(queries[0], memory, weights=weights, **({"causal": True} if causal else {}))
    got, got_weights = seen.context, seen.weights
    wanted, wanted_weights = theirs(
        queries[1], keys[1], keys[1], key_padding_mask=padding, attn_mask=forbidden, average_attn_weights=False
    )
    assert_close(got, wanted)
    assert (got_weights is not None) == weights
    if weights:
        assert_close(got_weights, wanted_weights)

    direction = random(*got.shape, seed=7)
    (got * direction).sum().backward()
    (wanted * direction).sum().backward()
    assert_close(queries[0].grad, queries[1].grad)
    assert_close(keys[0].grad, keys[1].grad)
    of_parts = (
        theirs.in_proj_weight.grad if causal else torch.cat([theirs.q_proj_weight.grad]),
        torch.cat([ours.query.weight.grad, ours.key_value.weight.grad]) if causal else ours.query.weight.grad,
    )
    assert_close(of_parts[1], of_parts[0])
    if not causal:
        assert_close(ours.key_value.weight.grad, torch.cat([theirs.k_proj_weight.grad, theirs.v_proj_weight.grad]))
    assert_close(torch.cat([ours.query.bias.grad, ours.key_value.bias.grad]), theirs.in_proj_bias.grad)
    assert_close(ours.out.weight.grad, theirs.out_proj.weight.grad)
    assert_close(ours.out.bias.grad, theirs.out_proj.bias.grad)


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3), (3, 2), (1, 4), (5,)])
@pytest.mark.parametrize("weights", [False, True])
def test_causal_attention_over_a_growing_memory_is_that_over_the_whole(sizes: tuple[int, ...], weights: bool) -> None:
    attention, x = randomized(SelfAttention(8, heads=2)), random(N, 5, 8)
    seen = attention(x, Memory(*attention.key_values(x)), weights=True, causal=True)
    whole, shares = seen.context, seen.weights
    assert shares is not None and shares.triu(1).abs().max() == 0
    past, pieces = attention.start(x), []
    for piece in x.split(sizes, 1):
        past = past.extend(*attention.key_values(piece))
        pieces.append(attention(piece, past.memory(), weights=weights, causal=True).context)
    assert_close(torch.cat(pieces, 1), whole)


@pytest.mark.parametrize("causal", [False, True])
def test_the_written_out_path_has_the_gradients_of_the_fused_one(causal: bool) -> None:
    attention, grads = randomized(SelfAttention(8, heads=2)), []
    for weights in (False, True):
        x = random(N, 5, 8).requires_grad_()
        attention.zero_grad()
        context = attention(x, Memory(*attention.key_values(x)), weights=weights, causal=causal).context
        (context * random(*context.shape, seed=5)).sum().backward()
        grads.append([x.grad, *(parameter.grad.clone() for parameter in attention.parameters())])
    for fused, written in zip(*grads, strict=True):
        assert_close(fused, written)


def test_under_bf16_autocast_the_result_stays_near() -> None:
    attention = SelfAttention(8, heads=2)
    x = random(N, 5, 8).float()
    wanted = attention(x, Memory(*attention.key_values(x)), causal=True).context
    with torch.autocast("cpu", torch.bfloat16):
        for weights in (False, True):
            got = attention(x, Memory(*attention.key_values(x)), weights=weights, causal=True).context
            assert got.dtype == torch.bfloat16
            assert_close(got.float(), wanted, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: DotAttention(8, of(10)),
            "a dot product needs query and memory of one width, got 8 and 10; give size: to project both",
        ),
        (lambda: MultiHeadAttention(8, of(8), heads=3), "size must be a multiple of heads, got size 8 and 3 heads"),
        (
            lambda: MultiHeadAttention(8, of(8), size=9, heads=2),
            "size must be a multiple of heads, got size 9 and 2 heads",
        ),
        (lambda: MultiHeadAttention(8, of(8), heads=0), "size must be a multiple of heads, got size 8 and 0 heads"),
        (
            lambda: MultiHeadAttention(8, of(8), heads=4, key_value_heads=3),
            "heads must be a multiple of key_value_heads, got 4 and 3",
        ),
    ],
)
def test_widths_that_do_not_fit_are_refused(build: Callable[[], Attention], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value) == sentence


@pytest.mark.parametrize("S", [1, 7, 15, 16, 40])
def test_many_short_rows_are_weighed_as_few_are(S: int) -> None:
    """They go another way in a search, across the rows."""
    scores, mask = random(50, 2, 12, S), torch.rand(50, 1, 1, S, generator=torch.Generator().manual_seed(1)) < 0.7
    mask[..., 0] = True
    wanted = torch.stack([weigh(row, real) for row, real in zip(scores, mask, strict=True)])
    with torch.inference_mode():
        got = weigh(scores, mask)
    assert_close(got, wanted)
    assert got.is_contiguous() and got.masked_select(~mask).abs().sum() == 0
