"""The ctranslate2 engine: what it grants it does as the native one does, and it says by name what it can't."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import SYMBOLS, TOKENIZERS, exported, model
from hypothesis import given
from hypothesis import strategies as st

from seqloom.engines.auto import AutoEngine
from seqloom.engines.base import Engine, Request
from seqloom.engines.ctranslate2 import CTranslate2Engine
from seqloom.engines.native import NativeEngine
from seqloom.errors import CheckpointError, UsageError
from seqloom.search import SearchOptions
from seqloom.translate import Translator
from seqloom.vocabulary import BOS, EOS, UNK

MODEL = model({}, {}, embedding={"readout_bias": True})
with torch.no_grad():  # as in one that was trained, what is never written is unlikely
    MODEL.decoder.readout.bias[[BOS, UNK]] = -30.0
OPTIONS = SearchOptions(beam_size=3, n_best=3, max_length=9)
TEXTS = st.lists(st.sampled_from([f"w{i}" for i in range(SYMBOLS - 3)]), max_size=8).map(" ".join)
LINES = st.lists(TEXTS, max_size=6)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Engine:
    return exported(MODEL, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def translators(engine: CTranslate2Engine) -> tuple[Translator, Translator]:
    return Translator(NativeEngine(MODEL), TOKENIZERS, OPTIONS), Translator(engine, TOKENIZERS, OPTIONS)


@given(LINES)
def test_texts_and_scores_are_the_native_engines(translators: tuple[Translator, Translator], lines: list[str]) -> None:
    native, fast = translators
    for options in (OPTIONS, replace(OPTIONS, beam_size=1, n_best=1), replace(OPTIONS, patience=2.5)):
        pairs = zip(native.translate(lines, options), fast.translate(lines, options), strict=True)
        for ours, theirs in pairs:
            assert theirs.score == pytest.approx(ours.score, abs=1e-3)
            assert (theirs.text == "") == (ours.text == "")
            scores = [one.score for one in theirs.alternatives]
            assert scores == sorted(scores, reverse=True)


RULES = st.fixed_dictionaries(
    {
        "min_length": st.sampled_from([1, 4, 7]),
        "no_repeat_ngram": st.sampled_from([None, 2, 3]),
        "forbid": st.sampled_from([(), ("w1",), ("w3 w4", "w0 w0"), ("w2 w1 w4", "w3 w3", "w5")]),
    }
)


@pytest.fixture(scope="module", params=["ends late", "ends soon"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Translator, Translator]:
    """A model on both engines."""
    made = model({}, {}, embedding={"readout_bias": True}, seed=2)
    with torch.no_grad():
        made.decoder.readout.bias[[BOS, UNK]] = -30.0
        made.decoder.readout.bias[EOS] += 6.0 * (request.param == "ends soon")
    fast = exported(made, tmp_path_factory.mktemp("either"))
    return Translator(NativeEngine(made), TOKENIZERS, OPTIONS), Translator(fast, TOKENIZERS, OPTIONS)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6), RULES, st.sampled_from([7, 16]))
def test_greedily_rules_and_beginnings_do_just_what_they_do_natively(
    either: tuple[Translator, Translator], pairs: list[tuple[str, str]], rules: dict[str, Any], most: int
) -> None:
    options = replace(OPTIONS, beam_size=1, n_best=1, max_length=most, **rules)
    lines, prefixes = zip(*pairs, strict=True)
    ours, theirs = (one.translate(lines, options, prefixes=prefixes, words=True) for one in either)
    for one, other in zip(ours, theirs, strict=True):
        assert other.text == one.text
        assert other.score == pytest.approx(one.score, abs=1e-3)
        for mine, found in zip(one.alternatives, other.alternatives, strict=True):
            assert found.tokens == mine.tokens
            assert found.log_prob == pytest.approx(mine.log_prob, abs=1e-3)
            assert found.token_log_probs == pytest.approx(mine.token_log_probs, abs=1e-4)


@given(LINES)
def test_what_a_model_says_of_given_targets_and_of_its_own_is_the_same(
    translators: tuple[Translator, Translator], lines: list[str]
) -> None:
    native, fast = translators
    found = fast.translate(lines, words=True)
    pairs = [(line, one.text) for line, each in zip(lines, found, strict=True) for one in each.alternatives]
    for (text, own), ours, theirs in zip(
        [(one.text, one.token_log_probs) for each in found for one in each.alternatives],
        native.score(pairs),
        fast.score(pairs),
        strict=True,
    ):
        assert text == theirs.target
        for said in (own, theirs.token_log_probs):
            assert said == pytest.approx(ours.token_log_probs, abs=1e-4)


class Spy:
    """CTranslate2's translator, and what it was asked for."""

    def __init__(self, engine: CTranslate2Engine, interrupted_after: int | None = None):
        self.real, self.num_translators, self.left = engine.translator, 1, interrupted_after
        self.scored, self.rows = 0, list[int]()

    def score_batch(self, *sides: Any, **how: Any) -> Any:
        self.scored += 1
        return self.real.score_batch(*sides, **how)

    def translate_batch(self, sources: Any, *sides: Any, **how: Any) -> Any:
        self.rows.append(len(sources))
        return [Result(self, result) for result in self.real.translate_batch(sources, *sides, **how)]


class Result:
    def __init__(self, spy: Spy, real: Any):
        self.spy, self.real = spy, real

    def result(self) -> Any:
        if self.spy.left == 0:
            raise KeyboardInterrupt
        self.spy.left = None if self.spy.left is None else self.spy.left - 1
        return self.real.result()


def test_confidence_costs_nothing_unless_it_is_asked_for(
    engine: CTranslate2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "translator", spy := Spy(engine))
    translator = Translator(engine, TOKENIZERS, replace(OPTIONS, max_length=40))
    (plain,) = translator.translate(["w1 w2"])
    ends = spy.scored  # of what ends only because it must
    assert plain.confidence is None
    (sure,) = translator.translate(["w1 w2"], words=True)
    assert sure.confidence is not None and spy.scored == 2 * ends + 1
    assert sure.text == plain.text and sure.score == plain.score


def test_ctrl_c_is_heard_between_two_batches(engine: CTranslate2Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "translator", spy := Spy(engine, interrupted_after=1))
    sources = [[3 + row % 5] * (1 + row % 30) for row in range(2000)]
    options = SearchOptions(beam_size=1, max_length=3)
    with pytest.raises(KeyboardInterrupt):
        engine.search(sources, Request(options=options))
    assert len(spy.rows) == 2 and sum(spy.rows) < 200
    monkeypatch.setattr(engine, "translator", spy.real)
    assert len(engine.search(sources, Request(options=options))) == 2000


@given(LINES)
def test_company_changes_nothing(translators: tuple[Translator, Translator], lines: list[str]) -> None:
    fast = translators[1]
    together = fast.translate(lines)
    for line, one in zip(lines, together, strict=True):
        (alone,) = fast.translate([line])
        assert alone.score == pytest.approx(one.score, abs=1e-4)
        assert len(alone.alternatives) == len(one.alternatives)


def test_no_target_is_longer_than_its_own_limit(engine: CTranslate2Engine) -> None:
    """Each source has a limit of its own, whatever those of its company are."""
    endless = model({}, {}, embedding={"readout_bias": True})
    with torch.no_grad():
        endless.decoder.readout.bias[1] = -30.0  # the end
    fast = exported(endless, engine.exported.directory.parent / "endless")
    sources, options = [[4], [3, 5, 6, 7]], SearchOptions(beam_size=2, n_best=2)
    ours, theirs = (
        one.search(sources, Request(options=options, attention=True)) for one in (NativeEngine(endless), fast)
    )
    for source, native, found in zip(sources, ours, theirs, strict=True):
        for hypothesis in found.hypotheses:
            assert len(hypothesis.tokens) + 1 == options.limit(len(source) + 1)
            assert hypothesis.attention is not None
            assert hypothesis.attention.shape == (1, 1, len(hypothesis.tokens) + 1, len(source) + 1)
            np.testing.assert_allclose(hypothesis.attention.sum(-1), 1, atol=1e-5)
        assert found.hypotheses[0].score <= native.hypotheses[0].score + 1e-3
        assert found.hypotheses[0].score == pytest.approx(native.hypotheses[0].score, rel=0.05)


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no trace", {}, {"trace": True}),
    ("no sample: true", {"sample": True, "beam_size": 5, "n_best": 2}, {}),
    ("no min_length: 4 in a beam", {"min_length": 4}, {}),
    ("no no_repeat_ngram: 2 in a beam", {"no_repeat_ngram": 2}, {}),
    ("no coverage_penalty: 0.2", {"coverage_penalty": 0.2}, {}),
    ("no diverse_groups: 3", {"diverse_groups": 3}, {}),
    ("no forbid: w1, w2 w3 in a beam", {"forbid": ("w1", "w2 w3")}, {}),
    ("no forbidden phrases in a beam", {}, {"forbidden_phrases": [[3, 4]]}),
    ("no min_length: 4 among a shortlist", {"min_length": 4, "shortlist": True, "beam_size": 1, "n_best": 1}, {}),
    ("no patience: inf", {"patience": float("inf")}, {}),
    ("no prefixes in a beam", {}, {"prefixes": [[3]]}),
    (
        "no unknown: copy, which looks at the attention of all layers, of which it tells the last",
        {"unknown": "copy"},
        {},
    ),
]


@pytest.mark.parametrize(("reason", "options", "wishes"), REFUSED, ids=[case[0][3:20] for case in REFUSED])
def test_what_it_cant_do_is_refused_by_name(
    engine: CTranslate2Engine, reason: str, options: dict[str, Any], wishes: dict[str, Any]
) -> None:
    request = Request(options=replace(OPTIONS, **options), **wishes)
    with pytest.raises(UsageError) as caught:
        engine.search([[3, 4]], request)
    assert str(caught.value) == f"the ctranslate2 engine knows {reason}; choose another, or the native engine"


def test_every_option_that_it_has_not_heard_of_is_refused() -> None:
    """A new option of search can't be passed over by mistake."""
    granted = {"beam_size", "n_best", "patience", "length_penalty", "length_penalty_kind", "max_length"}
    granted |= {"max_source_length", "shortlist", "unknown", "dictionary"}
    from seqloom.engines import ctranslate2

    assert granted == ctranslate2.GRANTED
    assert {"min_length", "no_repeat_ngram", "forbid", "forbid_file"} == {*ctranslate2.GREEDILY}


def test_auto_says_once_that_the_native_engine_helps(
    engine: CTranslate2Engine, caplog: pytest.LogCaptureFixture
) -> None:
    loaded: list[Engine] = []

    def load() -> Engine:
        loaded.append(NativeEngine(MODEL))
        return loaded[-1]

    translator = Translator(AutoEngine(engine, load), TOKENIZERS, OPTIONS)
    translator.translate(["w1 w2"])
    assert not loaded
    assert not caplog.messages
    wanted = Translator(NativeEngine(MODEL), TOKENIZERS, OPTIONS).translate(["w1 w2"], attention=True)
    for _ in range(2):
        (got,) = translator.translate(["w1 w2"], attention=True)
        assert got.alternatives[0].attention is not None
        np.testing.assert_array_equal(got.alternatives[0].attention, wanted[0].alternatives[0].attention)
    assert len(loaded) == 1
    message = "The ctranslate2 engine knows no attention of all layers and heads; the native engine translates."
    assert caplog.messages == [message]


def test_auto_scores_and_tells_confidence_without_the_native_engine(engine: CTranslate2Engine) -> None:
    def load() -> Engine:
        raise AssertionError("the fast engine will do")

    translator = Translator(AutoEngine(engine, load), TOKENIZERS, OPTIONS)
    (best,) = translator.translate(["w1 w2"], words=True)
    assert best.confidence is not None
    (scored,) = translator.score([("w1 w2", best.text)])
    assert scored.confidence == pytest.approx(best.confidence, abs=1e-5)


def test_a_sentence_beyond_the_positions_there_are_is_refused(engine: CTranslate2Engine) -> None:
    with pytest.raises(UsageError) as caught:
        engine.search([[3] * 40], Request(options=SearchOptions()))
    assert str(caught.value) == (
        "this export has positions for 64 tokens, and a sentence of up to 91 came; lower max_source_length or "
        "max_length, or export again with --positions"
    )


def test_without_the_package_a_sentence_says_what_to_install(
    engine: CTranslate2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(UsageError) as caught:
        CTranslate2Engine(engine.exported, TOKENIZERS)
    assert str(caught.value) == "the ctranslate2 engine needs a package: pip install 'seqloom[fast]'"


def test_a_model_that_it_cant_read_is_named(engine: CTranslate2Engine, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="can't be loaded on cpu"):
        CTranslate2Engine(replace(engine.exported, directory=tmp_path), TOKENIZERS, device="cpu")
