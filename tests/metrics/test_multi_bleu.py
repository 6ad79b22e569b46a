"""BLEU without tokenizer and smoothing is that of Moses's multi-bleu.perl, written out here from its definition."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.metrics import Bleu

MULTI_BLEU = Bleu(tokenize="none", smooth="none")
LINE = st.lists(st.sampled_from(["a", "b", "c", "B", ",", "."]), max_size=10).map(" ".join)


def multi_bleu(hypotheses: list[str], references: list[str]) -> tuple[float, list[float], float]:
    """BLEU, its four precisions in percent, and the brevity penalty."""
    right, offered = [0] * 4, [0] * 4
    lines = [(one.split(), other.split()) for one, other in zip(hypotheses, references, strict=True)]
    for one, other in lines:
        for n in range(1, 5):
            mine, theirs = (
                Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for words in (one, other)
            )
            right[n - 1] += sum((mine & theirs).values())
            offered[n - 1] += sum(mine.values())
    length, wanted = (sum(len(line[side]) for line in lines) for side in (0, 1))
    if not length:
        return 0.0, [0.0] * 4, 0.0
    penalty = 1.0 if length >= wanted else math.exp(1 - wanted / length)
    precisions = [100 * r / o if o else 0.0 for r, o in zip(right, offered, strict=True)]
    mean = math.exp(sum(map(math.log, precisions)) / 4) if all(precisions) else 0.0
    return penalty * mean, precisions, penalty


LETTERS = (["A B C D E F"] * 2, ["A B C D E F", "A B A D E F"])
FOXES = (
    ["The brown fox jumps over the dog 笑", "The brown fox jumps over the dog 2 笑"],
    ["The quick brown fox jumps over the lazy dog 笑"] * 2,
)


def test_the_published_values() -> None:
    assert round(MULTI_BLEU.score(*LETTERS).value, 2) == 69.19
    assert round(MULTI_BLEU.score(*FOXES).value, 2) == 46.51
    value, precisions, penalty = multi_bleu(*FOXES)
    assert ([round(p, 1) for p in precisions], round(penalty, 3)) == ([94.1, 60.0, 46.2, 36.4], 0.838)
    assert round(value, 2) == 46.51
    assert MULTI_BLEU.score(["", ""], ["a", "b c"]).value == 0


@given(lines=st.lists(st.tuples(LINE, LINE), min_size=1, max_size=6))
def test_every_value_is_that_of_multi_bleu(lines: list[tuple[str, str]]) -> None:
    hypotheses, references = map(list, zip(*lines, strict=True))
    assert MULTI_BLEU.score(hypotheses, references).value == pytest.approx(multi_bleu(hypotheses, references)[0])


def test_a_large_corpus_too_and_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """sacrebleu would warn of a hundred lines that look tokenized; here they are meant to."""
    draw = random.Random(1)
    references = [" ".join([*draw.choices("abcdef", k=draw.randint(4, 12)), "."]) for _ in range(300)]
    hypotheses = [line.replace("a", draw.choice("ab")) for line in references]
    value = MULTI_BLEU.score(hypotheses, references).value
    assert 50 < value == pytest.approx(multi_bleu(hypotheses, references)[0])
    assert caplog.messages == []


def test_the_signature_says_which_bleu_it_is() -> None:
    assert "|tok:none|smooth:none|" in MULTI_BLEU.signature(bootstrap=0, seed=0)
    assert "|tok:13a|smooth:exp|" in Bleu().signature(bootstrap=0, seed=0)


def test_smoothing_matters_where_a_precision_is_nothing() -> None:
    lines = (["a b x d"], ["a b c d"])
    assert MULTI_BLEU.score(*lines).value == 0 < Bleu(tokenize="none").score(*lines).value


def test_another_smoothing_is_refused() -> None:
    with pytest.raises(ValueError) as said:
        Bleu(smooth="add-one")  # type: ignore[arg-type]
    assert str(said.value) == "smooth must be one of exp, floor, add-k, none, got 'add-one'"
