"""A trace tells what a search did, whatever decodes, and changes nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from seqloom.decoders import Decoder
from seqloom.search import Hypothesis, Recorder, SearchOptions, Trace, beam_search
from seqloom.structures import Encoded
from seqloom.vocabulary import EOS

SourceOf = Callable[..., Encoded]
OPTIONS = SearchOptions(beam_size=4, n_best=4, max_length=6)


def traced(decoder: Decoder, source: Encoded, options: SearchOptions) -> tuple[list[list[Hypothesis]], list[Trace]]:
    recorder = Recorder()
    rankings = beam_search(decoder, source, options, recorder=recorder)
    return rankings, [recorder.trace(sentence) for sentence in range(len(source.mask))]


def test_a_trace_changes_no_result(decoder: Decoder, source: SourceOf) -> None:
    assert traced(decoder, source(), OPTIONS)[0] == beam_search(decoder, source(), OPTIONS)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_what_is_finished_is_what_was_found(decoder: Decoder, source: SourceOf, beam_size: int) -> None:
    options = SearchOptions(beam_size=beam_size, n_best=beam_size, max_length=6)
    for ranking, trace in zip(*traced(decoder, source(), options), strict=True):
        ended = trace.finished()[:beam_size]
        assert [trace.tokens(*place) for place in ended] == [[*hypothesis.tokens, EOS] for hypothesis in ranking]
        assert [trace.steps[t][k].score for t, k in ended] == [hypothesis.score for hypothesis in ranking]
        assert [trace.steps[t][k].log_prob for t, k in ended] == [hypothesis.log_prob for hypothesis in ranking]


def test_what_is_extended_was_kept_and_the_likeliest_are(decoder: Decoder, source: SourceOf) -> None:
    for trace in traced(decoder, source(), OPTIONS)[1]:
        assert {candidate.fate for step in trace.steps for candidate in step} == {"kept", "finished", "pruned"}
        for t, step in enumerate(trace.steps):
            log_probs = [candidate.log_prob for candidate in step]
            assert log_probs == sorted(log_probs, reverse=True)
            fates = [candidate.fate for candidate in step if candidate.token != EOS]
            kept = fates.count("kept")
            assert kept == (0 if step is trace.steps[-1] else 4)
            assert fates == ["kept"] * kept + ["pruned"] * (len(fates) - kept)
            for place, candidate in enumerate(step):
                assert trace.gain(t, place) <= 0
                assert candidate.score == OPTIONS.score(candidate.log_prob, t + 1)
                if candidate.parent is None:
                    assert t == 0
                else:
                    assert trace.steps[t - 1][candidate.parent].fate == "kept"


def test_a_sentence_has_the_trace_that_it_has_alone(decoder: Decoder, source: SourceOf) -> None:
    _, together = traced(decoder, source(), OPTIONS)
    for sentence, trace in enumerate(together):
        alone = source().select(torch.tensor([sentence]))
        (wanted,) = traced(decoder, alone, OPTIONS)[1]
        assert [[(c.parent, c.token, c.fate) for c in step] for step in trace.steps] == [
            [(c.parent, c.token, c.fate) for c in step] for step in wanted.steps
        ]
