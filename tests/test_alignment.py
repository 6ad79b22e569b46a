"""Words are aligned by what their tokens looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from translators import ANY_TEXT, LINES, TOKENIZERS, TRANSLATORS

from seqloom.alignment import hard, pharaoh, soft
from seqloom.errors import UsageError
from seqloom.search import SearchOptions
from seqloom.tokenizers import Words
from seqloom.tokenizers.words import Word, WordFinder
from seqloom.translate import Translator
from seqloom.translation import Alternative, Translation

every = pytest.mark.parametrize("translator", TRANSLATORS.values(), ids=TRANSLATORS)


def test_by_hand() -> None:
    """Two source words of tokens 0 | 1 2, two target words of tokens 0 1 | 2; then both ends."""
    attention = np.array([[0.1, 0.2, 0.1, 0.6], [0.5, 0.2, 0.0, 0.3], [0.0, 0.3, 0.7, 0.0], [0, 0, 0, 1]])
    other = np.array([[0.1, 0.2, 0.1, 0.6], [0.5, 0.2, 0.0, 0.3], [0.0, 0.3, 0.7, 0.0], [1, 0, 0, 0]])
    one = Alternative("xy z", 0.0, ["x", "y", "z"], np.stack([attention, other])[:, None].astype(np.float32))
    one = Alternative(one.text, 0.0, one.tokens, one.attention, words=[Word("xy", 0, 2), Word("z", 2, 3)])
    translation = Translation("a bc", ["a", "b", "c"], [one], source_words=[Word("a", 0, 1), Word("bc", 1, 3)])
    shares = soft(translation, one)
    assert shares == pytest.approx(np.array([[0.3 / 0.55, 0.25 / 0.55], [0.0, 1.0]]), abs=1e-6)
    assert hard(shares) == [(0, 0), (1, 1)]
    assert pharaoh([(1, 0), (0, 1), (0, 0)]) == "0-0 0-1 1-0"
    assert hard(np.array([[0.0, 0.0], [0.2, 0.8]])) == [(1, 1)], "what looked at the end alone has no source"


@every
@given(lines=st.lists(ANY_TEXT | st.sampled_from(LINES), max_size=3))
@settings(max_examples=10)
def test_every_word_of_any_text_has_its_shares(translator: Translator, lines: list[str]) -> None:
    options = SearchOptions(beam_size=2, n_best=2, max_length=8)
    for found in translator.translate(lines, options, attention=True, words=True):
        for one in found.alternatives:
            assert one.words is not None and found.source_words is not None
            shares = soft(found, one)
            assert shares.shape == (len(one.words), len(found.source_words))
            sums = shares.sum(1)
            assert np.all(np.isclose(sums, 1) | (sums == 0))
            pairs = hard(shares)
            assert len({target for _, target in pairs}) == len(pairs) <= len(one.words)
            assert all(0 <= source < len(found.source_words) for source, _ in pairs)
            sure = one.word_confidences()
            assert len(sure) == len(one.words) and all(share is not None and 0 <= share <= 1 for share in sure)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("line", [*LINES, " a  cat ", "cat"])
def test_words_are_what_blanks_divide(name: str, line: str) -> None:
    tokenizer = TOKENIZERS[name].source
    (ids,) = tokenizer.encode([line])
    words = WordFinder(tokenizer).words(ids, line)
    assert [word.text for word in words] == line.split()
    pieces = [tokenizer.decode(ids[word.start : word.end]).strip() for word in words]
    assert [piece for piece in pieces if "⁇" not in piece] == [
        word for word, piece in zip(line.split(), pieces, strict=True) if "⁇" not in piece
    ]


def test_a_word_cut_by_others_is_one() -> None:
    tokenizer = Words(segmentation="bpe")
    tokenizer.train(["Hu@@ nde lau@@ f@@ en", "nde"])
    (ids,) = tokenizer.encode(["Hu@@ nde nde lau@@ f@@ en"])
    found = WordFinder(tokenizer).words(ids, tokenizer.decode(ids))
    assert found == [Word("Hunde", 0, 2), Word("nde", 2, 3), Word("laufen", 3, 6)]


def test_an_alignment_needs_attention_and_words() -> None:
    (found,) = TRANSLATORS["words"].translate([LINES[0]], words=True)
    with pytest.raises(ValueError) as caught:
        soft(found, found.alternatives[0])
    assert str(caught.value) == "an alignment needs a translation with attention=True and words=True"


def test_positions_must_be_tokens() -> None:
    words = [Word("a", 0, 1), Word("b", 1, 2)]
    one = Alternative("x", 0.0, ["x"], np.ones((1, 1, 2, 2), np.float32) / 2, words=[Word("x", 0, 1)])
    with pytest.raises(UsageError) as caught:
        soft(Translation("a b", ["a b"], [one], source_words=words), one)
    assert str(caught.value) == "an alignment needs a model that looks at each source token, and this one joins them"
