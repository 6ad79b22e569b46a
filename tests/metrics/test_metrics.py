"""Scores are sacrebleu's to the last digit, repeatable, and bad calls are said in one sentence."""

from __future__ import annotations

import random
from typing import Any

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.metrics import Bleu, Chrf, ExactMatch, Metric, Rouge, Score

METRICS = [Bleu(), Bleu(lowercase=True, tokenize="char"), Chrf(), Chrf(word_order=2), ExactMatch()]
METRICS += [Bleu(tokenize="none", smooth="none"), Rouge(kind="1"), Rouge(kind="2", value="p"), Rouge(value="r")]
LINES = st.lists(st.tuples(st.text("ab .", max_size=12), st.text("ab .", max_size=12)), min_size=1, max_size=8)


def corpus(lines: int = 60) -> tuple[list[str], list[str]]:
    """Hypotheses that are their references with some words changed."""
    draw = random.Random(1)
    words = "ein Hund läuft über die grüne Wiese .".split()
    references = [" ".join(draw.choices(words, k=draw.randint(3, 12))) for _ in range(lines)]
    hypotheses = [" ".join(draw.choice([word, word, "Katze"]) for word in line.split()) for line in references]
    return hypotheses, references


def same_in_sacrebleu(metric: Metric) -> Any:
    """The metric of sacrebleu that this one must agree with."""
    if isinstance(metric, Chrf):
        return sacrebleu.CHRF(word_order=metric.word_order)
    assert isinstance(metric, Bleu)
    return sacrebleu.BLEU(tokenize=metric.tokenize, lowercase=metric.lowercase)


@pytest.mark.parametrize("metric", METRICS[:4], ids=lambda metric: metric.label)
@pytest.mark.parametrize("bootstrap", [0, 200])
def test_score_interval_and_signature_are_those_of_sacrebleu(metric: Metric, bootstrap: int) -> None:
    hypotheses, references = corpus()
    theirs = same_in_sacrebleu(metric)
    expected = theirs.corpus_score(hypotheses, [references], n_bootstrap=bootstrap)
    score = metric.score(hypotheses, references, bootstrap=bootstrap)
    assert score.value == pytest.approx(expected.score, abs=1e-9)
    assert score.signature == str(theirs.get_signature())
    assert score.name == expected.name
    assert score.count == 60
    if bootstrap:
        assert score.low is not None and score.high is not None
        assert (score.high - score.low) / 2 == pytest.approx(expected._ci, abs=1e-4)  # it computes in float32


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)
@given(lines=LINES)
@settings(deadline=None, max_examples=25)
def test_every_score_is_a_percentage_inside_a_repeatable_interval(metric: Metric, lines: list[tuple[str, str]]) -> None:
    hypotheses, references = map(list, zip(*lines, strict=True))
    score = metric.score(hypotheses, references, bootstrap=40, seed=7)
    assert 0 <= score.value <= 100 + 1e-9
    assert score.low is not None and score.high is not None
    assert 0 <= score.low <= score.high <= 100 + 1e-9
    assert metric.score(hypotheses, references, bootstrap=40, seed=7) == score
    assert metric.score(hypotheses, references).value == score.value


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)
def test_the_order_of_lines_does_not_matter(metric: Metric) -> None:
    hypotheses, references = corpus()
    value = metric.score(hypotheses, references).value
    assert metric.score(hypotheses[::-1], references[::-1]).value == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)
def test_perfect_hypotheses_score_100(metric: Metric) -> None:
    references = corpus()[1]
    score = metric.score(references, references, bootstrap=40)
    assert score.value == pytest.approx(100)
    assert score.low == pytest.approx(100)


def test_another_seed_is_another_interval_and_the_signature_says_so() -> None:
    hypotheses, references = corpus()
    one, two = (Chrf().score(hypotheses, references, bootstrap=100, seed=seed) for seed in (1, 2))
    assert (one.low, one.high) != (two.low, two.high)
    assert "|bs:100|seed:1|" in one.signature and "|bs:100|seed:2|" in two.signature


def test_a_bootstrap_leaves_no_trace_in_later_scores() -> None:
    hypotheses, references = corpus()
    metric = Bleu()
    before = metric.score(hypotheses, references)
    metric.score(hypotheses, references, bootstrap=10)
    assert metric.score(hypotheses, references) == before


def test_exact_match_ignores_blanks_at_the_ends_only() -> None:
    score = ExactMatch().score(["2026-03-06 ", "2026-3-06", "a b", "A"], ["2026-03-06", "2026-03-06", "a  b", "a"])
    assert score == Score("exact match", 25.0, None, None, "nrefs:1|case:mixed|strip:yes|version:seqloom", 4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = random.Random(3)
    covered = 0
    for trial in range(100):
        hypotheses = ["a" if draw.random() < 0.7 else "b" for _ in range(150)]
        score = ExactMatch().score(hypotheses, ["a"] * 150, bootstrap=200, seed=trial)
        assert score.low is not None and score.high is not None
        covered += score.low <= 70 <= score.high
    assert 86 <= covered <= 100


def test_a_score_reads_as_one_line_and_as_plain_values() -> None:
    score = Score("BLEU", 36.7249, 35.61, 37.91, "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0", 1000)
    signature = "(nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0)"
    assert str(score) == f"BLEU 36.72 [35.6, 37.9] {signature}"
    assert str(Score("BLEU", 36.7249, None, None, score.signature, 1000)) == f"BLEU 36.72 {signature}"
    assert score.as_dict() == {
        "name": "BLEU",
        "value": 36.7249,
        "low": 35.61,
        "high": 37.91,
        "signature": score.signature,
        "count": 1000,
    }


@pytest.mark.parametrize(
    ("hypotheses", "references", "bootstrap", "sentence"),
    [
        (["a"], ["a", "b"], 0, "every hypothesis needs one reference, got 1 and 2 lines"),
        ([], [], 0, "there is no line to score"),
        ("a", ["a"], 0, "hypotheses and references must be lists of lines, got one string"),
        (["a"], ["a"], 1, "bootstrap must be 0 (no interval) or at least 2 resamples, got 1"),
        (["a"], ["a"], -5, "bootstrap must be 0 (no interval) or at least 2 resamples, got -5"),
    ],
)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)
def test_a_bad_call_is_refused_in_one_sentence(
    metric: Metric, hypotheses: list[str], references: list[str], bootstrap: int, sentence: str
) -> None:
    with pytest.raises(ValueError) as caught:
        metric.score(hypotheses, references, bootstrap=bootstrap)
    assert str(caught.value) == sentence


CHOICES = "13a, intl, char, zh, ja-mecab, ko-mecab, none"


@pytest.mark.parametrize("tokenize", ["spm", "flores101", "flores200", "spBLEU-1K"])
def test_tokenizers_that_need_the_network_are_refused(tokenize: Any) -> None:
    with pytest.raises(ValueError) as caught:
        Bleu(tokenize=tokenize)
    assert str(caught.value) == (
        f"tokenize '{tokenize}' would download a model, and measuring must work offline; choose one of {CHOICES}"
    )


def test_unknown_tokenizers_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Bleu(tokenize="14a")  # type: ignore[arg-type]
    assert str(caught.value) == f"tokenize must be one of {CHOICES}, got '14a'"


def test_a_tokenizer_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError) as caught:
        Bleu(tokenize="ja-mecab")
    assert str(caught.value) == "tokenize 'ja-mecab' needs a package that is not here: pip install 'sacrebleu[ja]'"


@pytest.mark.parametrize("tokenize", ["intl", "char", "zh", "none"])
def test_every_other_tokenizer_works_offline(tokenize: Any) -> None:
    assert f"tok:{tokenize}|" in Bleu(tokenize=tokenize).score(["das ist gut so"], ["das ist gut so"]).signature


def test_a_negative_word_order_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Chrf(word_order=-1)
    assert str(caught.value) == "word_order must be 0 or more, got -1"
