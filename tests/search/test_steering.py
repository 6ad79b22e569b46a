"""Whatever steers a search, it finds what there is to find, in the order of the scores, and stops when it may."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from chains import random_chain
from hypothesis import given, settings
from hypothesis import strategies as st
from timed import Plain, drawn, numbered

from seqloom.errors import UsageError
from seqloom.search import Recorder, SearchOptions, beam_search
from seqloom.search.rules import ForbidPhrases
from seqloom.vocabulary import EOS

SYMBOLS, LIMIT = 5, 4
CONTENT = [symbol for symbol in range(SYMBOLS) if symbol != EOS]
SPACE = 1 + 4 + 16 + 64  # targets of at most LIMIT tokens, their end included
PENALTIES = st.fixed_dictionaries(
    {
        "length_penalty": st.sampled_from([-0.5, 0.0, 0.6, 1.0, 3.0]),
        "length_penalty_kind": st.sampled_from(["gnmt", "average", "none"]),
        "coverage_penalty": st.sampled_from([0.0, 0.2, 2.0]),
    }
)
LENGTHS = st.tuples(st.integers(1, LIMIT), st.integers(1, 6)).map(
    lambda pair: {"min_length": min(pair), "max_length": max(pair)}
)
REPEATS = st.fixed_dictionaries({"no_repeat_ngram": st.none() | st.integers(1, 3)})
PHRASES = st.lists(st.lists(st.sampled_from(CONTENT), min_size=1, max_size=3), max_size=4)
PREFIXES = st.lists(st.lists(st.sampled_from(CONTENT), max_size=3), min_size=2, max_size=2)
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=15)  # a search takes its time on a busy machine


def found(seed: int, options: SearchOptions, prefixes: Any, phrases: Any, *, steps: int = 8) -> tuple[list[Any], Any]:
    """What is found for two sentences in one batch, and the plain searches for them."""
    decoder = drawn(seed, 2, steps=steps, symbols=SYMBOLS)
    rules = [ForbidPhrases(phrases)] if phrases else []
    rankings = beam_search(decoder, numbered(2), options, rules=rules, prefixes=prefixes)
    assert options.max_length is not None
    limits = [max(options.max_length, len(prefix) + 1) for prefix in prefixes]
    plain = [Plain(decoder, row, options, limits[row], prefixes[row], phrases) for row in range(2)]
    return rankings, plain


@given(seed=SEEDS, penalties=PENALTIES, lengths=LENGTHS, repeats=REPEATS, phrases=PHRASES, prefixes=PREFIXES)
@FEW
def test_a_beam_as_wide_as_the_space_ranks_all_that_is_allowed(
    seed: int, penalties: Any, lengths: Any, repeats: Any, phrases: Any, prefixes: Any
) -> None:
    lengths = {name: min(length, LIMIT) for name, length in lengths.items()}
    wide = {"beam_size": SPACE, "n_best": SPACE, "patience": math.inf}
    options = SearchOptions(**wide, **penalties, **lengths, **repeats)
    rankings, plain = found(seed, options, prefixes, phrases)
    for ranking, search in zip(rankings, plain, strict=True):
        everything = {path.tokens[:-1]: path for path in search.everything()}
        wanted = sorted(map(search.score, everything.values()), reverse=True)
        assert [one.score for one in ranking] == pytest.approx(wanted, abs=1e-4)
        assert {tuple(one.tokens) for one in ranking} == set(everything)
        for one in ranking:
            path = everything[tuple(one.tokens)]
            assert one.score == pytest.approx(search.score(path), abs=1e-4)
            assert one.log_prob == pytest.approx(path.log_prob, abs=1e-4)


@given(
    seed=SEEDS,
    penalties=PENALTIES,
    lengths=LENGTHS,
    repeats=REPEATS,
    phrases=PHRASES,
    prefixes=PREFIXES,
    beam_size=st.integers(1, 5),
    n_best=st.integers(1, 5),
)
@FEW
def test_stopping_early_loses_nothing_whatever_the_options(
    seed: int, penalties: Any, lengths: Any, repeats: Any, phrases: Any, prefixes: Any, beam_size: int, n_best: int
) -> None:
    sizes = {"beam_size": beam_size, "n_best": min(n_best, beam_size), "patience": math.inf}
    options = SearchOptions(**sizes, **penalties, **lengths, **repeats)
    rankings, plain = found(seed, options, prefixes, phrases)
    for ranking, search in zip(rankings, plain, strict=True):
        (wanted,) = search.groups()
        wanted = wanted[: options.n_best]
        assert [one.score for one in ranking] == pytest.approx([search.score(path) for path in wanted], abs=1e-4)
        assert [tuple(one.tokens) for one in ranking] == [path.tokens[:-1] for path in wanted]


@given(
    seed=SEEDS,
    penalties=PENALTIES,
    lengths=LENGTHS,
    repeats=REPEATS,
    groups=st.integers(2, 3),
    width=st.integers(1, 3),
    diversity=st.sampled_from([0.0, 0.3, 2.0]),
)
@FEW
def test_each_group_is_a_beam_that_keeps_away_from_those_before_it(
    seed: int, penalties: Any, lengths: Any, repeats: Any, groups: int, width: int, diversity: float
) -> None:
    sizes = {"beam_size": groups * width, "n_best": groups, "patience": math.inf}
    options = SearchOptions(**sizes, **penalties, **lengths, **repeats, diverse_groups=groups, diversity=diversity)
    rankings, plain = found(seed, options, [[], []], [])
    for ranking, search in zip(rankings, plain, strict=True):
        paths = search.groups()
        bests = [own[0] for own in paths]
        assert {tuple(one.tokens) for one in ranking} >= {path.tokens[:-1] for path in bests}
        assert len({tuple(one.tokens) for one in ranking}) == len(ranking) <= groups
        scores = [one.score for one in ranking]
        assert scores == sorted(scores, reverse=True)
        if len({path.tokens for path in bests}) == groups:
            assert scores == pytest.approx(sorted(map(search.score, bests), reverse=True), abs=1e-4)
        everything = {path.tokens[:-1] for own in paths for path in own}
        assert everything >= {tuple(one.tokens) for one in ranking}


@given(seed=SEEDS, width=st.integers(1, 4))
@FEW
def test_groups_without_diversity_are_the_same_beam(seed: int, width: int) -> None:
    one = SearchOptions(beam_size=width, max_length=6, patience=math.inf)
    two = replace(one, beam_size=2 * width, diverse_groups=2, diversity=0.0)
    for (best,), (same,) in zip(found(seed, one, [[], []], [])[0], found(seed, two, [[], []], [])[0], strict=True):
        assert (best.tokens, best.score) == (same.tokens, same.score)


@given(seed=SEEDS)
@FEW
def test_diversity_has_groups_part(seed: int) -> None:
    """With a penalty that outweighs everything, no group goes on with a token that another one goes on with."""
    options = SearchOptions(
        beam_size=3, n_best=3, diverse_groups=3, diversity=1e4, max_length=6, min_length=3, patience=math.inf
    )
    for ranking in found(seed, options, [[], []], [])[0]:
        assert len(ranking) == 3
        for tokens in zip(*(one.tokens for one in ranking), strict=False):
            assert len(set(tokens)) == 3


@pytest.mark.parametrize("sample", [False, True])
@given(seed=SEEDS, repeats=REPEATS, phrases=PHRASES, prefixes=PREFIXES)
@FEW
def test_what_is_said_of_each_token_adds_up(sample: bool, seed: int, repeats: Any, phrases: Any, prefixes: Any) -> None:
    sizes = {"sample": True, "n_best": 3} if sample else {"beam_size": 3, "n_best": 3}
    options = SearchOptions(**sizes, **repeats, max_length=6)
    rankings, plain = found(seed, options, prefixes, phrases)
    for ranking, search, prefix in zip(rankings, plain, prefixes, strict=True):
        assert ranking
        for one in ranking:
            path = (*one.tokens, EOS)
            assert list(path[: len(prefix)]) == prefix
            said = [search.allowed(path[:place]).get(token, -math.inf) for place, token in enumerate(path)]
            assert list(one.token_log_probs) == pytest.approx(said, abs=1e-5)
            assert one.log_prob == pytest.approx(sum(said), abs=1e-4)


@given(seed=SEEDS)
@FEW
def test_a_prefix_of_what_is_found_changes_nothing(seed: int) -> None:
    options = SearchOptions(beam_size=1, max_length=LIMIT)
    free = found(seed, options, [[], []], [])[0]
    for length in range(LIMIT):
        held = found(seed, options, [ranking[0].tokens[:length] for ranking in free], [])[0]
        assert [ranking[0].tokens for ranking in held] == [ranking[0].tokens for ranking in free]


@given(seed=SEEDS, prefix=st.lists(st.sampled_from(CONTENT), min_size=LIMIT, max_size=7))
@FEW
def test_a_prefix_without_room_behind_it_comes_whole(seed: int, prefix: list[int]) -> None:
    options = SearchOptions(beam_size=3, n_best=3, max_length=LIMIT, no_repeat_ngram=1)
    (held, free), _ = found(seed, options, [prefix, []], [])
    assert [one.tokens for one in held] == [prefix]
    assert all(len(one.tokens) < LIMIT for one in free)


@given(seed=SEEDS, penalties=PENALTIES, repeats=REPEATS, groups=st.integers(1, 2), patience=st.sampled_from([1, 9.0]))
@FEW
def test_a_trace_has_the_scores_of_what_was_found(
    seed: int, penalties: Any, repeats: Any, groups: int, patience: float
) -> None:
    sizes = {"beam_size": 4, "n_best": 4, "diverse_groups": groups, "patience": patience}
    options, recorder = SearchOptions(**sizes, **penalties, **repeats, max_length=6), Recorder()
    decoder = drawn(seed, 2, steps=8, symbols=SYMBOLS)
    rankings = beam_search(decoder, numbered(2), options, recorder=recorder)
    assert rankings == beam_search(decoder, numbered(2), options)
    for row, ranking in enumerate(rankings):
        trace = recorder.trace(row)
        ended = {tuple(trace.tokens(t, k)): trace.steps[t][k].score for t, k in trace.finished()}
        assert {(*one.tokens, EOS): one.score for one in ranking}.items() <= ended.items()
        assert max(ended.values()) == ranking[0].score


def test_where_nothing_may_follow_the_end_does() -> None:
    """Every symbol may come once, and the target must be longer than there are symbols."""
    options = SearchOptions(beam_size=2, no_repeat_ngram=1, min_length=7, max_length=8)
    for ranking in found(3, options, [[], []], [])[0]:
        assert sorted(ranking[0].tokens) == CONTENT


def test_coverage_needs_attention() -> None:
    with pytest.raises(UsageError) as caught:
        beam_search(random_chain(1, 2, SYMBOLS), numbered(2), SearchOptions(coverage_penalty=0.2))
    assert str(caught.value) == (
        "coverage_penalty needs attention over the source, and this model has none; leave it out"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"length_penalty_kind": "wu"}, "length_penalty_kind must be gnmt, average or none, got 'wu'"),
        ({"length_penalty": math.nan}, "length_penalty must be a number, got nan"),
        ({"coverage_penalty": -0.1}, "coverage_penalty must be 0 or more, got -0.1"),
        ({"coverage_penalty": math.inf}, "coverage_penalty must be a number, got inf"),
        ({"min_length": 0}, "min_length must be at least 1, got 0"),
        (
            {"min_length": 5, "max_length": 4},
            "min_length can't exceed max_length, got min_length 5 and max_length 4",
        ),
        ({"no_repeat_ngram": 0}, "no_repeat_ngram must be at least 1, got 0"),
        ({"diverse_groups": 2}, "beam_size must be a multiple of diverse_groups, got 5 and 2"),
        (
            {"diverse_groups": 5, "sample": True},
            "diverse_groups is for beam search, got diverse_groups 5 and sample: true",
        ),
        ({"diversity": 0.7}, "diversity is for diverse_groups above 1, got diversity 0.7"),
        ({"diverse_groups": 5, "diversity": -1.0}, "diversity must be 0 or more, got -1.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        SearchOptions(**options)
    assert str(caught.value) == sentence


def test_a_beam_of_options_that_sample_or_have_groups_is_a_plain_one() -> None:
    assert SearchOptions(sample=True, temperature=2.0, top_k=3, n_best=9).beam(4) == SearchOptions(beam_size=4)
    assert SearchOptions(beam_size=6, diverse_groups=3, diversity=1.0).beam(1) == SearchOptions(beam_size=1)


def test_the_exact_formulas() -> None:
    plain = SearchOptions(length_penalty=0.6)
    assert plain.score(-6.0, 7) == pytest.approx(-6.0 / 2**0.6)
    assert replace(plain, length_penalty_kind="average").score(-6.0, 7) == pytest.approx(-6.0 / 7**0.6)
    assert replace(plain, length_penalty_kind="average", length_penalty=1.0).score(-6.0, 7) == pytest.approx(-6 / 7)
    assert replace(plain, length_penalty_kind="none").score(-6.0, 7) == -6.0
    assert replace(plain, coverage_penalty=0.2).score(-6.0, 7, -1.5) == pytest.approx(-6.0 / 2**0.6 - 0.3)
