"""Given targets have the probabilities that a search which finds them says they have."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from translators import ANY_TEXT, LINES, TRANSLATORS

from seqloom import scoring
from seqloom.engines.base import Engine, Found
from seqloom.engines.native import NativeEngine
from seqloom.errors import UsageError
from seqloom.models import Ensemble
from seqloom.search import SearchOptions
from seqloom.translate import Translator

every = pytest.mark.parametrize("translator", TRANSLATORS.values(), ids=TRANSLATORS)
OPTIONS = SearchOptions(beam_size=3, n_best=3, max_length=8, length_penalty=0.8)


@every
def test_an_engine_scores_what_it_found_as_it_did(translator: Translator) -> None:
    found = list(translator.translate(LINES, OPTIONS))
    sources = translator.tokenizers.source.encode(LINES)
    target = translator.tokenizers.target
    pairs = [(ids, one) for ids, t in zip(sources, found, strict=True) for one in t.alternatives]
    targets = [target.vocabulary.ids(one.tokens) for _, one in pairs]
    scored = translator.engine.score([source for source, _ in pairs], targets)
    for (_, one), log_probs in zip(pairs, scored, strict=True):
        assert log_probs == pytest.approx(one.token_log_probs, abs=1e-5)
        assert sum(log_probs) == pytest.approx(one.log_prob, abs=1e-5 * len(log_probs))


def test_an_ensemble_scores_what_it_found_as_it_did() -> None:
    engines = [TRANSLATORS[name].engine for name in ("characters", "recurrent")]
    model = Ensemble([engine.model for engine in engines if isinstance(engine, NativeEngine)])
    both = Translator(NativeEngine(model.eval()), TRANSLATORS["characters"].tokenizers, OPTIONS)
    options = replace(OPTIONS, no_repeat_ngram=3, coverage_penalty=0.2, beam_size=4, diverse_groups=2)
    prefixes = ["ca", "", "d", "a cat"]
    found = both.translate(LINES, options, prefixes=prefixes)
    texts = [(line, one.text) for line, t in zip(LINES, found, strict=True) for one in t.alternatives]
    wanted = [one for t in found for one in t.alternatives]
    for scored, one in zip(both.score(texts, options), wanted, strict=True):
        assert scored.token_log_probs == pytest.approx(one.token_log_probs, abs=1e-5)
        assert scored.confidence == pytest.approx(one.confidence)
    assert all(t.text.startswith(prefix) for t, prefix in zip(found, prefixes, strict=True))


def test_a_line_has_the_score_that_it_has_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [*zip(LINES, LINES[::-1], strict=True), ("a", ""), ("", "a"), ("", ""), ("the cat", "a" * 30)]
    translator = TRANSLATORS["characters"]
    whole = list(translator.score(pairs))
    monkeypatch.setattr(scoring, "WINDOW", 3)
    monkeypatch.setattr(scoring, "BATCH_TOKENS", 20)
    for one, alone in zip(whole, [scored for pair in pairs for scored in translator.score([pair])], strict=True):
        assert (one.source, one.target, one.tokens) == (alone.source, alone.target, alone.tokens)
        assert one.score == pytest.approx(alone.score, abs=1e-5)
        assert one.token_log_probs == pytest.approx(alone.token_log_probs, abs=1e-5)
    assert [(one.source, one.target) for one in translator.score(iter(pairs))] == pairs


def test_an_empty_source_has_an_empty_target_for_certain() -> None:
    empty, impossible = TRANSLATORS["words"].score([("", ""), (" ", "cat")])
    assert (empty.score, empty.log_prob, empty.confidence) == (0.0, 0.0, None)
    assert (impossible.score, impossible.log_prob) == (-math.inf, -math.inf)
    plain = impossible.as_dict()
    assert (plain["score"], plain["log_prob"], plain["confidence"]) == (None, None, None)


def test_a_score_is_normalised_as_the_options_say() -> None:
    for options in (OPTIONS, SearchOptions(length_penalty_kind="average", length_penalty=1.0)):
        (scored,) = TRANSLATORS["words"].score([(LINES[0], "a cat sat")], options)
        assert scored.score == options.score(sum(scored.token_log_probs), 4)
    assert [word.text for word in scored.words] == ["a", "cat", "sat"]
    assert scored.confidence == pytest.approx(math.exp(scored.score))


def test_what_is_too_long_is_cut_and_says_so() -> None:
    options = SearchOptions(max_source_length=5)
    long, short = TRANSLATORS["characters"].score([("a cat sat", "a"), ("a cat", "a")], options)
    assert (long.truncated, short.truncated) == (True, False)
    assert long.token_log_probs == pytest.approx(short.token_log_probs, abs=1e-5)
    (long,) = TRANSLATORS["characters"].score([("a", "x" * 10_000)], options)
    assert long.truncated and len(long.tokens) == 55


@every
@given(pairs=st.lists(st.tuples(ANY_TEXT | st.sampled_from(LINES), ANY_TEXT), max_size=3))
@settings(max_examples=10)
def test_any_text_can_be_scored(translator: Translator, pairs: list[tuple[str, str]]) -> None:
    for pair, scored in zip(pairs, translator.score(pairs), strict=True):
        assert (scored.source, scored.target) == pair
        assert not math.isnan(scored.score) and scored.score <= 0


def test_an_engine_that_can_not_score_says_so() -> None:
    class Mute(Engine):
        name = "mute"

        def search(self, sources: object, request: object) -> list[Found]:
            return []

        def fingerprint(self) -> str:
            return ""

    mute = Translator(Mute(), TRANSLATORS["words"].tokenizers, OPTIONS)
    with pytest.raises(UsageError) as caught:
        list(mute.score([("a cat", "a")]))
    assert str(caught.value) == "the mute engine can't score given targets; the native engine can"
