"""ROUGE is what its definition says, line by line, and gives the numbers that were published for it."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.metrics import Rouge
from seqloom.metrics.rouge import Kind, Value, common_subsequence

LETTERS = (["A B C D E F"] * 2, ["A B C D E F", "A B A D E F"])
FOXES = (
    ["The brown fox jumps over the dog 笑", "The brown fox jumps over the dog 2 笑"],
    ["The quick brown fox jumps over the lazy dog 笑"] * 2,
)
KINDS = get_args(Kind)[:3]
ALL = [Rouge(kind=kind, value=value) for kind in KINDS for value in get_args(Value)]
WORDS = st.lists(st.sampled_from("abcd"), max_size=9)


@pytest.mark.parametrize(
    ("kind", "letters", "foxes"), [("1", 95.45454, 86.54971), ("2", 80.0, 54.77941), ("l", 91.66667, 85.26016)]
)
def test_the_published_values(kind: Any, letters: float, foxes: float) -> None:
    assert Rouge(kind=kind).score(*LETTERS).value == pytest.approx(letters, abs=2e-5)
    assert Rouge(kind=kind).score(*FOXES).value == pytest.approx(foxes, abs=2e-5)


@given(one=WORDS, other=WORDS)
def test_the_longest_common_subsequence_is_that_of_the_table(one: list[str], other: list[str]) -> None:
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, word in enumerate(one, 1):
        for j, their in enumerate(other, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if word == their else max(table[i - 1][j], table[i][j - 1])
    assert common_subsequence(one, other) == table[-1][-1]


def test_long_lines_cost_little() -> None:
    draw = random.Random(1)
    one, other = (draw.choices("abcdefgh", k=20_000) for _ in range(2))
    assert common_subsequence(one, one) == 20_000
    assert 10_000 < common_subsequence(one, other) < 20_000


@given(hypothesis=WORDS, reference=WORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_f_lies_between_precision_and_recall_which_change_places(
    kind: Any, hypothesis: list[str], reference: list[str]
) -> None:
    def value(of: Any, one: list[str], other: list[str]) -> float:
        return Rouge(kind=kind, value=of).score([" ".join(one)], [" ".join(other)]).value

    precision, recall = (value(of, hypothesis, reference) for of in "pr")
    slack = 1e-9
    assert min(precision, recall) - slack <= value("f", hypothesis, reference) <= max(precision, recall) + slack
    assert (precision, recall) == (value("r", reference, hypothesis), value("p", reference, hypothesis))


def test_repeating_a_word_gains_nothing_but_costs_no_precision() -> None:
    one, more = (Rouge(kind="1", value="p").score([text], ["the cat sat"]).value for text in ("the", "the the the"))
    assert one == more == 100


def test_a_line_without_words_scores_nothing() -> None:
    for metric in ALL:
        assert [metric.score([""], [text]).value for text in ("a b c", "")] == [0, 0]
        assert metric.score(["", "a b c"], ["a b c", "a b c"]).value == 50


def test_names_are_keys_and_labels_are_for_people() -> None:
    assert [metric.name for metric in ALL] == [f"rouge_{kind}_{value}" for kind in "12l" for value in "fpr"]
    assert Rouge(kind=1).name == ALL[0].name, "a number will do"
    assert ALL[0].label == "ROUGE-1 F" and ALL[-1].label == "ROUGE-L R"
    assert str(ALL[3].score(*LETTERS)) == ("ROUGE-2 F 80.00 (nrefs:1|case:mixed|tok:none|ngrams:sets|version:seqloom)")
    assert ALL[6].signature(bootstrap=9, seed=2) == (
        "nrefs:1|bs:9|seed:2|case:mixed|tok:none|lcs:sentence|beta:p/r|version:seqloom"
    )


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"kind": "3"}, "kind must be one of 1, 2, l, got '3'"),
        ({"value": "f1"}, "value must be one of f, p, r, got 'f1'"),
    ],
)
def test_other_kinds_are_refused(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        Rouge(**parameters)
    assert str(said.value) == sentence
