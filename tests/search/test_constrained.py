"""A target says what it must, whole, and says it in the likeliest way that can be found."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from chains import Chain, numbered, random_chain
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.search import Forbid, Hypothesis, SearchOptions, beam_search
from seqloom.search.constrained import Constrained, shared
from seqloom.search.phrases import Borders, Phrase, Phrases
from seqloom.search.said import Tracker
from seqloom.vocabulary import BOS, EOS

# What the symbols of a vocabulary of subwords are as text: a full stop, one that goes on with a word, and some words.
TEXTS = ["", "", "?", " a", " b", ".", " d", "c"]
SYMBOLS, CONTENT = len(TEXTS), range(3, len(TEXTS))
BORDERS = Borders(
    opens=np.zeros(SYMBOLS, bool),
    continues=np.array([bool(text) and text[0] != " " for text in TEXTS]),
    first=np.array([text.strip().isalpha() for text in TEXTS]),
    last=np.array([text.strip().isalpha() for text in TEXTS]),
    starts=np.array([i == BOS or text == "." for i, text in enumerate(TEXTS)]),
)
words = st.lists(st.sampled_from(CONTENT), min_size=1, max_size=3).map(tuple)
phrases = st.builds(
    Phrase,
    st.lists(words, min_size=1, max_size=3).map(tuple),
    st.lists(words, max_size=1).map(tuple),
    st.integers(1, 2),
)


def occurrences(phrase: Phrase, tokens: Sequence[int]) -> int:
    """How many times a target says a phrase in whole words, none overlapping another: looked for in every place."""
    text = [TEXTS[token] for token in tokens]

    def border(place: int) -> bool:
        return place in (0, len(text)) or not (text[place][0].isalpha() and text[place - 1][-1].isalpha())

    count = taken = 0
    for end in range(1, len(tokens) + 1):
        for start in range(taken, end):
            begins = start == 0 or tokens[start - 1] == 5
            ways = (*phrase.alternatives, *(phrase.initial if begins else ()))
            if tuple(tokens[start:end]) in ways and border(start) and border(end):
                count, taken = count + 1, end
                break
    return count


def says(asked: Sequence[Phrase], tokens: Sequence[int]) -> bool:
    return all(occurrences(phrase, tokens) >= phrase.times for phrase in asked)


@settings(max_examples=200, deadline=None)
@given(st.lists(phrases, min_size=1, max_size=3), st.lists(st.sampled_from(CONTENT), max_size=9))
def test_what_was_said_is_followed_symbol_by_symbol(asked: list[Phrase], tokens: list[int]) -> None:
    tracker = Tracker(Phrases([asked], BORDERS))
    said = tracker.start(1)
    for place, token in enumerate(tokens):
        assert bool(tracker.complete(said)) is says(asked, tokens[:place])
        said = tracker.behind(said, torch.tensor([token]))
    assert bool(tracker.complete(said)) is says(asked, tokens)
    symbols = int(tracker.symbols(said))
    assert 0 <= symbols <= int(said.whole)
    assert symbols == int(said.whole) if tracker.complete(said) else True


@settings(max_examples=100, deadline=None)
@given(st.lists(phrases, min_size=1, max_size=2), st.lists(st.sampled_from(CONTENT), max_size=6))
def test_going_on_as_wanted_gets_everything_said(asked: list[Phrase], tokens: list[int]) -> None:
    asked = [phrase for phrase in asked if all(way[0] in (3, 4, 6) for way in phrase.alternatives)]
    tracker = Tracker(Phrases([asked], BORDERS))
    said, made = tracker.start(1), list(tokens)
    for token in tokens:
        said = tracker.behind(said, torch.tensor([token]))
    for _ in range(40):
        wanted = [int(i) for i in tracker.wanted(said)[0] if i >= 0]
        assert bool(wanted) is not bool(tracker.complete(said)), "until all is said there is something to go on with"
        if not wanted:
            break
        made.append(wanted[0])
        said = tracker.behind(said, torch.tensor([wanted[0]]))
    assert says(asked, made)


def searched(
    chain: Chain, asked: Sequence[Sequence[Phrase]], options: SearchOptions, forbidden: Sequence[int] = ()
) -> list[list[Hypothesis]]:
    chooser = Constrained(options, Phrases(asked, BORDERS))
    rules = [Forbid([BOS, 2, *forbidden])]
    return beam_search(chain, numbered(len(asked)), options, rules=rules, chooser=chooser)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(phrases, min_size=1, max_size=2), st.sampled_from([0.0, 1.0]))
def test_a_beam_as_wide_as_the_space_finds_the_best_that_says_it(
    seed: int, asked: list[Phrase], length_penalty: float
) -> None:
    chain = random_chain(seed, 1, SYMBOLS)
    options = SearchOptions(beam_size=1000, n_best=3, max_length=5, length_penalty=length_penalty)
    table = chain.tables[0].log_softmax(-1).double()
    scores = {
        tokens: options.score(float(sum(table[a, b] for a, b in itertools.pairwise((BOS, *tokens, EOS)))), length + 1)
        for length in range(5)
        for tokens in itertools.product(CONTENT, repeat=length)
        if says(asked, tokens)
    }
    wanted = sorted(scores.values(), reverse=True)[:3]
    (ranking,) = searched(chain, [asked], options)
    assert [one.score for one in ranking] == pytest.approx(wanted, abs=1e-4)
    for one in ranking:
        assert one.score == pytest.approx(scores[tuple(one.tokens)], abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.lists(phrases, max_size=3), min_size=1, max_size=4), st.integers(1, 6))
def test_whatever_is_asked_for_is_said_by_every_hypothesis(
    seed: int, asked: list[list[Phrase]], beam_size: int
) -> None:
    asked = [[phrase for phrase in row if all(way[0] in (3, 4, 6) for way in phrase.alternatives)] for row in asked]
    options = SearchOptions(beam_size=beam_size, n_best=beam_size, max_length=40)
    for row, ranking in zip(asked, searched(random_chain(seed, len(asked), SYMBOLS), asked, options), strict=True):
        assert ranking
        assert all(says(row, one.tokens) for one in ranking)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(phrases, min_size=1, max_size=3), st.integers(1, 5))
def test_a_sentence_without_phrases_is_searched_as_ever(seed: int, asked: list[Phrase], beam_size: int) -> None:
    chain = random_chain(seed, 3, SYMBOLS)
    options = SearchOptions(beam_size=beam_size, n_best=beam_size, max_length=12)
    free = beam_search(chain, numbered(3), options, rules=[Forbid([BOS, 2])])
    steered = searched(chain, [[], asked, []], options)
    alone = searched(Chain(chain.tables[1:2].numpy()), [asked], options)
    for one, other in ((steered[0], free[0]), (steered[1], alone[0]), (steered[2], free[2])):
        assert_same(one, other)


def assert_same(one: list[Hypothesis], other: list[Hypothesis]) -> None:
    """Two rankings agree; of targets made of the same steps in another order, any may be found."""
    assert [found.score for found in one] == pytest.approx([found.score for found in other], abs=1e-5)
    assert [steps(found) for found in one] == [steps(found) for found in other]


def steps(found: Hypothesis) -> list[tuple[int, int]]:
    return sorted(itertools.pairwise((BOS, *found.tokens, EOS)))


def test_what_is_forbidden_is_not_said_after_all() -> None:
    options = SearchOptions(beam_size=4, max_length=8)
    asked = [[Phrase(((3,),))], [Phrase(((4,), (3, 7)))]]
    first, second = searched(random_chain(1, 2, SYMBOLS), asked, options, forbidden=[3])
    assert first == []
    assert 4 in second[0].tokens


def test_the_beam_is_shared_among_banks() -> None:
    def banks_kept(banks: list[int], width: int) -> list[int]:
        kept = shared(torch.tensor([banks]), width)[0].tolist()
        assert len(set(kept)) == width
        return kept

    assert banks_kept([0, 0, 0, 1, 2, 2], 1) == [4], "the fullest bank has a place, whatever happens"
    assert sorted(banks_kept([0, 0, 0, 1, 2, 2], 3)) == [0, 3, 4], "so have the likeliest, as many as half of them all"
    assert sorted(banks_kept([0, 0, 0, 1, 2, 2], 5)) == [0, 1, 2, 3, 4], "the others go to the banks in turn"
    assert sorted(banks_kept([2, 2, 2, 1, 0], 4)) == [0, 1, 2, 3], "to each as if it had none yet"
    assert sorted(banks_kept([0, 1, 2, 3, 4, 5], 3)) == [0, 4, 5], "the fullest first"
    assert sorted(banks_kept([-1, 0, -1, 0, 0], 2)) == [1, 3], "nothing of what can't go on"
    assert sorted(banks_kept([-1, 0, -1], 2)) == [0, 1], "unless there is nothing else"


def test_as_many_are_enough_as_the_banks_have_places() -> None:
    """Half of a beam, rounded up, but never fewer than are asked for; all of it where nothing must be said."""
    phrases = Phrases([[Phrase(((3,),))], []], BORDERS)
    for beam_size, n_best, wanted in ((1, 1, 1), (4, 1, 2), (5, 1, 3), (5, 4, 4)):
        chooser = Constrained(SearchOptions(beam_size=beam_size, n_best=n_best), phrases)
        assert (chooser.enough(0), chooser.enough(1)) == (wanted, beam_size)
