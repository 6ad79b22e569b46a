"""How alike sentences are is what sacrebleu says of each pair."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu import sentence_bleu, sentence_chrf

from seqloom.metrics.sentences import similarities

TEXTS = st.lists(
    st.sampled_from(["", " ", "a", "A dog runs.", "a dog is running", "the cat , the cat", "日本 😀"])
    | st.text(max_size=8),
    max_size=4,
)


@given(texts=TEXTS)
@settings(max_examples=25)
def test_every_pair_is_scored_as_sacrebleu_scores_it(texts: list[str]) -> None:
    for utility, of_pair in (("chrf", sentence_chrf), ("bleu", sentence_bleu)):
        found = similarities(texts, utility)  # type: ignore[arg-type]
        assert found.shape == (len(texts), len(texts))
        for i, text in enumerate(texts):
            for j, reference in enumerate(texts):
                assert found[i, j] == pytest.approx(of_pair(text, [reference]).score, abs=1e-9)


def test_another_utility_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        similarities(["a"], "ter")  # type: ignore[arg-type]
    assert str(caught.value) == "a utility must be chrf or bleu, got 'ter'"
