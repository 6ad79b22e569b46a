"""Rerankers change the order and the scores of alternatives, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from translators import LINES, TRANSLATOR, TRANSLATORS

from seqloom.metrics.sentences import similarities
from seqloom.reranking import MinimumBayesRisk, NoisyChannel, Reranker, reranked
from seqloom.search import SearchOptions
from seqloom.translation import Alternative, Translation

TEXTS = ["a dog runs", "a dog ran", "the cat", "", "a dog runs home"]


def translation(texts: Sequence[str], log_probs: Sequence[float] = ()) -> Translation:
    several = log_probs or [-float(place) for place in range(len(texts))]
    alternatives = [
        Alternative(text, log_prob, text.split(), log_prob=log_prob)
        for text, log_prob in zip(texts, several, strict=True)
    ]
    return Translation("ein Hund", ["ein", "Hund"], alternatives)


def texts_of(translation: Translation) -> list[str]:
    return [alternative.text for alternative in translation.alternatives]


@given(texts=st.lists(st.sampled_from(TEXTS), max_size=6), utility=st.sampled_from(["chrf", "bleu"]))
@settings(max_examples=25)
def test_samples_are_ranked_by_how_much_they_are_like_all(texts: list[str], utility: Any) -> None:
    (found,) = MinimumBayesRisk(utility).rerank([translation(texts)])
    means = similarities(texts, utility).mean(1).tolist() if texts else []
    wanted = sorted(zip(texts, means, strict=True), key=lambda pair: -pair[1])
    assert [one.score for one in found.alternatives] == pytest.approx([mean for _, mean in wanted])
    assert sorted(texts_of(found)) == sorted(texts)
    label = {"chrf": "chrF", "bleu": "BLEU"}[utility]
    assert all(one.features == {label: one.score} for one in found.alternatives)


def test_the_results_of_a_beam_weigh_as_much_as_they_are_probable() -> None:
    likely = translation(["the cat", "a dog runs", "a dog ran"], [-0.1, -9.0, -9.0])
    assert texts_of(MinimumBayesRisk(weighting="probabilities").rerank([likely])[0])[0] == "the cat"
    assert texts_of(MinimumBayesRisk(weighting="counts").rerank([likely])[0])[-1] == "the cat"
    impossible = translation(["a", "b"], [-1e6, -2e6])
    assert texts_of(MinimumBayesRisk(weighting="probabilities").rerank([impossible])[0]) == ["a", "b"]


def test_a_noisy_channel_adds_what_the_other_direction_says() -> None:
    lines, options = [LINES[0], "", LINES[1]], SearchOptions(beam_size=4, n_best=4, max_length=8)
    found, reverse = TRANSLATOR.translate(lines, options), TRANSLATORS["recurrent"]
    again = NoisyChannel(reverse, weight=0.5, length_weight=0.1).rerank(found)
    for before, after in zip(found, again, strict=True):
        assert sorted(texts_of(before)) == sorted(texts_of(after))
        scores = [one.score for one in after.alternatives]
        assert scores == sorted(scores, reverse=True)
        own = {one.text: one for one in before.alternatives}
        for one in after.alternatives:
            (scored,) = reverse.score([(one.text, before.source)])
            wanted = {"Model": own[one.text].score, "Reverse": scored.score, "Length": len(one.tokens)}
            assert one.features == pytest.approx(wanted, rel=1e-5)
            total = own[one.text].score + 0.5 * scored.score + 0.1 * len(one.tokens)
            assert one.score == pytest.approx(total, rel=1e-5) or not one.text
            assert replace(one, score=0, features={}) == replace(own[one.text], score=0, features={})


def test_a_weight_of_nothing_changes_no_order() -> None:
    found = TRANSLATOR.translate(LINES, SearchOptions(beam_size=4, n_best=4, max_length=8))
    again = NoisyChannel(TRANSLATORS["recurrent"], weight=0.0).rerank(found)
    kept = [[text for text in texts_of(t) if text] for t in found]  # what is empty has no source for certain
    assert [[text for text in texts_of(t) if text] for t in again] == kept


def test_the_other_direction_is_not_asked_about_tags() -> None:
    tagged = replace(translation(["a", "b"]), source="<2de> ein Hund")
    plain = translation(["a", "b"])
    channel = NoisyChannel(TRANSLATORS["words"], tag="<2de>")
    assert channel.rerank([tagged])[0].alternatives == channel.rerank([plain])[0].alternatives


def test_a_stream_is_reranked_in_its_order() -> None:
    class Backwards(Reranker):
        def rerank(self, translations: Sequence[Translation]) -> list[Translation]:
            return [replace(one, alternatives=one.alternatives[::-1]) for one in translations]

    many = [translation([str(number), "x"]) for number in range(150)]
    assert [one.alternatives[1].text for one in reranked(iter(many), Backwards())] == list(map(str, range(150)))


@pytest.mark.parametrize("said", [{"weight": math.nan}, {"length_weight": -math.inf}])
def test_a_weight_is_a_finite_number(said: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weight must be a finite number, got"):
        NoisyChannel(TRANSLATORS["words"], **said)


def test_infinite_scores_are_no_json() -> None:
    (found,) = NoisyChannel(TRANSLATORS["words"]).rerank([translation(["", "a"])])
    assert [one.score == -math.inf for one in found.alternatives] == [False, True]
    plain = found.alternatives[1].as_dict()
    assert (plain["score"], plain["features"]["Reverse"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"utility": "ter"}, "a utility must be chrf or bleu, got 'ter'"),
        ({"weighting": "ranks"}, "weighting must be counts or probabilities, got 'ranks'"),
    ],
)
def test_what_is_not_known_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        MinimumBayesRisk(**options)
    assert str(caught.value) == sentence
