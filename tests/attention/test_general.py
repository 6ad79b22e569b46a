"""Every compatibility under every distribution is what NumPy makes of the formulas."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.attention import (
    ActivatedGeneral,
    Additive,
    AdditiveAttention,
    Attention,
    BiasedGeneral,
    Compatibility,
    Convolutional,
    CosineSimilarity,
    Deep,
    Distribution,
    Dot,
    DotAttention,
    Entmax,
    General,
    GeneralAttention,
    Location,
    MultiHeadAttention,
    ScaledDot,
)
from seqloom.config.root import read_config
from seqloom.decoders import InputFeedingDecoder, RNNDecoder
from seqloom.layers.embedding import Embedding
from seqloom.registry import ConfigError, known, resolve
from seqloom.structures import Encoded, Widths

Array = np.ndarray
N, T, S, QUERY, HEADS = 3, 4, 6, 8, 2
WIDTHS, SAME = Widths(10, 9, 7), Widths(QUERY, 6, 7)
MASK = torch.arange(S) < torch.tensor([S, 1, 4])[:, None]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def source(widths: Widths) -> Encoded:
    return Encoded(random(N, S, widths.keys, seed=1), random(N, S, widths.values, seed=2), MASK, random(N, 7, seed=3))


def made(widths: Widths = SAME, *, deviation: float = 0.5, **options: Any) -> GeneralAttention:
    """A general attention with random weights, in float64, as it is in use."""
    attention = GeneralAttention(QUERY, widths, **options).eval()
    for seed, parameter in enumerate(attention.parameters()):
        parameter.data = random(*parameter.shape, seed=seed) * deviation
    return attention


# --- What NumPy says --------------------------------------------------------------------------------------------------
# Scores of one head: `w` are the parameters by their names, of which some have a part for each head.


def heads_of(x: Array, h: int, *last: Array) -> Array:
    return np.split(x, HEADS, -1)[h]


def projections(w: dict[str, Array], q: Array, k: Array) -> tuple[Array, Array]:
    return (q @ w["query.weight"].T + w["query.bias"], k @ w["key.weight"].T) if w else (q, k)


def dot(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    q, k = projections(w, q, k)
    return np.einsum("ntd,nsd->nts", heads_of(q, h), heads_of(k, h))


def scaled_dot(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    return dot(w, q, k, h) / np.sqrt(projections(w, q, k)[0].shape[-1] / HEADS)


def cosine(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    lengths = [np.linalg.norm(heads_of(x, h), axis=-1) for x in projections(w, q, k)]
    return dot(w, q, k, h) / (lengths[0][:, :, None] * lengths[1][:, None])


def general(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    return np.einsum("ntq,kq,nsk->nts", q, np.split(w["query.weight"], HEADS)[h], k)


def biased_general(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    return general(w, q, k, h) + (k @ heads_of(w["query.bias"], h))[:, None]


def activated_general(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    return np.tanh(general(w, q, k, h) + w["bias"][h])


def pairs(q: Array, k: Array) -> Array:
    """[N, T, S, Q + K]."""
    q, k = np.repeat(q[:, :, None], k.shape[1], 2), np.repeat(k[:, None], q.shape[1], 1)
    return np.concatenate([q, k], -1)


def concat(w: dict[str, Array], q: Array, k: Array) -> Array:
    return np.tanh(pairs(q, k) @ np.concatenate([w["query.weight"], w["key.weight"]], 1).T + w["query.bias"])


def additive(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    return concat(w, q, k) @ w["score.weight"][h]


def deep(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    return np.tanh(concat(w, q, k) @ w["layers.0.weight"].T + w["layers.0.bias"]) @ w["score.weight"][h]


def location(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    (W, b), length = (np.split(w[name], HEADS)[h] for name in ("query.weight", "query.bias")), k.shape[1]
    scores = np.full((*q.shape[:2], length), -1e4)
    scores[..., : len(W)] = (q @ W.T + b)[..., :length]
    return scores


def convolutional(w: dict[str, Array], q: Array, k: Array, h: int, *last: Array) -> Array:
    (a,), F = last, w["filters.weight"]  # [N, H, S] and [filters, H, kernel]
    padded = np.pad(a, ((0, 0), (0, 0), (F.shape[-1] // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, F.shape[-1], -1)  # [N, H, S, kernel]
    places = np.einsum("nhsj,fhj->nsf", windows, F) @ w["place.weight"].T
    hidden = pairs(q, k) @ np.concatenate([w["query.weight"], w["key.weight"]], 1).T + w["query.bias"]
    return np.tanh(hidden + places[:, None]) @ w["score.weight"][h]


SCORES: dict[str, tuple[Callable[..., Compatibility], Widths, Callable[..., Array]]] = {
    "Dot": (Dot, SAME, dot),
    "Dot, projected": (partial(Dot, size=6), WIDTHS, dot),
    "ScaledDot": (ScaledDot, SAME, scaled_dot),
    "ScaledDot, projected": (partial(ScaledDot, size=6), WIDTHS, scaled_dot),
    "CosineSimilarity": (CosineSimilarity, SAME, cosine),
    "CosineSimilarity, projected": (partial(CosineSimilarity, size=6), WIDTHS, cosine),
    "General": (General, WIDTHS, general),
    "BiasedGeneral": (BiasedGeneral, WIDTHS, biased_general),
    "ActivatedGeneral": (ActivatedGeneral, WIDTHS, activated_general),
    "Additive": (partial(Additive, size=5), WIDTHS, additive),
    "Deep": (partial(Deep, size=5), WIDTHS, deep),
    "Location": (Location, WIDTHS, location),
    "Location, of few": (partial(Location, positions=4), WIDTHS, location),
    "Convolutional": (partial(Convolutional, size=5, filters=3, kernel=5), WIDTHS, convolutional),
}

# Weights of one row of scores [S] without padding: `w` are the parameters of that head, q is the query.


def softmax(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    return np.exp(e) / np.exp(e).sum()


def sigmoid(e: Array, *_: Any) -> Array:
    return 1 / (1 + np.exp(-np.maximum(e, -500)))


def sparsemax(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    z = np.sort(e)[::-1]
    k = max(j for j in range(1, len(e) + 1) if 1 + j * z[j - 1] > z[:j].sum())
    return np.maximum(e - (z[:k].sum() - 1) / k, 0)


def entmax(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    low, high = e.max() / 2 - 1, e.max() / 2
    for _ in range(60):
        tau = (low + high) / 2
        low, high = (tau, high) if (np.maximum(e / 2 - tau, 0) ** 2).sum() > 1 else (low, tau)
    return np.maximum(e / 2 - low, 0) ** 2


def hard(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    return np.eye(len(e))[e.argmax()]


def local_monotonic(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    near = np.exp(e) * (abs(np.arange(len(e)) - min(*step, len(e))) <= 1)
    return near / near.sum()


def predicted(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    return len(e) * sigmoid(w["shares.weight"] @ np.tanh(w["hidden.weight"] @ q))


def local_predictive(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    (place,), s = predicted(e, w, q), np.arange(len(e))
    near = np.exp(e) * (abs(s - place) <= 3)
    return near / near.sum() * np.exp(-((s - place) ** 2) / (2 * 1.5**2))


def gaussian_bias(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    place, window = predicted(e, w, q)
    return softmax(e - (np.arange(len(e)) - place) ** 2 / (2 * (window / 2) ** 2), w, q)


def linear_chain(e: Array, w: dict[str, Array], q: Array, *step: int) -> Array:
    z = np.array(list(itertools.product([0, 1], repeat=len(e))))
    p = np.exp(z @ e + w["transitions"][z[:, :-1], z[:, 1:]].sum(-1))
    return np.asarray(p @ z / p.sum())


WEIGHTS = {
    "Softmax": ({}, softmax),
    "Sigmoid": ({}, sigmoid),
    "Sparsemax": ({}, sparsemax),
    "Entmax": ({}, entmax),
    "Hard": ({}, hard),
    "Reinforce": ({}, hard),
    "LocalMonotonic": ({"window": 1}, local_monotonic),
    "LocalPredictive": ({"window": 3, "size": 5}, local_predictive),
    "GaussianBias": ({}, gaussian_bias),
    "LinearChain": ({}, linear_chain),
}


def arrays(module: nn.Module) -> dict[str, Array]:
    return {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}


def of_head(name: str, value: Array, h: int, *last: Array) -> Array:
    """What one head has of a distribution's parameter."""
    if name == "shares.weight":  # places of all heads, then windows of all heads
        return value[h::HEADS]
    return value[h] if name == "transitions" else value


def wanted_weights(attention: GeneralAttention, score: Any, weigh: Any, query: Tensor, keys: Tensor) -> Array:
    """[N, H, T, S], row by row."""
    weights, w = np.zeros((N, HEADS, T, S)), arrays(attention.distribution)
    for t, h in itertools.product(range(T), range(HEADS)):
        last = weights[:, :, t - 1] if t else np.zeros((N, HEADS, S))
        scores = score(arrays(attention.compatibility), query[:, t : t + 1].numpy(), keys.numpy(), h, last)
        mine = {name: of_head(name, value, h) for name, value in w.items()}
        for n in range(N):
            length = int(MASK[n].sum())
            weights[n, h, t, :length] = weigh(scores[n, 0, :length], mine, query[n, t].numpy(), t)
    return weights


def test_every_part_is_held_against_numpy() -> None:
    for base, names in ((Compatibility, {name.split(",")[0] for name in SCORES}), (Distribution, set(WEIGHTS))):
        assert {cls.__name__ for cls in known(base) if cls.__module__.startswith("seqloom.")} == names  # type: ignore


@pytest.mark.parametrize("distribution", WEIGHTS)
@pytest.mark.parametrize("compatibility", SCORES)
def test_every_pair_is_its_formulas(compatibility: str, distribution: str) -> None:
    factory, widths, score = SCORES[compatibility]
    options, weigh = WEIGHTS[distribution]
    part = partial(resolve(distribution, Distribution), **options)  # type: ignore[type-abstract, arg-type]
    widths = Widths(widths.keys, 6, 7)
    attention = made(widths, compatibility=factory, distribution=part, heads=HEADS)
    query, looked_at = random(N, T, QUERY, seed=7), source(widths)
    seen = attention(query, attention.memory(looked_at), weights=True)
    context, weights = seen.context, seen.weights
    assert weights is not None
    wanted = wanted_weights(attention, score, weigh, query, looked_at.keys)
    np.testing.assert_allclose(weights.detach(), wanted, rtol=0, atol=1e-6)
    seen = [wanted[:, h] @ heads_of(looked_at.values.numpy(), h) for h in range(HEADS)]
    np.testing.assert_allclose(context.detach(), np.concatenate(seen, -1), rtol=0, atol=1e-6)


# --- Special cases have classes of their own --------------------------------------------------------------------------


def assert_same(one: Attention, other: Attention, widths: Widths) -> None:
    query, both = random(N, T, QUERY, seed=7), (one, other)
    seen, wanted = (a(query, a.memory(source(widths)), weights=True) for a in both)
    assert_close(seen.context, wanted.context)
    assert_close(seen.weights, wanted.weights)


def test_additive_under_softmax_is_additive_attention() -> None:
    attention, special = made(WIDTHS, compatibility=partial(Additive, size=5)), AdditiveAttention(QUERY, WIDTHS, size=5)
    special.double().load_state_dict(attention.compatibility.state_dict())
    assert_same(attention, special, WIDTHS)


@pytest.mark.parametrize(("part", "scaled"), [(Dot, False), (ScaledDot, True)])
def test_dot_under_softmax_is_dot_attention(part: type[Dot], scaled: bool) -> None:
    attention = made(WIDTHS, compatibility=partial(part, size=6))
    special = DotAttention(QUERY, WIDTHS, size=6, scaled=scaled)
    special.double().load_state_dict(attention.compatibility.state_dict())
    assert_same(attention, special, WIDTHS)


def test_scaled_dot_with_projected_values_is_multi_head_attention() -> None:
    widths = Widths(10, 10, 7)
    attention = made(widths, compatibility=partial(ScaledDot, size=12), heads=3, size=12)
    special, parts = MultiHeadAttention(QUERY, widths, size=12, heads=3), cast(Dot, attention.compatibility)
    special.query, special.out = cast(nn.Linear, parts.query), cast(nn.Linear, attention.out)
    key, value = cast(nn.Linear, parts.key), cast(nn.Linear, attention.value)
    special.key_value.weight.data = torch.cat([key.weight, value.weight]).detach()
    special.key_value.bias.data = torch.cat([torch.zeros(12), value.bias]).detach()
    assert_same(attention, special, widths)


def test_a_head_for_each_feature_is_attention_of_that_feature_alone() -> None:
    attention = made(compatibility=partial(Additive, size=5), heads="features")
    query, looked_at = random(N, T, QUERY, seed=7), source(SAME)
    seen = attention(query, attention.memory(looked_at), weights=True)
    context, weights = seen.context, seen.weights
    assert weights is not None and weights.shape == (N, SAME.values, T, S)
    assert_close(context, torch.einsum("nfts,nsf->ntf", weights, looked_at.values))
    assert not torch.allclose(weights[:, 0], weights[:, 1])


def test_concat_is_another_name_of_additive() -> None:
    assert resolve("Concat", Compatibility) is Additive  # type: ignore[type-abstract]


# --- In use -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", known(Distribution), ids=lambda cls: cls.__name__)  # type: ignore[type-abstract]
@pytest.mark.parametrize("decoder", [RNNDecoder, InputFeedingDecoder])
@pytest.mark.parametrize("coverage", [None, 1.0], ids=["", "coverage"])
def test_a_decoder_can_go_on_from_any_token_with_other_rows(decoder: Any, distribution: Any, coverage: Any) -> None:
    torch.manual_seed(0)
    parts = {"compatibility": BiasedGeneral, "distribution": distribution, "coverage": coverage}
    built = decoder(Embedding(6, 12), WIDTHS, attention=partial(GeneralAttention, heads=3, **parts), size=QUERY)
    built.double().eval()
    tokens, looked_at = torch.tensor([[0, 4, 5, 3, 2]] * N), source(WIDTHS)
    whole, _ = built(tokens, built.start(looked_at))
    state, order, rows = built.start(looked_at), torch.arange(N), torch.tensor([2, 0, 2])
    for t in range(5):
        state, order = state.select(rows), order[rows]  # as a search does at every step
        output, state = built(tokens[:, t : t + 1], state)
        assert_close(output.features[:, 0], whole.features[order, t])


# Hard and windowed weights jump where rounding changes the best position or the window's ends, so they can't stay near.
STEADY = ["Softmax", "Sigmoid", "Sparsemax", "Entmax", "GaussianBias", "LinearChain"]


@pytest.mark.parametrize("distribution", STEADY)
@pytest.mark.parametrize("compatibility", SCORES)
def test_under_bf16_autocast_the_result_stays_near(compatibility: str, distribution: str) -> None:
    factory, widths, _ = SCORES[compatibility]
    widths, part = Widths(widths.keys, 6, 7), resolve(distribution, Distribution)  # type: ignore[type-abstract]
    attention = made(widths, deviation=0.25, compatibility=factory, distribution=part, heads=HEADS, size=6).float()
    query, x = random(N, T, QUERY, seed=7).float(), source(widths)
    looked_at = Encoded(x.keys.float(), x.values.float(), MASK, x.summary.float())
    seen = attention(query, attention.memory(looked_at), weights=True)
    wanted, shares = seen.context, seen.weights
    with torch.autocast("cpu", torch.bfloat16):
        seen = attention(query, attention.memory(looked_at), weights=True)
        got, weights = seen.context, seen.weights
    assert weights is not None and weights.dtype == torch.float32 and got.dtype == torch.bfloat16
    assert weights.masked_select(~MASK[:, None, None]).abs().max() == 0
    assert_close(weights, shares, rtol=0, atol=0.03)
    assert_close(got.float(), wanted, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: made(WIDTHS, compatibility=ScaledDot),
            "ScaledDot compares query and key feature by feature, but they are 8 and 10 wide; "
            "give size: to project both",
        ),
        (lambda: made(compatibility=Dot, heads=3), "3 heads can't share 8 features evenly"),
        (lambda: made(compatibility=partial(Dot, size=5), heads=2), "2 heads can't share 5 features evenly"),
        (lambda: made(heads=4), "4 heads can't share 6 features evenly"),
        (lambda: made(heads=4, size=10), "4 heads can't share 10 features evenly"),
        (lambda: made(heads=0), "0 heads can't share 6 features evenly"),
    ],
)
def test_widths_that_do_not_fit_are_refused(build: Callable[[], Attention], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value) == sentence


FILE = """\
data: {{train: {{source: a, target: b}}}}
model:
  class: EncoderDecoder
  encoder: {{class: RNNEncoder, size: 8}}
  decoder:
    class: RNNDecoder
    size: 12
    attention:
      class: GeneralAttention
      {parts}
"""


def attention_of(folder: Path, parts: str) -> Any:
    """The attention that a file describes, built under an encoder whose keys and values are 16 wide."""
    path = folder / "file.yml"
    path.write_text(FILE.format(parts=parts.replace("\n", "\n      ")))
    decoder = read_config(path).model.parameters["decoder"]  # type: ignore[attr-defined]
    return decoder(embedding=Embedding(6, 12), widths=Widths(16, 16, 16)).attention


def test_a_file_combines_parts_by_their_names(tmp_path: Path) -> None:
    attention = attention_of(tmp_path, "compatibility: {class: Concat, size: 5}\ndistribution: Entmax\nheads: 4")
    assert isinstance(attention.compatibility, Additive) and isinstance(attention.distribution, Entmax)
    assert attention.heads == 4
    assert attention_of(tmp_path, "heads: features").heads == 16
    looking_back = attention_of(tmp_path, "compatibility: {class: Convolutional, kernel: 3}\ncoverage: 1.0")
    assert looking_back.looks_back and looking_back.coverage_weight == 1


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            "compatibility: Softmax",
            "10:22: model.decoder.attention.compatibility.class: 'Softmax' is not a Compatibility; known: "
            "ActivatedGeneral, Additive, BiasedGeneral, Convolutional, CosineSimilarity, Deep, Dot, General, Location, "
            "ScaledDot",
        ),
        (
            "distribution: Sparsmax",
            "10:21: model.decoder.attention.distribution.class: no Distribution is named 'Sparsmax'; "
            "did you mean 'Sparsemax'?",
        ),
        (
            "distribution: {class: Sparsemax, temperature: 2}",
            "10:40: model.decoder.attention.distribution.temperature: Sparsemax has no such parameter",
        ),
        (
            "compatibility: Dot",
            "10:7: model.decoder.attention.compatibility: Dot compares query and key feature by feature, but they are "
            "12 and 16 wide; give size: to project both",
        ),
        (
            "compatibility: Location\ncoverage: 1",
            "8:5: model.decoder.attention: coverage is a feature of keys, and Location doesn't look at them; "
            "leave one of the two out",
        ),
        ("coverage: -1", "10:17: model.decoder.attention.coverage: expected a number or null, got -1"),
        ("heads: 5", "8:5: model.decoder.attention: 5 heads can't share 16 features evenly"),
        ("heads: some", "10:14: model.decoder.attention.heads: expected an integer or features, got 'some'"),
        (
            "distribution: {class: Softmax, temperature: 0}",
            "10:51: model.decoder.attention.distribution.temperature: expected at least 0.001, got 0.0",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named_with_their_place(tmp_path: Path, parts: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        attention_of(tmp_path, parts)
    assert str(caught.value) == f"{tmp_path}/file.yml:{sentence}"
