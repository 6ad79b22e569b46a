"""What search promises, whatever decodes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.decoders import Decoder
from seqloom.search import Forbid, Hypothesis, Rule, SearchOptions, beam_search
from seqloom.search.options import LEAST_SEEN
from seqloom.search.rules import ForbidPhrases
from seqloom.structures import Encoded, Output, State
from seqloom.vocabulary import BOS, EOS

SourceOf = Callable[..., Encoded]
SYMBOLS = 6
CONTENT = [symbol for symbol in range(SYMBOLS) if symbol != EOS]


# --- Any decoder ------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def teacher_forced(decoder: Decoder, source: Encoded, rows: list[list[int]]) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities [N, T, V], and attention, of what follows bos and each token of rows of one length."""
    tokens = torch.tensor([[BOS, *row] for row in rows])
    repeated = source.select(torch.zeros(len(rows), dtype=torch.int64))
    output, _ = decoder(tokens, decoder.start(repeated), weights=True)
    return decoder.project(output.features).float().log_softmax(-1), output.attention


def every_target(decoder: Decoder, source: Encoded, max_length: int) -> dict[tuple[int, ...], float]:
    """The log-probability of every target of at most `max_length` tokens, eos included, of a source of one sentence."""
    longest = [list(row) for row in itertools.product(CONTENT, repeat=max_length - 1)]
    log_probs = teacher_forced(decoder, source, longest)[0].double()
    found = {}
    for row, steps in zip(longest, log_probs, strict=True):
        so_far = 0.0
        for place, token in enumerate([*row, EOS]):
            found[tuple(row[:place])] = so_far + float(steps[place, EOS])
            so_far += float(steps[place, token])
    return found


def only(source: Encoded, row: int) -> Encoded:
    return source.select(torch.tensor([row]))


def assert_same(one: list[Hypothesis], other: list[Hypothesis]) -> None:
    """Two rankings agree in tokens, scores and attention; padding at the end of attention doesn't count."""
    assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
    for a, b in zip(one, other, strict=True):
        assert (a.score, a.log_prob) == pytest.approx((b.score, b.log_prob), abs=1e-5)
        assert (a.attention is None) == (b.attention is None)
        if a.attention is not None and b.attention is not None:
            width = min(a.attention.shape[-1], b.attention.shape[-1])
            np.testing.assert_allclose(a.attention[..., :width], b.attention[..., :width], rtol=1.3e-6, atol=1e-5)
            assert a.attention[..., width:].sum() == b.attention[..., width:].sum() == 0


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_the_space_ranks_it_whole(decoder: Decoder, source: SourceOf, length_penalty: float) -> None:
    options = SearchOptions(beam_size=150, n_best=150, patience=math.inf, max_length=4, length_penalty=length_penalty)
    for row, ranking in enumerate(beam_search(decoder, source(), options)):
        everything = every_target(decoder, only(source(), row), 4)
        assert len(everything) == 1 + 5 + 25 + 125
        wanted = sorted((options.score(p, len(tokens) + 1) for tokens, p in everything.items()), reverse=True)
        assert [hypothesis.score for hypothesis in ranking] == pytest.approx(wanted[:150], abs=1e-5)
        for hypothesis in ranking:
            assert hypothesis.log_prob == pytest.approx(everything[tuple(hypothesis.tokens)], abs=1e-5)


def coverage_of(attention: Tensor | None) -> float:
    """By the formula of Wu et al., given the weights [L, H, T, S] of one target."""
    if attention is None:
        return 0.0
    seen = attention.double().mean((0, 1)).sum(0)  # [S]
    return float(seen.clamp(LEAST_SEEN, 1).log().sum())


def test_options_rank_the_whole_space(decoder: Decoder, decoder_case: Any, source: SourceOf) -> None:
    """Every option at once, each target looked at again as a whole."""
    prefixes = [[3], []]
    options = SearchOptions(
        beam_size=150,
        n_best=150,
        patience=math.inf,
        max_length=4,
        min_length=2,
        length_penalty_kind="average",
        no_repeat_ngram=2,
        coverage_penalty=0.4 if decoder_case.attends else 0.0,
    )
    rankings = beam_search(decoder, source(), options, rules=[ForbidPhrases([[2, 4]])], prefixes=prefixes)
    for row, (ranking, prefix) in enumerate(zip(rankings, prefixes, strict=True)):
        allowed = {
            tokens: log_prob
            for tokens, log_prob in every_target(decoder, only(source(), row), 4).items()
            if tokens
            and list(tokens[: len(prefix)]) == prefix
            and (2, 4) not in itertools.pairwise(tokens)
            and len(set(pairs := list(itertools.pairwise(tokens)))) == len(pairs)
        }
        assert {tuple(one.tokens) for one in ranking} == set(allowed)
        scores = [one.score for one in ranking]
        assert scores == sorted(scores, reverse=True)
        for one in ranking[::7]:
            _, attention = teacher_forced(decoder, only(source(), row), [one.tokens])
            coverage = coverage_of(None if attention is None else attention[0, ..., source().mask[row]])
            wanted = options.score(allowed[tuple(one.tokens)], len(one.tokens) + 1, coverage)
            assert one.score == pytest.approx(wanted, abs=1e-4)


def test_no_beam_finds_better_than_the_widest(decoder: Decoder, source: SourceOf) -> None:
    widest = beam_search(decoder, source(), SearchOptions(beam_size=150, max_length=4, length_penalty=0.0))
    for beam_size in (1, 2, 5):
        narrow = beam_search(decoder, source(), SearchOptions(beam_size=beam_size, max_length=4, length_penalty=0.0))
        for (best,), (found,) in zip(widest, narrow, strict=True):
            assert found.score <= best.score + 1e-5


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("max_length", [9, None])
def test_a_batch_gives_what_its_sentences_give_alone(
    decoder: Decoder, source: SourceOf, beam_size: int, max_length: int | None
) -> None:
    lengths = (5, 3, 1, 4)
    options = SearchOptions(beam_size=beam_size, n_best=beam_size, max_length=max_length)
    together = beam_search(decoder, source(lengths, padding=2, garbage=9.0), options, attention=True)
    order = [2, 0, 3, 1]
    reordered = beam_search(decoder, source(lengths).select(torch.tensor(order)), options, attention=True)
    for row, length in enumerate(lengths):
        alone = only(source(lengths), row)
        here = (x[:, :length] for x in (alone.keys, alone.values, alone.mask))
        short = Encoded(*here, alone.summary, ids=None if alone.ids is None else alone.ids[:, :length])
        (ranking,) = beam_search(decoder, short, options, attention=True)
        assert_same(together[row], ranking)
        assert_same(reordered[order.index(row)], ranking)


def test_a_batch_gives_what_its_sentences_give_alone_whatever_the_options(
    decoder: Decoder, decoder_case: Any, source: SourceOf
) -> None:
    lengths, prefixes = (5, 3, 1, 4), [[3, 2], [], [4], []]
    coverage = 0.3 if decoder_case.attends else 0.0
    options = SearchOptions(
        beam_size=4, n_best=4, diverse_groups=2, coverage_penalty=coverage, no_repeat_ngram=2, min_length=3
    )
    together = beam_search(decoder, source(lengths, padding=2, garbage=9.0), options, prefixes=prefixes)
    for row, prefix in enumerate(prefixes):
        (ranking,) = beam_search(decoder, only(source(lengths), row), options, prefixes=[prefix])
        assert_same(together[row], ranking)
        assert len({tuple(hypothesis.tokens) for hypothesis in ranking}) == len(ranking) > 0
        assert all(hypothesis.tokens[: len(prefix)] == prefix for hypothesis in ranking)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_width_one_is_greedy(decoder: Decoder, source: SourceOf, length_penalty: float) -> None:
    options = SearchOptions(beam_size=1, max_length=8, length_penalty=length_penalty)
    for row, (found,) in enumerate(beam_search(decoder, source(), options)):
        state, token, tokens = decoder.start(only(source(), row)), BOS, []
        while len(tokens) < 7:
            output, state = decoder(torch.tensor([[token]]), state)
            token = int(decoder.project(output.features)[0, -1].argmax())
            if token == EOS:
                break
            tokens.append(token)
        assert found.tokens == tokens


def test_the_score_is_the_log_probability_that_teacher_forcing_finds(decoder: Decoder, source: SourceOf) -> None:
    options = SearchOptions(beam_size=4, n_best=4, max_length=7, length_penalty=0.7)
    for row, ranking in enumerate(beam_search(decoder, source(), options)):
        for hypothesis in ranking:
            log_probs, _ = teacher_forced(decoder, only(source(), row), [hypothesis.tokens])
            wanted = [*hypothesis.tokens, EOS]
            log_prob = sum(float(log_probs[0, place, token]) for place, token in enumerate(wanted))
            assert hypothesis.log_prob == pytest.approx(log_prob, abs=1e-5)
            said = [float(log_probs[0, place, token]) for place, token in enumerate(wanted)]
            assert list(hypothesis.token_log_probs) == pytest.approx(said, abs=1e-5)
            assert hypothesis.score == pytest.approx(log_prob / ((5 + len(wanted)) / 6) ** 0.7, abs=1e-5)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_attention_is_what_teacher_forcing_shows(
    decoder: Decoder, decoder_case: Any, source: SourceOf, beam_size: int
) -> None:
    options = SearchOptions(beam_size=beam_size, n_best=beam_size, max_length=6)
    for row, ranking in enumerate(beam_search(decoder, source(), options, attention=True)):
        for hypothesis in ranking:
            _, attention = teacher_forced(decoder, only(source(), row), [hypothesis.tokens])
            assert (hypothesis.attention is not None) == decoder_case.attends
            if attention is not None and hypothesis.attention is not None:
                assert hypothesis.attention.shape[2] == len(hypothesis.tokens) + 1
                assert_close(torch.from_numpy(hypothesis.attention), attention[0])


def test_asking_for_attention_changes_no_result(decoder: Decoder, source: SourceOf) -> None:
    options = SearchOptions(beam_size=3, n_best=3, max_length=6)
    without, shown = (beam_search(decoder, source(), options, attention=asked) for asked in (False, True))
    for one, other in zip(without, shown, strict=True):
        assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
        assert all(hypothesis.attention is None for hypothesis in one)


def test_the_n_best_are_distinct_and_the_best_first(decoder: Decoder, source: SourceOf) -> None:
    for ranking in beam_search(decoder, source(), SearchOptions(beam_size=6, n_best=6, max_length=5)):
        assert len({tuple(hypothesis.tokens) for hypothesis in ranking}) == len(ranking) == 6
        scores = [hypothesis.score for hypothesis in ranking]
        assert scores == sorted(scores, reverse=True)


def test_forbidden_symbols_never_appear(decoder: Decoder, source: SourceOf) -> None:
    options = SearchOptions(beam_size=6, n_best=6, max_length=6)
    free = used(beam_search(decoder, source(), options))
    forbidden = sorted(free)[:2]
    ruled = used(beam_search(decoder, source(), options, rules=[Forbid(forbidden)]))
    assert ruled and not ruled & set(forbidden)


def used(rankings: list[list[Hypothesis]]) -> set[int]:
    return {token for ranking in rankings for hypothesis in ranking for token in hypothesis.tokens}


class NeverTwice(Rule):
    """No token follows itself."""

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        assert (tokens[:, 0] == BOS).all()
        return log_probs.scatter(1, tokens[:, -1:], -torch.inf)


def test_a_rule_sees_what_came_before(decoder: Decoder, source: SourceOf) -> None:
    options = SearchOptions(beam_size=5, n_best=5, max_length=7)
    for ranking in beam_search(decoder, source(), options, rules=[NeverTwice()]):
        for hypothesis in ranking:
            assert all(a != b for a, b in itertools.pairwise([BOS, *hypothesis.tokens]))


# --- Transition tables in a decoder's place ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables(State):
    """What each row goes by."""

    tables: Tensor  # [N, V, V]


class MarkovChain(Decoder):
    """The next token depends on the last one alone, by a table for each sentence; the summary says which."""

    def __init__(self, *tables: np.ndarray | list[list[float]]):
        super().__init__()
        self.tables = torch.stack([torch.as_tensor(np.array(table)) for table in tables]).float()
        self.readout = nn.Identity()
        self.calls: list[int] = []  # how many rows each call had: a test may look, a decoder must not

    def start(self, source: Encoded) -> Tables:
        return Tables(self.tables[source.summary[:, 0].long()])

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, Tables]:
        assert isinstance(state, Tables)
        self.calls.append(len(tokens))
        return Output(state.tables.log().gather(1, tokens[..., None].expand(-1, -1, state.tables.size(2)))), state

    def log_probs(self, sentence: int) -> np.ndarray:
        return self.tables[sentence].log().log_softmax(-1).numpy()


def numbered(lengths: list[int]) -> Encoded:
    """Sources whose summary is their own number."""
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    keys = torch.zeros(*mask.shape, 1)
    return Encoded(keys, keys, mask, torch.arange(len(lengths))[:, None].float())


def table(**rows: dict[int, float]) -> np.ndarray:
    """A transition table of 6 symbols; what isn't said has probability 0, and rows not said end."""
    result = np.zeros((SYMBOLS, SYMBOLS))
    result[:, EOS] = 1
    for name, row in rows.items():
        result[{"bos": BOS, "three": 3, "four": 4, "five": 5}[name]] = [row.get(i, 0) for i in range(SYMBOLS)]
    return result


# Greedy search takes 4, since 0.6 > 0.4, and ends with 0.6 * 0.4; but 5 is followed by 3 and the end for sure.
TRAP = table(bos={4: 0.6, 5: 0.4}, four={EOS: 0.4, 4: 0.3, 3: 0.3}, five={3: 1.0}, three={EOS: 1.0})


def test_a_beam_finds_the_path_that_greedy_search_misses() -> None:
    for beam_size, tokens, probability in [(1, [4], 0.24), (2, [5, 3], 0.4), (5, [5, 3], 0.4)]:
        options = SearchOptions(beam_size=beam_size, length_penalty=0.0, max_length=20)
        ((best,),) = beam_search(MarkovChain(TRAP), numbered([3]), options)
        assert best.tokens == tokens
        assert best.log_prob == best.score == pytest.approx(np.log(probability), abs=1e-6)


def test_the_paths_of_a_chain_are_ranked_by_their_probability() -> None:
    options = SearchOptions(beam_size=10, n_best=3, length_penalty=0.0, max_length=20)
    (ranking,) = beam_search(MarkovChain(TRAP), numbered([3]), options)
    assert [h.tokens for h in ranking] == [[5, 3], [4], [4, 3]]
    assert [h.log_prob for h in ranking] == pytest.approx(np.log([0.4, 0.24, 0.18]), abs=1e-6)


def test_a_length_penalty_favours_the_longer() -> None:
    chain = table(bos={EOS: 0.5, 4: 0.5}, four={4: 0.9, EOS: 0.1})
    for length_penalty, tokens in [(0.0, []), (4.0, [4] * 9)]:
        options = SearchOptions(beam_size=3, patience=math.inf, length_penalty=length_penalty, max_length=10)
        ((best,),) = beam_search(MarkovChain(chain), numbered([3]), options)
        assert best.tokens == tokens


def test_greedy_search_takes_the_first_end_whatever_the_length_penalty() -> None:
    chain = table(bos={EOS: 0.6, 4: 0.4}, four={4: 0.9, EOS: 0.1})
    decoder = MarkovChain(chain)
    ((best,),) = beam_search(decoder, numbered([3]), SearchOptions(beam_size=1, length_penalty=4.0, max_length=10))
    assert best.tokens == []
    assert decoder.calls == [1]


def test_search_ends_as_soon_as_nothing_can_be_gained() -> None:
    decoder = MarkovChain(table(bos={4: 0.9, 3: 0.1}, four={5: 1.0}))
    ((best,),) = beam_search(decoder, numbered([3]), SearchOptions(beam_size=1, max_length=100))
    assert best.tokens == [4, 5]
    assert decoder.calls == [1, 1, 1]


def test_a_finished_sentence_leaves_the_beam_while_others_go_on() -> None:
    endless = table(bos={4: 1.0}, four={4: 1.0})
    decoder = MarkovChain(table(), endless, table(bos={4: 1.0}))
    rankings = beam_search(decoder, numbered([1, 1, 1]), SearchOptions(beam_size=2, max_length=6))
    assert [ranking[0].tokens if ranking else None for ranking in rankings] == [[], None, [4]]
    assert decoder.calls == [3, 4, 2, 2, 2, 2]  # at first a sentence's rows are one


@pytest.mark.parametrize("beam_size", [1, 3])
def test_each_sentence_has_its_own_limit(beam_size: int) -> None:
    lengths = [2, 7, 1]
    on_and_on = table(bos={4: 1.0}, four={4: 0.9999, EOS: 0.0001})
    decoder = MarkovChain(on_and_on, on_and_on, on_and_on)
    options = SearchOptions(beam_size=beam_size, length_penalty=4.0, patience=math.inf)
    rankings = beam_search(decoder, numbered(lengths), options)
    assert [len(best.tokens) + 1 for best, *_ in rankings] == [52, 57, 51]
    rankings = beam_search(decoder, numbered(lengths), replace(options, max_length=8))
    assert [len(best.tokens) + 1 for best, *_ in rankings] == [8, 8, 8]


def plain_beam(
    log_probs: np.ndarray, options: SearchOptions, limit: int
) -> tuple[list[tuple[float, tuple[int, ...]]], bool]:
    """The n best by beam search over a transition table, written as plainly as can be; it ends once enough is found.

    And whether its last step found more than that, of which some were left out.
    """
    K = options.beam_size
    alive: list[tuple[np.float32, tuple[int, ...]]] = [(np.float32(0), ())]
    found: list[tuple[float, tuple[int, ...]]] = []
    for length in range(1, limit + 1):
        followers = [EOS] if length == limit else range(len(log_probs))
        longer = [(p + log_probs[(BOS, *path)[-1], v], (*path, v)) for p, path in alive for v in followers]
        longer = sorted(longer, key=lambda pair: -pair[0])[: 2 * K]
        found += [(float(p), path[:-1]) for p, path in longer[:K] if path[-1] == EOS]
        alive = [(p, path) for p, path in longer if path[-1] != EOS][:K]
        if len(found) >= options.enough(K) or (found and K == 1):  # greedy search takes the first end
            break
    surplus = sorted(found, key=lambda pair: -pair[0] / (len(pair[1]) + 1) ** options.surplus_exponent)
    counting = surplus[: options.enough(K)] if options.patience < math.inf else found
    ranked = [(options.score(p, len(path) + 1), path) for p, path in counting]
    return sorted(ranked, key=lambda pair: -pair[0])[: options.n_best], len(counting) < len(found)


@given(
    seed=st.integers(0, 2**32 - 1),
    sentences=st.integers(1, 4),
    beam_size=st.integers(1, 6),
    patience=st.sampled_from([1.0, 1.5, 3.0, math.inf]),
    length_penalty=st.sampled_from([-0.5, 0.0, 0.6, 1.0, 3.0]),
    max_length=st.integers(1, 9),
    n_best=st.integers(1, 6),
)
def test_stopping_early_and_in_batches_loses_nothing(
    seed: int, sentences: int, beam_size: int, patience: float, length_penalty: float, max_length: int, n_best: int
) -> None:
    """Random transition tables, some sharp and some flat, against a search that has neither bounds nor company."""
    numbers = np.random.default_rng(seed)
    sharpness = numbers.choice([0.2, 1.0, 5.0])
    tables = numbers.dirichlet(np.full(SYMBOLS, sharpness), (sentences, SYMBOLS)) + 1e-6
    decoder = MarkovChain(*tables)
    options = SearchOptions(
        beam_size=beam_size,
        n_best=min(n_best, beam_size),
        patience=patience,
        length_penalty=length_penalty,
        max_length=max_length,
    )
    rankings = beam_search(decoder, numbered([2] * sentences), options)
    for sentence, ranking in enumerate(rankings):
        wanted, left_out = plain_beam(decoder.log_probs(sentence), options, max_length)
        # Paths that take the same steps in another order are equally good, so paths themselves can't be compared.
        scores, plain = [hypothesis.score for hypothesis in ranking], [score for score, _ in wanted]
        if left_out:  # which can be good ones, and whoever stops before that step has no need to leave them out
            assert len(scores) == len(plain)
            assert all(mine >= other - 1e-4 for mine, other in zip(scores, plain, strict=True))
        else:
            assert scores == pytest.approx(plain, abs=1e-4)
        assert len({tuple(hypothesis.tokens) for hypothesis in ranking}) == len(ranking)
        for hypothesis in ranking:
            path = [BOS, *hypothesis.tokens, EOS]
            steps = decoder.log_probs(sentence)[path[:-1], path[1:]]
            assert hypothesis.log_prob == pytest.approx(float(steps.sum()), abs=1e-4)


# --- Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"beam_size": 0}, "beam_size must be at least 1, got 0"),
        ({"n_best": -1}, "n_best must be at least 1, got -1"),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"max_source_length": 0}, "max_source_length must be at least 1, got 0"),
        ({"beam_size": 4, "n_best": 5}, "n_best can't exceed beam_size, got n_best 5 and beam_size 4"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        SearchOptions(**options)
    assert str(caught.value) == sentence
