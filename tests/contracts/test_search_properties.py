"""What holds of every search, whatever is drawn: sources, their company, padding and options; and of every text."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from translators import ANY_TEXT

from seqloom.attention import AdditiveAttention
from seqloom.decoders import Decoder, RNNDecoder
from seqloom.encoders import Encoder
from seqloom.engines.native import NativeEngine
from seqloom.layers.embedding import Embedding
from seqloom.models import Model
from seqloom.search import Recorder, SearchOptions, Trace, beam_search
from seqloom.structures import Encoded
from seqloom.tokenizers import Characters, Tokenizers
from seqloom.translate import Translator
from seqloom.vocabulary import EOS

from .conftest import QUERY, SYMBOLS, Case
from .test_resume import Pair, Reader
from .test_search import assert_same, only, teacher_forced

SourceOf = Callable[..., Encoded]
LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=4)

# There are hundreds of cases, so each gets few examples; modules are values, which no example changes.
few = settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def searches(draw: st.DrawFn) -> SearchOptions:
    """Options of any plain beam."""
    beam_size = draw(st.integers(1, 5))
    return SearchOptions(
        beam_size=beam_size,
        n_best=draw(st.integers(1, beam_size)),
        patience=draw(st.sampled_from([1.0, 2.0, math.inf])),
        length_penalty=draw(st.sampled_from([-0.5, 0.0, 0.6, 1.0])),
        length_penalty_kind=draw(st.sampled_from(["gnmt", "average", "none"])),
        min_length=draw(st.integers(1, 3)),
        max_length=draw(st.integers(3, 9)),
    )


def alone(source: Encoded, row: int, length: int) -> Encoded:
    """One sentence without any padding."""
    one = only(source, row)
    keys, values, mask = (x[:, :length] for x in (one.keys, one.values, one.mask))
    return Encoded(keys, values, mask, one.summary, ids=None if one.ids is None else one.ids[:, :length])


@few
@given(LENGTHS, st.integers(0, 3), st.sampled_from([0.0, -7.0, 1e4]), st.randoms(use_true_random=False), searches())
def test_neither_company_nor_order_nor_padding_counts(
    decoder: Decoder, source: SourceOf, lengths: list[int], padding: int, garbage: float, draw: Any, options: Any
) -> None:
    together = source(lengths, padding=padding, garbage=garbage)
    order = draw.sample(range(len(lengths)), len(lengths))
    rankings = beam_search(decoder, together.select(torch.tensor(order)), options)
    assert len(rankings) == len(lengths)
    for row, ranking in zip(order, rankings, strict=True):
        (wanted,) = beam_search(decoder, alone(together, row, lengths[row]), options)
        assert_same(ranking, wanted)


@few
@given(LENGTHS, searches())
def test_the_n_best_are_sorted_and_distinct_and_scored_as_without_a_cache(
    decoder: Decoder, source: SourceOf, lengths: list[int], options: SearchOptions
) -> None:
    together = source(lengths)
    for row, ranking in enumerate(beam_search(decoder, together, options)):
        assert 1 <= len(ranking) <= options.n_best
        assert len({tuple(one.tokens) for one in ranking}) == len(ranking)
        scores = [one.score for one in ranking]
        assert scores == sorted(scores, reverse=True)
        for one in ranking[:2]:
            target = [*one.tokens, EOS]
            assert options.min_length <= len(target) <= options.limit(lengths[row])
            log_probs = teacher_forced(decoder, only(together, row), [one.tokens])[0][0]  # the whole target at once
            said = [float(log_probs[place, token]) for place, token in enumerate(target)]
            assert list(one.token_log_probs) == pytest.approx(said, abs=1e-4)
            assert one.score == pytest.approx(options.score(sum(said), len(target)), abs=1e-4)


@few
@given(LENGTHS, st.integers(1, 6))
def test_greedy_search_takes_the_likeliest_without_a_cache_too(
    decoder: Decoder, source: SourceOf, lengths: list[int], max_length: int
) -> None:
    together = source(lengths)
    for row, (found,) in enumerate(beam_search(decoder, together, SearchOptions(beam_size=1, max_length=max_length))):
        tokens: list[int] = []
        while len(tokens) < max_length - 1:
            token = int(teacher_forced(decoder, only(together, row), [tokens])[0][0, -1].argmax())
            if token == EOS:
                break
            tokens.append(token)
        assert found.tokens == tokens


@few
@given(LENGTHS, st.integers(2, 4), st.integers(3, 7))
def test_a_beam_finds_no_worse_than_greedy_search_unless_likelier_beginnings_took_its_place(
    decoder: Decoder, source: SourceOf, lengths: list[int], beam_size: int, max_length: int
) -> None:
    """Where log P ranks and patience never ends."""
    plain: dict[str, Any] = {"length_penalty_kind": "none", "max_length": max_length, "patience": math.inf}
    recorder, together = Recorder(), source(lengths)
    rankings = beam_search(decoder, together, SearchOptions(beam_size=beam_size, **plain), recorder=recorder)
    greedy = beam_search(decoder, together, SearchOptions(beam_size=1, **plain))
    for row, ((best, *_), (first,)) in enumerate(zip(rankings, greedy, strict=True)):
        trace = recorder.trace(row)
        assert best.score >= first.score - 1e-5 or fell_out(trace, [*first.tokens, EOS])


def fell_out(trace: Trace, target: list[int]) -> bool:
    """Whether a search went on without the beginning of this target."""
    kept = {
        tuple(trace.tokens(t, k))
        for t, step in enumerate(trace.steps[:-1])
        for k, candidate in enumerate(step)
        if candidate.fate != "pruned"
    }
    return any(tuple(target[: t + 1]) not in kept for t in range(min(len(target), len(trace.steps) - 1)))


# --- Text, through any encoder and any decoder ------------------------------------------------------------------------


def tokenizers() -> Tokenizers:
    """As many symbols as the modules know."""
    letters = Characters()
    letters.train(["ab "])
    assert len(letters.vocabulary) == SYMBOLS
    return Tokenizers(letters, letters)


TOKENIZERS = tokenizers()
OPTIONS = SearchOptions(beam_size=2, max_length=6, max_source_length=8)
TEXTS = st.lists(st.text("ab ", max_size=8) | ANY_TEXT | st.just("ab" * 40), max_size=4)


def assert_lines_become_lines(model: Model, lines: list[str]) -> None:
    """As many as there are and in their order, text that is text, nothing of nothing; and no cut goes unsaid."""
    translator = Translator(NativeEngine(model.eval()), TOKENIZERS, OPTIONS)
    translations = translator.translate(lines)
    assert [translation.source for translation in translations] == lines
    for line, translation in zip(lines, translations, strict=True):
        assert translation.text.encode("utf8").decode("utf8") == translation.text
        assert bool(translation.alternatives) == bool(translation.source_tokens)
        assert translation.text == "" or line != ""
        assert translation.truncated == (len(TOKENIZERS.source.encode([line])[0]) > OPTIONS.max_source_length)
    for translation in translations[:1]:  # as if alone
        (single,) = translator.translate([translation.source])
        assert [one.tokens for one in single.alternatives] == [one.tokens for one in translation.alternatives]
        assert single.score == pytest.approx(translation.score, abs=1e-4)


@few
@given(TEXTS)
def test_lines_in_are_lines_out_of_every_decoder(decoder: Decoder, decoder_case: Case, lines: list[str]) -> None:
    assert_lines_become_lines(Pair(Reader(decoder_case.widths), decoder).float(), lines)


@few
@given(TEXTS)
def test_lines_in_are_lines_out_of_every_encoder(encoder: Encoder, lines: list[str]) -> None:
    torch.manual_seed(1)
    given = {"embedding": Embedding(SYMBOLS, QUERY), "widths": encoder.widths}
    reader = RNNDecoder(**given, size=8, attention=partial(AdditiveAttention, size=8))
    assert_lines_become_lines(Pair(encoder, reader).float(), lines)
