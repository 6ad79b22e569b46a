"""What sampling promises, whatever decodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from seqloom.decoders import Decoder
from seqloom.search import Forbid, Hypothesis, SearchOptions, beam_search
from seqloom.structures import Encoded
from seqloom.vocabulary import BOS, EOS

SourceOf = Callable[..., Encoded]
OPTIONS = SearchOptions(sample=True, n_best=3, max_length=7, length_penalty=0.0)
NUMBERS = torch.tensor([5, 2, 1000, 0])
LENGTHS = (5, 3, 1, 4)


def drawn(rankings: list[list[Hypothesis]]) -> list[list[list[int]]]:
    return [[hypothesis.tokens for hypothesis in ranking] for ranking in rankings]


@torch.inference_mode()
def teacher_forced(decoder: Decoder, source: Encoded, tokens: list[int]) -> torch.Tensor:
    """Log-probabilities [T, V] of what follows bos and each token."""
    output, _ = decoder(torch.tensor([[BOS, *tokens]]), decoder.start(source))
    return decoder.project(output.features)[0].float().log_softmax(-1)


def test_a_sample_follows_from_the_seed_and_the_number_of_its_sentence(decoder: Decoder, source: SourceOf) -> None:
    together = beam_search(decoder, source(LENGTHS, padding=2, garbage=9.0), OPTIONS, numbers=NUMBERS)
    assert drawn(together) == drawn(beam_search(decoder, source(LENGTHS), OPTIONS, numbers=NUMBERS))
    for row, ranking in enumerate(together):
        here = torch.tensor([row])
        alone = beam_search(decoder, source(LENGTHS).select(here), OPTIONS, numbers=NUMBERS[here])
        assert drawn(alone) == drawn([ranking])
    others = [
        beam_search(decoder, source(LENGTHS), replace(OPTIONS, seed=2), numbers=NUMBERS),
        beam_search(decoder, source(LENGTHS), OPTIONS, numbers=NUMBERS + 1),
    ]
    assert all(drawn(other) != drawn(together) for other in others)


def test_the_score_is_the_models_own_log_probability(decoder: Decoder, source: SourceOf) -> None:
    options = replace(OPTIONS, temperature=1.5, top_k=4)
    for row, ranking in enumerate(beam_search(decoder, source(), options)):
        assert len(ranking) == options.n_best
        for hypothesis in ranking:
            log_probs = teacher_forced(decoder, source().select(torch.tensor([row])), hypothesis.tokens)
            wanted = sum(float(log_probs[t, token]) for t, token in enumerate([*hypothesis.tokens, EOS]))
            assert hypothesis.score == hypothesis.log_prob == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}])
def test_where_only_the_likeliest_is_drawn_sampling_is_greedy_search(
    decoder: Decoder, source: SourceOf, narrow: dict[str, float]
) -> None:
    samples = beam_search(decoder, source(), replace(OPTIONS, **narrow))
    greedy = beam_search(decoder, source(), SearchOptions(beam_size=1, max_length=7, length_penalty=0.0))
    assert drawn(samples) == [[best.tokens] * 3 for (best,) in greedy]


def test_only_the_likeliest_are_drawn(decoder: Decoder, source: SourceOf) -> None:
    for row, ranking in enumerate(beam_search(decoder, source(), replace(OPTIONS, top_k=2, n_best=8))):
        for hypothesis in ranking:
            log_probs = teacher_forced(decoder, source().select(torch.tensor([row])), hypothesis.tokens)
            for t, token in enumerate(hypothesis.tokens):
                assert token in log_probs[t].topk(2).indices


def test_what_is_forbidden_is_not_drawn(decoder: Decoder, source: SourceOf) -> None:
    options = replace(OPTIONS, n_best=8, temperature=3.0)
    free = {token for ranking in drawn(beam_search(decoder, source(), options)) for row in ranking for token in row}
    forbidden = sorted(free)[:2]
    ruled = beam_search(decoder, source(), options, rules=[Forbid(forbidden)])
    assert not {token for ranking in drawn(ruled) for row in ranking for token in row} & set(forbidden)


def test_more_samples_hold_those_of_fewer(decoder: Decoder, source: SourceOf) -> None:
    few, many = (drawn(beam_search(decoder, source(), replace(OPTIONS, n_best=n))) for n in (2, 5))
    for some, all_of_them in zip(few, many, strict=True):
        assert all(all_of_them.count(row) >= some.count(row) for row in some)
