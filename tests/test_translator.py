"""One sentence in, one translation out, in order, whatever the sentence is and whoever keeps it company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from translators import ANY_TEXT, LINES, OPTIONS, TOKENIZERS, TRANSLATOR, TRANSLATORS, model_of, translator

from seqloom import translate
from seqloom.errors import DataError, UsageError
from seqloom.search import SearchOptions
from seqloom.translate import Translation, Translator
from seqloom.vocabulary import BOS, SPECIALS, UNK

every = pytest.mark.parametrize("any_translator", TRANSLATORS.values(), ids=TRANSLATORS)


def assert_same(one: Translation, other: Translation) -> None:
    """Two translations agree in all but rounding."""
    assert (one.source, one.source_tokens, one.truncated) == (other.source, other.source_tokens, other.truncated)
    assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]
    assert [a.tokens for a in one.alternatives] == [a.tokens for a in other.alternatives]
    assert [a.score for a in one.alternatives] == pytest.approx([a.score for a in other.alternatives], abs=1e-4)
    for a, b in zip(one.alternatives, other.alternatives, strict=True):
        assert (a.attention is None) == (b.attention is None)
        if a.attention is not None and b.attention is not None:
            assert np.allclose(a.attention, b.attention, atol=1e-4)


def test_an_empty_text_becomes_an_empty_text() -> None:
    (translation,) = TRANSLATOR.translate([""])
    assert translation == Translation("", [], [], truncated=False)
    assert (translation.text, translation.score) == ("", 0.0)


def test_text_without_any_token_becomes_an_empty_text() -> None:
    blank, word = TRANSLATORS["words"].translate([" \t\u2003", "cat"])
    assert (blank.source, blank.text, blank.alternatives) == (" \t\u2003", "", [])
    assert word.alternatives


def test_nothing_becomes_nothing() -> None:
    assert TRANSLATOR.translate([]) == []
    assert [t.text for t in TRANSLATOR.translate(["", ""])] == ["", ""]


@every
def test_a_sentence_is_translated_as_if_alone(any_translator: Translator) -> None:
    sentences = ["a", "", *LINES, "the", LINES[0], "cat " * 5, "   ", "z"]
    together = any_translator.translate(sentences, attention=True)
    for sentence, translation in zip(sentences, together, strict=True):
        assert_same(translation, any_translator.translate([sentence], attention=True)[0])


@pytest.mark.parametrize("name", ["characters", "recurrent"])
def test_company_and_order_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same across the borders of windows and of batches."""
    numbers = np.random.default_rng(0)
    sentences = ["".join(numbers.choice(list("catdogs "), numbers.integers(0, 12))) for _ in range(40)]
    whole = TRANSLATORS[name].translate(sentences)
    assert len({(translation.text, round(translation.score, 3)) for translation in whole}) > 20
    monkeypatch.setattr(translate, "WINDOW", 7)
    monkeypatch.setattr(TRANSLATORS[name].engine, "batch_tokens", lambda options: 20)
    pieces = TRANSLATORS[name].translate(sentences)
    backwards = TRANSLATORS[name].translate(sentences[::-1])[::-1]
    assert [translation.source for translation in pieces] == sentences
    for a, b, c in zip(whole, pieces, backwards, strict=True):
        assert_same(a, b)
        assert_same(a, c)


def test_a_stream_takes_no_more_than_a_window_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate, "WINDOW", 4)
    taken: list[int] = []

    def endless() -> Iterator[str]:
        for number in range(1_000_000):
            taken.append(number)
            yield "cat " * (number % 3)

    stream = TRANSLATOR.stream(endless())
    assert taken == []
    for done in range(1, 11):
        assert next(stream).source == "cat " * ((done - 1) % 3)
        assert len(taken) == (done + 3) // 4 * 4


@pytest.mark.parametrize(
    ("sentence", "truncated"), [("a cat", False), ("a cat sat", True), ("", False), ("t" * 300_000, True)]
)
def test_an_overlong_source_is_cut_and_says_so(sentence: str, truncated: bool) -> None:
    options = SearchOptions(beam_size=2, max_length=8, max_source_length=5)
    translation, beginning = TRANSLATOR.translate([sentence, sentence[:5]], options)
    assert translation.truncated == truncated and not beginning.truncated
    assert translation.source == sentence
    assert translation.source_tokens == beginning.source_tokens
    assert translation.text == beginning.text


def test_blanks_that_hide_what_follows_count_as_cut() -> None:
    """Of a sentence that begins with more blanks than are looked at, nothing is translated; it says so."""
    options = SearchOptions(beam_size=1, max_length=8, max_source_length=2)
    (translation,) = TRANSLATORS["words"].translate([" " * 100 + "cat"], options)
    assert (translation.text, translation.truncated) == ("", True)


@every
@given(sentences=st.lists(ANY_TEXT | st.sampled_from(LINES), max_size=4))
def test_any_text_becomes_text(any_translator: Translator, sentences: list[str]) -> None:
    translations = any_translator.translate(sentences)
    assert [translation.source for translation in translations] == sentences
    for translation in translations:
        assert translation.text.encode("utf-8").decode("utf-8") == translation.text
        assert bool(translation.alternatives) == bool(translation.source_tokens)
        assert np.isfinite(translation.score)


def test_special_symbols_are_never_generated_however_likely() -> None:
    keen = translator()
    with torch.no_grad():
        model_of(keen).get_submodule("decoder.readout").bias[[BOS, UNK]] = 1000.0
    alternatives = [alternative for translation in keen.translate(LINES) for alternative in translation.alternatives]
    assert len(alternatives) == 2 * len(LINES)
    assert any(alternative.tokens for alternative in alternatives)
    assert not {token for alternative in alternatives for token in alternative.tokens} & set(SPECIALS)


@every
def test_attention_has_a_column_for_each_source_token_and_a_row_for_each_target_token(
    any_translator: Translator,
) -> None:
    for translation in any_translator.translate(["a cat", LINES[1], "the"], attention=True):
        for alternative in translation.alternatives:
            assert alternative.attention is not None
            _, _, rows, columns = alternative.attention.shape
            assert (rows, columns) == (len(alternative.tokens) + 1, len(translation.source_tokens) + 1)
            assert np.allclose(alternative.attention.sum(-1), 1, atol=1e-5)


def test_attention_is_kept_on_request_only() -> None:
    assert all(a.attention is None for t in TRANSLATOR.translate(LINES) for a in t.alternatives)


def test_options_of_a_call_go_before_those_of_the_translator() -> None:
    (short,) = TRANSLATOR.translate([LINES[0]], SearchOptions(beam_size=3, n_best=3, max_length=1))
    assert [(alternative.text, alternative.tokens) for alternative in short.alternatives] == [("", [])]
    (usual,) = TRANSLATOR.translate([LINES[0]])
    assert len(usual.alternatives) == 2 and usual.text == usual.alternatives[0].text


def test_a_translation_as_plain_values() -> None:
    (translation,) = TRANSLATOR.translate(["cat"])
    plain = translation.as_dict()
    assert plain["source_tokens"] == ["c", "a", "t"] and not plain["truncated"]
    assert (plain["source"], plain["target"], plain["score"]) == ("cat", translation.text, translation.score)
    assert [list(alternative) for alternative in plain["alternatives"]] == [
        ["text", "score", "log_prob", "confidence", "tokens"]
    ] * 2
    assert plain["alternatives"][0]["text"] == plain["target"]


def test_translating_leaves_the_model_as_it_was() -> None:
    before = {name: value.clone() for name, value in model_of(TRANSLATOR).state_dict().items()}
    TRANSLATOR.translate(LINES)
    assert not any(module.training for module in model_of(TRANSLATOR).modules())
    assert all(torch.equal(value, before[name]) for name, value in model_of(TRANSLATOR).state_dict().items())
    assert all(parameter.grad is None for parameter in model_of(TRANSLATOR).parameters())


def test_a_trace_is_of_its_own_sentence_and_kept_on_request_only() -> None:
    assert all(translation.trace is None for translation in TRANSLATOR.translate(LINES))
    for translation in TRANSLATOR.translate([LINES[2], "", *LINES[:2]], trace=True):
        if not translation.source:
            assert translation.trace is None
            continue
        assert translation.trace is not None
        best, *_ = translation.trace.finished()
        tokens = TRANSLATOR.tokenizers.target.decode(translation.trace.tokens(*best))
        assert (tokens, translation.trace.steps[best[0]][best[1]].score) == (translation.text, translation.score)


# --- Unknown symbols --------------------------------------------------------------------------------------------------


def at_a_loss(name: str, *, by: float = 1000.0) -> Translator:
    """A translator that takes most tokens for unknown."""
    unsure = translator(TOKENIZERS[name], recurrent=name == "words")
    with torch.no_grad():
        model_of(unsure).get_submodule("decoder.readout").bias[UNK] += by
    return unsure


@pytest.mark.parametrize("name", ["words", "characters", "sentencepiece"])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_an_unknown_symbol_becomes_the_source_token_looked_at_most(name: str, beam_size: int) -> None:
    options = SearchOptions(beam_size=beam_size, n_best=beam_size, max_length=8)
    sentences = ["the Žižek sat on a Qat", "Ž", LINES[0]]  # of one token that is unknown there is nothing else to copy
    unsure, copied = at_a_loss(name, by=30.0), set()
    shown = unsure.translate(sentences, replace(options, unknown="show"), attention=True)
    copies = unsure.translate(sentences, replace(options, unknown="copy"))
    for one, other in zip(shown, copies, strict=True):
        written = [piece.strip() or piece for piece in unsure.tokenizers.source.written(one.source)]
        assert [a.score for a in one.alternatives] == pytest.approx([a.score for a in other.alternatives])
        for before, after in zip(one.alternatives, other.alternatives, strict=True):
            assert after.attention is None and before.attention is not None
            looked_at = before.attention.mean((0, 1))[:, : len(written)].argmax(-1)
            for t, (token, result) in enumerate(zip(before.tokens, after.tokens, strict=True)):
                assert result == (written[looked_at[t]] if token == SPECIALS[UNK] else token)
                copied |= {result} if token == SPECIALS[UNK] else set()
            assert before.text.count("⁇") == before.tokens.count(SPECIALS[UNK])
            assert "⁇" not in after.text
            assert after.text.split() == after.tokens or name != "words"
    assert copied & {"Žižek", "Qat", "Ž"}, "what the tokenizer doesn't know is copied as it was written"


def test_the_end_of_the_source_is_never_copied() -> None:
    unsure = at_a_loss("words")
    (copy,) = unsure.translate(["Qat"], SearchOptions(beam_size=1, max_length=5, unknown="copy"))
    assert copy.alternatives[0].tokens and set(copy.alternatives[0].tokens) == {"Qat"}


def test_a_dictionary_translates_what_is_copied(tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("Qat\tqat plant\t0.4\nQat\tkhat\t0.6\n")
    options = SearchOptions(beam_size=1, max_length=4, unknown="copy", dictionary=tmp_path / "words.tsv")
    (copy,) = at_a_loss("words").translate(["Qat"], options)
    assert set(copy.text.split()) == {"khat"} == set(copy.alternatives[0].tokens)


def test_copying_needs_attention() -> None:
    blind = translator(TOKENIZERS["words"], attention=False)
    with pytest.raises(UsageError) as caught:
        blind.translate(["cat"], SearchOptions(unknown="copy"))
    assert str(caught.value) == (
        "unknown: copy needs attention over the source, and this model has none; choose never or show"
    )


def test_samples_are_the_same_whatever_is_translated_together(monkeypatch: pytest.MonkeyPatch) -> None:
    options, lines = SearchOptions(sample=True, n_best=2, max_length=8), [*LINES, "", "a dog", *LINES]
    together = TRANSLATOR.translate(lines, options)
    assert together[0].text != together[len(LINES) + 2].text, "a line that comes twice is drawn twice"
    pieces = [*TRANSLATOR.stream(lines[:3], options), *TRANSLATOR.stream(lines[3:], options, first=3)]
    monkeypatch.setattr(translate, "WINDOW", 2)
    for found in (pieces, TRANSLATOR.translate(lines, options)):
        assert [[a.text for a in t.alternatives] for t in found] == [[a.text for a in t.alternatives] for t in together]


# --- What is to be written, and what isn't ----------------------------------------------------------------------------


@every
@given(prefixes=st.lists(ANY_TEXT | st.sampled_from(["the", "a dog s", "Žž cat", " "]), min_size=2, max_size=2))
@settings(max_examples=10)
def test_a_translation_begins_with_its_prefix(any_translator: Translator, prefixes: list[str]) -> None:
    target = any_translator.tokenizers.target
    for prefix, translation in zip(prefixes, any_translator.translate(LINES[:2], prefixes=prefixes), strict=True):
        (ids,) = target.encode([prefix])
        wanted = target.filled(ids, [piece for piece, i in zip(target.written(prefix), ids, strict=True) if i == UNK])
        for alternative in translation.alternatives:
            assert alternative.text.startswith(wanted.rstrip())
            assert len(alternative.token_log_probs) == len(alternative.tokens) + 1 > len(ids)


def test_a_prefix_is_written_as_it_was_given() -> None:
    texts = [TRANSLATORS[name].translate(["a cat"], prefixes=["Žižek sat"])[0].text for name in TRANSLATORS]
    assert all(text.startswith("Žižek sat") for text in texts)
    assert TRANSLATOR.translate(["", "a"], prefixes=["the", ""])[0].text == ""
    for sentences, prefixes in ((["a", "b"], ["a"]), (["a"], ["a", "b"])):
        with pytest.raises(ValueError, match="as many prefixes as sentences"):
            TRANSLATOR.translate(sentences, prefixes=prefixes)


def test_one_string_is_not_taken_for_many() -> None:
    for sentences, more in (("A dog runs.", {}), (["a"], {"prefixes": "a"})):
        with pytest.raises(TypeError, match="must be several texts, as in"):
            TRANSLATOR.translate(sentences, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"forbid": "Hund"}, "forbid takes several phrases, as in forbid=('Hund', 'Katze'), got 'Hund'"),
        ({"beam_size": 2.5}, "beam_size must be an integer, got 2.5"),
        ({"beam_size": "5"}, "beam_size must be an integer, got '5'"),
        ({"n_best": None}, "n_best must be an integer, got None"),
        ({"max_length": True}, "max_length must be an integer, got True"),
        ({"length_penalty": "1"}, "length_penalty must be a number, got '1'"),
    ],
)
def test_options_have_their_types(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TypeError) as error:
        SearchOptions(**said)
    assert str(error.value) == sentence


@every
def test_forbidden_phrases_are_not_written_however_they_are_cut(any_translator: Translator) -> None:
    options = SearchOptions(beam_size=4, n_best=4, max_length=12)
    usual = any_translator.translate(LINES, options, words=True)
    said = [tuple(word.text for word in a.words or ()) for t in usual for a in t.alternatives]
    known = any_translator.tokenizers.target
    phrases = sorted({" ".join(words[:n]) for words in said for n in (1, 2) if words} - {""})[:40]
    phrases = [phrase for phrase in phrases if known.spellings(phrase)]
    for translation in any_translator.translate(LINES, replace(options, forbid=tuple(phrases)), words=True):
        for alternative in translation.alternatives:
            ids = known.vocabulary.ids(alternative.tokens)
            for cut in (spelling for phrase in phrases for spelling in known.spellings(phrase)):
                assert cut not in [ids[start : start + len(cut)] for start in range(len(ids))]


def test_a_file_of_forbidden_phrases_is_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "never").write_text("the cat\n\n  dog \n")
    one, other = (
        TRANSLATORS["words"].translate(LINES, replace(OPTIONS, **said))
        for said in ({"forbid_file": tmp_path / "never"}, {"forbid": ("the cat", "dog")})
    )
    assert [t.alternatives for t in one] == [t.alternatives for t in other]
    with pytest.raises(DataError):
        TRANSLATOR.translate(["a"], replace(OPTIONS, forbid_file=tmp_path / "none"))


@every
def test_no_two_alternatives_of_a_beam_read_the_same(any_translator: Translator) -> None:
    for translation in any_translator.translate(LINES, SearchOptions(beam_size=12, n_best=12, max_length=6)):
        texts = [alternative.text for alternative in translation.alternatives]
        assert len(set(texts)) == len(texts) > 1
        scores = [alternative.score for alternative in translation.alternatives]
        assert scores == sorted(scores, reverse=True)


@every
def test_what_is_said_of_tokens_is_said_of_words_and_of_the_whole(any_translator: Translator) -> None:
    for translation in any_translator.translate(LINES, words=True):
        for one in translation.alternatives:
            assert sum(one.token_log_probs) == pytest.approx(one.log_prob, abs=1e-3)
            assert one.confidence == pytest.approx(np.exp(np.mean(one.token_log_probs)))
            for word, sure in zip(one.words or (), one.word_confidences(), strict=True):
                assert sure == pytest.approx(np.exp(np.mean(one.token_log_probs[word.start : word.end])))
