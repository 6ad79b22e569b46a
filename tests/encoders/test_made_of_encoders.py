"""Encoders made of encoders say what their parts, asked one by one, say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.attention import AdditiveAttention, General, GeneralAttention
from seqloom.attention.co_attention import ParallelCoAttention
from seqloom.encoders import (
    CascadedEncoder,
    Encoder,
    FactoredEncoder,
    HierarchicalEncoder,
    MultiColumnEncoder,
    PoolingEncoder,
    QueryPoolingEncoder,
    RNNEncoder,
    SelfAttentiveEncoder,
    TransformerEncoder,
    TwoSourceEncoder,
)
from seqloom.encoders.parts import one_each, places
from seqloom.encoders.two_sources import apart
from seqloom.layers.embedding import Embedding
from seqloom.structures import Sequences

RNN = partial(RNNEncoder, size=5)
TRANSFORMER = partial(TransformerEncoder, layers=1, heads=2, feedforward=8)
STRIDING = partial(PoolingEncoder, pool_size=2, stride=2)
ATTENTION = partial(AdditiveAttention, size=7)
ROWS = [[3, 4, 1, 5, 1, 2, 2, 3, 1], [4, 1], [5, 3, 2, 1, 4]]  # an eos (1) ends each part; the last one is cut off


@pytest.fixture
def build() -> Callable[..., Any]:
    """Makes an encoder in float64, with weights that aren't those it would start from."""

    def built(cls: type[Encoder], **options: Any) -> Any:
        torch.manual_seed(0)
        encoder = cls(Embedding(6, 8), **options)  # type: ignore[call-arg]
        for parameter in encoder.parameters():
            nn.init.normal_(parameter, std=0.4)
        return encoder.double().eval()

    return built


def batch(rows: list[list[int]]) -> Sequences:
    """Rows of ids, padded with symbols that must not matter."""
    length = max(map(len, rows))
    mask = torch.arange(length) < torch.tensor([[len(row)] for row in rows])
    return Sequences(torch.tensor([row + [4] * (length - len(row)) for row in rows]), mask)


def parts_of(row: list[int]) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for token in row:
        parts[-1].append(token)
        if token == 1:
            parts.append([])
    return [part for part in parts if part]


def scaled(x: Tensor, norm: nn.Module) -> Tensor:
    return norm(x) / x.size(-1) ** 0.5  # type: ignore[no-any-return]


# --- Parts ------------------------------------------------------------------------------------------------------------


def test_each_token_has_a_place_in_a_part() -> None:
    where, number = places(batch(ROWS)), 0
    for b, row in enumerate(ROWS):
        begin = 0
        for p, part in enumerate(parts_of(row)):
            span = slice(begin, begin + len(part))
            assert where.part[b, span].tolist() == [p] * len(part)
            assert where.place[b, span].tolist() == list(range(len(part)))
            assert where.number[b, span].tolist() == [number] * len(part)
            begin, number = begin + len(part), number + 1


def test_parts_can_be_sentences_of_their_own() -> None:
    source = batch(ROWS)
    alone = one_each(source, places(source))
    found = [ids[mask].tolist() for ids, mask in zip(alone.ids, alone.mask, strict=True)]
    assert found == [part for row in ROWS for part in parts_of(row)]


def test_the_second_text_is_what_stands_behind_the_first() -> None:
    one, two = apart(batch(ROWS))
    assert [ids[mask].tolist() for ids, mask in zip(one.ids, one.mask, strict=True)] == [
        parts_of(row)[0] for row in ROWS
    ]
    assert [ids[mask].tolist() for ids, mask in zip(two.ids, two.mask, strict=True)] == [
        [5, 1, 2, 2, 3, 1],
        [1],
        [4],
    ]


# --- Cascades and columns ---------------------------------------------------------------------------------------------


def test_a_cascade_is_the_second_on_the_normalised_first(build: Callable[..., Any]) -> None:
    cascade, source = build(CascadedEncoder, first=RNN, second=TRANSFORMER), batch(ROWS)
    below = cascade.first(source).values
    normalised = torch.nn.functional.layer_norm(below, (10,)) * cascade.second.embedding.norm.weight
    embedded = (normalised + cascade.second.embedding.norm.bias) / 10**0.5
    assert_close(cascade.second.embedding(below), embedded)
    wanted = cascade.second(Sequences(below, source.mask))
    assert_close(cascade(source).keys, wanted.keys)


def test_a_frozen_first_learns_nothing(build: Callable[..., Any]) -> None:
    cascade = build(CascadedEncoder, first=RNN, second=RNN, freeze_first=True)
    cascade(batch(ROWS)).keys.sum().backward()
    assert all(parameter.grad is None for parameter in cascade.first.parameters())
    assert all(parameter.grad is not None for parameter in cascade.second.parameters())


def test_positions_of_a_cascade_are_those_of_both(build: Callable[..., Any]) -> None:
    assert build(CascadedEncoder, first=STRIDING, second=STRIDING).labels(list("abcdefg")) == ["a b c d", "e f g"]


def test_columns_stand_side_by_side(build: Callable[..., Any]) -> None:
    encoder, source = build(MultiColumnEncoder, columns=(RNN, TRANSFORMER), size=6), batch(ROWS)
    rnn, transformer = (column(source) for column in encoder.columns)
    norms = encoder.keys.norms
    both = torch.cat([norms[0](rnn.keys), norms[1](transformer.keys)], -1)
    wanted = both @ encoder.keys.linear.weight.mT + encoder.keys.linear.bias
    assert_close(encoder(source).keys, wanted)
    assert_close(encoder(source).summary, torch.cat([rnn.summary, transformer.summary], -1))


# --- Pooling ----------------------------------------------------------------------------------------------------------


def test_hops_are_means_of_what_the_encoder_says(build: Callable[..., Any]) -> None:
    encoder = build(SelfAttentiveEncoder, encoder=RNN, hops=3, size=4, penalty=0.5)
    source = batch(ROWS)
    said, result = encoder.encoder(source), encoder(source)
    pooled = encoder.pooling(said.values, said.mask)
    assert_close(result.values, pooled.vectors)
    assert_close(result.penalty, 0.5 * pooled.penalty)
    assert encoder.labels(["any", "number"]) == ["hop 1", "hop 2", "hop 3"]


def test_queries_have_positions(build: Callable[..., Any]) -> None:
    encoder = build(QueryPoolingEncoder, encoder=RNN, attention=ATTENTION, queries=2, size=4)
    assert encoder(batch(ROWS)).keys.shape == (3, 2, 10)
    assert encoder.labels(["one"]) == ["query 1", "query 2"]


# --- Words and sentences ----------------------------------------------------------------------------------------------


def test_sentences_are_made_of_words_as_in_the_paper(build: Callable[..., Any]) -> None:
    encoder = build(HierarchicalEncoder, words=RNN, sentences=RNN, attention=ATTENTION, size=3)
    together = encoder(batch(ROWS), weights=True)
    for b, row in enumerate(ROWS):
        words = [encoder.words(batch([part])).keys[0] for part in parts_of(row)]
        shares = [asked(encoder.word_attention, x) for x in words]
        vectors = torch.stack([share @ x for share, x in zip(shares, words, strict=True)])
        sentences = encoder.sentences(Sequences(vectors[None], torch.ones(1, len(vectors), dtype=torch.bool))).keys[0]
        share = asked(encoder.sentence_attention, sentences)
        assert_close(together.summary[b], share @ sentences)
        beside = [torch.cat([x, s.expand(len(x), -1)], -1) for x, s in zip(words, sentences, strict=True)]
        assert_close(together.keys[b, : len(row)], torch.cat(beside))
        importance = torch.cat([own * one for own, one in zip(shares, share, strict=True)])
        assert_close(together.attention[b, 1, 0, 0, : len(row)], importance)
        own = torch.block_diag(*(one.expand(len(one), -1) for one in shares))
        assert_close(together.attention[b, 0, 0, : len(row), : len(row)], own)


def asked(pooling: Any, x: Tensor) -> Tensor:
    """Weights [S] of features [S, D]: softmax of v . tanh(W q + U x)."""
    attention = pooling.attention
    hidden = torch.tanh(attention.query(pooling.queries) + attention.key(x))
    return (hidden @ attention.score.weight[0]).softmax(-1)


def test_a_word_weighs_its_own_weight_times_its_sentences(build: Callable[..., Any]) -> None:
    """https://arxiv.org/abs/1602.06023, 3.3."""
    encoder, source = build(HierarchicalEncoder, words=RNN, sentences=RNN, attention=ATTENTION), batch(ROWS)
    encoded, where = encoder(source), places(source)
    attention = GeneralAttention(6, encoder.widths, compatibility=General).double()
    query = torch.randn(3, 1, 6, dtype=torch.float64)
    weights = attention(query, attention.memory(encoded), weights=True).weights[:, 0, 0]
    zeros = torch.zeros_like(encoded.keys)
    word, sentence = (encoded.keys.where(half, zeros) for half in (torch.arange(20) < 10, torch.arange(20) >= 10))
    question = attention.compatibility.query(query)
    of_words, of_sentences = ((question @ keys.mT)[:, 0].exp() for keys in (word, sentence))
    product = of_words * of_sentences * source.mask
    assert_close(weights, product / product.sum(1, keepdim=True))
    for row, parts in zip(of_sentences, where.part, strict=True):
        assert all(row[parts == part].std(correction=0) < 1e-9 for part in parts.unique())


# --- Two sources ------------------------------------------------------------------------------------------------------


def test_each_text_is_encoded_by_itself(build: Callable[..., Any]) -> None:
    encoder, source = build(TwoSourceEncoder, first=RNN, second=TRANSFORMER, size=6), batch(ROWS)
    result = encoder(source)
    for b, (one, two) in enumerate([([3, 4, 1], [5, 1, 2, 2, 3, 1]), ([4, 1], []), ([5, 3, 2, 1], [4])]):
        first, second = encoder.first(batch([one])), encoder.second(batch([two or [1]]))
        keys = encoder.keys[0](first.keys)[0], encoder.keys[1](second.keys)[0]
        assert_close(result.keys[b, : len(one) + len(two)], torch.cat(keys)[: len(one) + len(two)])
        assert_close(result.summary[b], torch.cat([first.summary, second.summary], -1)[0])


def test_a_text_knows_of_the_other_by_co_attention(build: Callable[..., Any]) -> None:
    plain = build(TwoSourceEncoder, first=RNN, size=6)
    knowing = build(TwoSourceEncoder, first=RNN, size=6, co_attention=partial(ParallelCoAttention, size=4))
    one, other = batch([[3, 4, 1, 5, 1]]), batch([[3, 4, 1, 2, 1]])
    assert_close(plain(one).keys[:, :3], plain(other).keys[:, :3])
    assert (knowing(one).keys - knowing(other).keys)[:, :3].abs().amax(-1).min() > 1e-6


def test_self_attention_stays_within_a_text(build: Callable[..., Any]) -> None:
    encoder = build(TwoSourceEncoder, first=TRANSFORMER, second=TRANSFORMER)
    shown = encoder(batch(ROWS), weights=True).attention
    assert shown[0, ..., :3, 3:].max() == 0 == shown[0, ..., 3:, :3].max()
    alone = encoder.first(batch([[3, 4, 1]]), weights=True).attention
    assert_close(shown[0, ..., :3, :3], alone[0])


# --- Factors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("combine", ["sum", "concat"])
def test_factors_are_read_with_their_word(build: Callable[..., Any], combine: str) -> None:
    encoder = build(FactoredEncoder, encoder=RNN, combine=combine)
    table = encoder.embedding.table.weight
    words, factors = table[torch.tensor([3, 5, 1])], table[torch.tensor([4, 2, 0])] * torch.tensor([[1.0], [1.0], [0]])
    if combine == "sum":
        features = words + factors
    else:
        features = torch.cat([words, factors], -1) @ encoder.mixture.weight.mT
    wanted = encoder.encoder(Sequences(features[None], torch.ones(1, 3, dtype=torch.bool)))
    result = encoder(batch([[3, 4, 5, 2, 1], [4, 2, 5, 3, 2, 3, 1]])).select(torch.tensor([0]))
    assert_close(result.keys[:, :3], wanted.keys)
    assert result.ids.tolist() == [[3, 5, 1, 4]] and result.mask.tolist() == [[True, True, True, False]]


def test_positions_are_called_by_their_words(build: Callable[..., Any]) -> None:
    encoder = build(FactoredEncoder, encoder=RNN, factors=3)
    assert encoder.labels(["dogs", "|NNS", "||dog", "bark", "|VBP", "||bark", "</s>"]) == ["dogs", "bark", "</s>"]


# --- What can't be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "options", "sentence"),
    [
        (
            CascadedEncoder,
            {"first": RNN, "second": partial(TwoSourceEncoder, first=RNN)},
            "TwoSourceEncoder reads",
        ),
        (FactoredEncoder, {"encoder": partial(FactoredEncoder, encoder=RNN)}, "FactoredEncoder reads symbols"),
        (MultiColumnEncoder, {"columns": ()}, "at least one encoder"),
        (MultiColumnEncoder, {"columns": (RNN, STRIDING)}, "RNNEncoder, PoolingEncoder differ"),
        (HierarchicalEncoder, {"words": STRIDING, "sentences": RNN}, "words needs .* not PoolingEncoder"),
        (HierarchicalEncoder, {"words": RNN, "sentences": STRIDING}, "sentences needs .* not PoolingEncoder"),
        (TwoSourceEncoder, {"first": STRIDING}, "first needs .* not PoolingEncoder"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_does_not_fit_is_refused(
    build: Callable[..., Any], cls: type[Encoder], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        build(cls, **options)
