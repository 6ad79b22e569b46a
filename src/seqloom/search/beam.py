"""The one search loop: beam search, sampling, and whatever else a chooser makes of it.

It knows `start`, `forward` and `project` of a decoder, `select` of its state, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.decoders.base import Decoder
from seqloom.errors import UsageError
from seqloom.search.choosing import Chooser, UnderWay, chooser_of
from seqloom.search.hypothesis import Hypothesis
from seqloom.search.options import LEAST_SEEN, SearchOptions
from seqloom.search.rules import Rule, rule_of
from seqloom.search.trace import Extension, Recorder
from seqloom.structures import Encoded
from seqloom.vocabulary import BOS, EOS


@torch.inference_mode()
def beam_search(
    decoder: Decoder,
    source: Encoded,
    options: SearchOptions,
    *,
    allowed: Tensor | None = None,
    rules: Sequence[Rule] = (),
    prefixes: Sequence[Sequence[int]] | None = None,
    chooser: Chooser | None = None,
    attention: bool = False,
    recorder: Recorder | None = None,
    numbers: Tensor | None = None,
) -> list[list[Hypothesis]]:
    """For each sentence of the source its `n_best` best hypotheses found, the best first; beam size 1 is greedy search.

    A sentence leaves the beam as soon as enough was found, or nothing under way can still enter its results.  What is
    found of it does not depend on what else is in the batch.  A `recorder` is told what every step extended, kept,
    finished and pruned.
    `numbers` [B] are those of the sentences in their text, by which samples differ; by default, counted from 0.  Where
    it is said which symbols are `allowed` [B, V], a sentence's target has no others, nor have they probability.  The
    target of each sentence begins with its prefix, where there are `prefixes`, whatever the rules say of that.  Raises
    UsageError for a coverage penalty with a decoder that has no attention.
    """
    chooser = chooser or chooser_of(options)
    B, K, device = len(source.mask), chooser.width, source.mask.device
    limits = torch.tensor(_limits(source, options, prefixes), device=device)  # [B]
    races = [_Race(chooser, options) for _ in range(B)]
    rule = rule_of(options, rules, prefixes, device)
    sentences = torch.arange(B, device=device)  # [B] which sentence each K rows of the beam belong to
    beam = _first(decoder, source, chooser, sentences if numbers is None else numbers.to(device))
    covers = options.coverage_penalty > 0

    for length in range(1, int(limits.max()) + 1):
        # 1. Extend every hypothesis by every token.
        output, state = decoder(beam.tokens[:, -1:], beam.state, weights=attention or covers)
        logits = decoder.project(output.features[:, -1]).float()  # [N, V]
        if allowed is not None:
            logits = logits.masked_fill(~allowed[sentences.repeat_interleave(K)], -math.inf)
        log_probs = logits.log_softmax(-1)
        log_probs = rule.apply(log_probs, beam.tokens, sentences.repeat_interleave(K))
        last = limits[sentences] == length  # [B]
        if last.any():
            log_probs = _only_end(log_probs, last.repeat_interleave(K))
        seen = _joined(beam.attention, output.attention) if attention else None
        covered = _covered(beam.covered, output.attention) if covers else None

        # 2. Choose what to look at, the best first: which of its sentence's K rows, and what behind it.
        chosen = chooser.candidates(beam, log_probs)  # [B, C]
        best, tokens = chosen.log_probs, chosen.tokens
        rows = torch.arange(len(sentences), device=device)[:, None] * K + chosen.parents  # of the beam
        beam = replace(beam, state=state, attention=seen, covered=covered)
        gains = log_probs[rows, tokens]
        ended = (tokens == EOS) & (best > -math.inf)
        coverage = torch.zeros_like(best) if covered is None else _coverage(covered, source.mask, sentences, K)[rows]

        # 3. Those that may end here are found.
        finished = ended & chosen.may_end
        for b, k in finished.nonzero().tolist():
            hypothesis = _ending(beam, int(rows[b, k]), float(gains[b, k]), float(best[b, k]))
            score = options.score(hypothesis.log_prob, length, float(coverage[b, k]))
            races[int(sentences[b])].add(replace(hypothesis, score=score), int(chosen.parents[b, k]))

        # 4. K of the rest go on, in the sentences where they can still win.
        live = best.masked_fill(ended, -math.inf)
        choice = chooser.keep(chosen, live)  # [B, K]
        live = live.gather(1, choice)
        going = _open(races, length, sentences, live, limits[sentences]) & ~last
        if recorder is not None:
            step = Extension(sentences, chosen.parents, tokens, best, coverage, finished, choice, going)
            recorder.add(step, lambda log_prob, seen: options.score(log_prob, length, seen))  # noqa: B023 - called here
        if not going.any():
            break
        rows, tokens, gains = (x.gather(1, choice)[going].flatten() for x in (rows, tokens, gains))
        sentences = sentences[going]
        beam = _picked(beam, rows, going.nonzero()[:, 0])
        beam = replace(
            beam,
            tokens=torch.cat([beam.tokens, tokens[:, None]], 1),
            token_log_probs=torch.cat([beam.token_log_probs, gains[:, None]], 1),
            log_probs=live[going].flatten(),
            carried=chooser.carry(beam.carried, tokens),
        )

    return [race.results() for race in races]


class _Race:
    """What was found of one sentence, and whether more is worth looking for."""

    def __init__(self, chooser: Chooser, options: SearchOptions):
        self.options, self.width = options, chooser.group_width
        self.found: list[list[Hypothesis]] = [[] for _ in range(chooser.groups)]  # by each group of rows
        self.enough = options.enough(self.width)
        self.wanted = math.ceil(options.n_best / chooser.groups)  # of each group

    def add(self, hypothesis: Hypothesis, row: int) -> None:
        """Note what was found by this one of the sentence's rows."""
        self.found[row // self.width].append(hypothesis)

    def is_open(self, best: Sequence[float], length: int, limit: int) -> bool:
        """Whether rows with these log-probabilities and this many tokens may still change the results."""
        groups = [max(best[row : row + self.width]) for row in range(0, len(best), self.width)]
        shortest = max(length + 1, self.options.min_length)
        return any(self._can_improve(*group, shortest, limit) for group in zip(self.found, groups, strict=True))

    def _can_improve(self, found: list[Hypothesis], best: float, shortest: int, longest: int) -> bool:
        if best == -math.inf:
            return False
        if len(found) < self.width:
            return True
        if self.width == 1 or len(found) >= self.enough:  # greedy search takes the first end, whatever may follow
            return False
        return self.options.reach(best, shortest, longest) > _ranked(found)[self.wanted - 1].score

    def results(self) -> list[Hypothesis]:
        """The n best: of each group the best, then of each the next, none twice; the best of all first."""
        if len(self.found) == 1:
            return _ranked(self.found[0])[: self.options.n_best]
        in_turn = chain.from_iterable(zip_longest(*map(_ranked, self.found)))
        distinct: dict[tuple[int, ...], Hypothesis] = {}
        for hypothesis in filter(None, in_turn):
            distinct.setdefault(tuple(hypothesis.tokens), hypothesis)
        return _ranked(islice(distinct.values(), self.options.n_best))


def _limits(source: Encoded, options: SearchOptions, prefixes: Sequence[Sequence[int]] | None) -> list[int]:
    """How many tokens, the end included, the target of each sentence may have: room for its prefix is always there."""
    limits = [options.limit(length) for length in source.mask.sum(1).tolist()]
    needed = [len(prefix) + 1 for prefix in prefixes] if prefixes else [1] * len(limits)
    return [max(pair) for pair in zip(limits, needed, strict=True)]


def _first(decoder: Decoder, source: Encoded, chooser: Chooser, numbers: Tensor) -> UnderWay:
    """K rows a sentence, all of them at the beginning."""
    B, K, device = len(source.mask), chooser.width, source.mask.device
    rows = torch.arange(B, device=device).repeat_interleave(K)
    tokens = torch.full((B * K, 1), BOS, device=device)
    log_probs = chooser.first(B, device).flatten()
    steps = torch.zeros(B * K, 0, device=device)
    state = decoder.start(source).select(rows, torch.arange(B, device=device))
    return UnderWay(state, tokens, log_probs, steps, None, carried=chooser.start(numbers))


def _ending(beam: UnderWay, row: int, gain: float, log_prob: float) -> Hypothesis:
    """The hypothesis in this row of the beam, ending here; its score is not settled yet."""
    weights = None if beam.attention is None else _array(beam.attention[row])
    gains = (*beam.token_log_probs[row].tolist(), gain)
    return Hypothesis(beam.tokens[row, 1:].tolist(), 0.0, log_prob, weights, gains)


def _picked(beam: UnderWay, rows: Tensor, groups: Tensor) -> UnderWay:
    """`beam.select`, without copying where each row stays in its place, as in greedy search it mostly does."""
    unmoved = len(rows) == len(beam.tokens) and bool((rows == torch.arange(len(rows), device=rows.device)).all())
    return beam if unmoved else beam.select(rows, groups)


def _array(x: Tensor) -> NDArray[Any]:
    """`x` for NumPy, which knows no bfloat16."""
    array: NDArray[Any] = (x.float() if x.element_size() < 4 else x).cpu().numpy()
    return array


def _only_end(log_probs: Tensor, rows: Tensor) -> Tensor:
    """In the rows [N] where True, let nothing but eos follow."""
    others = torch.arange(log_probs.size(-1), device=log_probs.device) != EOS
    return log_probs.masked_fill(rows[:, None] & others, -math.inf)


def _joined(before: Tensor | None, now: Tensor | None) -> Tensor | None:
    return now if before is None or now is None else torch.cat([before, now], 3)


def _covered(before: Tensor | None, attention: Tensor | None) -> Tensor:
    """The attention that each source position got so far, [N, S], given that of the last step, [N, L, H, 1, S]."""
    if attention is None:
        raise UsageError("coverage_penalty needs attention over the source, and this model has none; leave it out")
    now = attention.float().mean((1, 2))[:, 0]
    return now if before is None else before + now


def _coverage(covered: Tensor, mask: Tensor, sentences: Tensor, K: int) -> Tensor:
    """How much each row [N] has left unseen, 0 at best (https://arxiv.org/abs/1609.08144, equation 14)."""
    seen = covered.clamp(LEAST_SEEN, 1).log()
    return seen.where(mask[sentences.repeat_interleave(K)], 0).sum(1)


def _open(races: list[_Race], length: int, sentences: Tensor, live: Tensor, limits: Tensor) -> Tensor:
    """Which of these sentences [B] hypotheses under way, with these log-probabilities [B, K], can still improve."""
    rows = zip(sentences.tolist(), live.tolist(), limits.tolist(), strict=True)
    return torch.tensor([races[i].is_open(best, length, limit) for i, best, limit in rows], device=live.device)


def _ranked(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)
