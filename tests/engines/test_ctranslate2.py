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
from seqloom.vocabulary import BOS, UNK

MODEL = model({}, {}, embedding={"readout_bias": True})
with torch.no_grad():  # as in one that was trained, what is never written is unlikely
    MODEL.decoder.readout.bias[[BOS, UNK]] = -30.0
OPTIONS = SearchOptions(beam_size=3, n_best=3, max_length=9)
LINES = st.lists(st.lists(st.sampled_from([f"w{i}" for i in range(SYMBOLS - 3)]), max_size=8).map(" ".join), max_size=6)


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
    ("no min_length: 4", {"min_length": 4}, {}),
    ("no no_repeat_ngram: 2", {"no_repeat_ngram": 2}, {}),
    ("no coverage_penalty: 0.2", {"coverage_penalty": 0.2}, {}),
    ("no diverse_groups: 3", {"diverse_groups": 3}, {}),
    ("no forbid: w1, w2 w3", {"forbid": ("w1", "w2 w3")}, {}),
    ("no patience: inf", {"patience": float("inf")}, {}),
    ("no prefixes", {}, {"prefixes": [[3]]}),
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
