"""The one search loop: beam search, sampling, and whatever else a chooser makes of it.

It knows `start`, `forward` and `project` of a decoder, `select` of its state, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.decoders.base import Decoder
from seqloom.errors import UsageError
from seqloom.search.choosing import Candidates, Chooser, UnderWay, chooser_of
from seqloom.search.hypothesis import Hypothesis, counting
from seqloom.search.options import LEAST_SEEN, SearchOptions
from seqloom.search.rules import Rule, rule_of
from seqloom.search.trace import Extension, Recorder
from seqloom.structures import Encoded, State
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
    listener: Callable[[Sequence[int]], None] | None = None,
) -> list[list[Hypothesis]]:
    """For each sentence of the source its `n_best` best hypotheses found, the best first; beam size 1 is greedy search.

    A sentence leaves the beam as soon as enough was found, or nothing under way can still enter its results.  What is
    found of it does not depend on what else is in the batch.  A `recorder` is told what every step extended, kept,
    finished and pruned; a `listener` is told the likeliest tokens so far, and makes sense for one sentence only.
    `numbers` [B] are those of the sentences in their text, by which samples differ; by default, counted from 0.  Where
    it is said which symbols are `allowed` [B, V], a sentence's target has no others, nor have they probability.  The
    target of each sentence begins with its prefix, where there are `prefixes`, whatever the rules say of that.  Raises
    UsageError for a coverage penalty with a decoder that has no attention.
    """
    chooser = chooser or chooser_of(options)
    B, K, device = len(source.mask), chooser.width, source.mask.device
    limits = np.array(_limits(source, options, prefixes))  # [B]
    races = [_Race(chooser, options, chooser.enough(b)) for b in range(B)]
    rule = rule_of(options, rules, prefixes, device)
    sentences, owners = np.arange(B), torch.arange(B, device=device).repeat_interleave(K)  # of K rows each, and of each
    beam = _first(decoder, source, chooser, owners[::K] if numbers is None else numbers.to(device))
    covers = options.coverage_penalty > 0

    for length in range(1, int(limits.max()) + 1):
        # 1. Extend every hypothesis by every token.
        logits, shown, state = _extended(decoder, beam, owners, weights=attention or covers)
        if allowed is not None:
            logits = logits.masked_fill(~allowed[owners], -math.inf)
        log_probs = rule.apply(logits.log_softmax(-1), beam.tokens, owners)  # [N, V]
        last = limits[sentences] == length  # [B]
        if last.any():
            log_probs = _only_end(log_probs, torch.from_numpy(last.repeat(K)).to(device))
        seen = _joined(beam.attention, shown) if attention else None
        beam = replace(beam, state=state, attention=seen, covered=_covered(beam.covered, shown) if covers else None)

        # 2. Choose what to look at, the best first: which of its sentence's K rows, and what behind it.
        chosen = chooser.candidates(beam, log_probs)  # [B, C]
        choice = chooser.keep(chosen, chosen.log_probs.masked_fill(chosen.tokens == EOS, -math.inf))  # [B, K]
        look = _look(log_probs, chosen, choice, _coverage(beam.covered, source.mask, owners))
        ended = (look.tokens == EOS) & (look.best > -math.inf)

        # 3. Those that may end here are found.
        finished = ended & look.may_end
        for b, k in zip(*finished.nonzero(), strict=True):
            hypothesis = _ending(beam, look.rows[b, k], float(look.gains[b, k]), float(look.best[b, k]))
            score = options.score(hypothesis.log_prob, length, float(look.coverage[b, k]))
            races[sentences[b]].add(replace(hypothesis, score=score), int(look.parents[b, k]))

        # 4. K of the rest go on, in the sentences where they can still win.
        chosen_of = np.arange(len(sentences))[:, None], look.choice
        live = np.where(ended, -math.inf, look.best)[chosen_of]
        going = _open(races, length, sentences, live, limits[sentences]) & ~last
        if recorder is not None:
            seen_of = look.parents, look.tokens, look.best, look.coverage
            step = Extension(sentences, *seen_of, finished, look.choice, going)
            recorder.add(step, lambda log_prob, seen: options.score(log_prob, length, seen))  # noqa: B023 - called here
        if not going.any():
            break
        rows, tokens, gains = (x[chosen_of][going].ravel() for x in (look.rows, look.tokens, look.gains))
        if not going.all():
            sentences = sentences[going]
            owners = torch.from_numpy(sentences.repeat(K)).to(device)
        beam = _gone_on(_picked(beam, rows, going), tokens, gains, live[going].ravel(), chooser)
        if listener is not None:
            listener(beam.tokens[int(beam.log_probs.argmax()), 1:].tolist())

    if recorder is not None:
        for sentence, race in enumerate(races):
            recorder.settle(sentence, [one.tokens for group in race.counted() for one in group])
    return [race.results() for race in races]


class _Race:
    """What was found of one sentence, and whether more is worth looking for."""

    def __init__(self, chooser: Chooser, options: SearchOptions, enough: float):
        self.options, self.width = options, chooser.group_width
        self.found: list[list[Hypothesis]] = [[] for _ in range(chooser.groups)]  # by each group of rows
        self.enough = enough  # found by a group
        self.wanted = math.ceil(options.n_best / chooser.groups)  # of each group

    def add(self, hypothesis: Hypothesis, row: int) -> None:
        """Note what was found by this one of the sentence's rows.  Greedy search takes the first end and no other."""
        found = self.found[row // self.width]
        if self.width > 1 or not found:
            found.append(hypothesis)

    def is_open(self, best: Sequence[float], length: int, limit: int) -> bool:
        """Whether rows with these log-probabilities and this many tokens may still change the results."""
        groups = [max(best[row : row + self.width]) for row in range(0, len(best), self.width)]
        shortest = max(length + 1, self.options.min_length)
        return any(self._can_improve(*group, shortest, limit) for group in zip(self.found, groups, strict=True))

    def _can_improve(self, found: list[Hypothesis], best: float, shortest: int, longest: int) -> bool:
        if best == -math.inf:
            return False
        if len(found) < min(self.width, self.enough):
            return True
        if self.width == 1 or len(found) >= self.enough:  # greedy search takes the first end, whatever may follow
            return False
        return self.options.reach(best, shortest, longest) > _ranked(found)[self.wanted - 1].score

    def counted(self) -> list[list[Hypothesis]]:
        """What counts of what each group found."""
        return [counting(group, self.options, self.width) for group in self.found]

    def results(self) -> list[Hypothesis]:
        """The n best: of each group the best, then of each the next, none twice; the best of all first."""
        found = self.counted()
        if len(found) == 1:
            return _ranked(found[0])[: self.options.n_best]
        in_turn = chain.from_iterable(zip_longest(*map(_ranked, found)))
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
    """K rows a sentence, all of them at the beginning; the decoder's state has one row for them all as yet."""
    B, K, device = len(source.mask), chooser.width, source.mask.device
    tokens = torch.full((B * K, 1), BOS, device=device)
    log_probs = chooser.first(B, device).flatten()
    steps = torch.zeros(B * K, 0, device=device)
    return UnderWay(decoder.start(source), tokens, log_probs, steps, None, carried=chooser.start(numbers))


def _extended(
    decoder: Decoder, beam: UnderWay, owners: Tensor, *, weights: bool
) -> tuple[Tensor, Tensor | None, State]:
    """Logits [N, V] of what follows each row, on request the attention [N, L, H, 1, S], and the state then.

    The rows of a sentence begin alike, so at first the decoder is asked for one of them.
    """
    if beam.tokens.size(1) > 1:
        output, state = decoder(beam.tokens[:, -1:], beam.state, weights=weights)
        return decoder.project(output.features[:, -1]).float(), output.attention, state
    sentences = torch.arange(int(owners[-1]) + 1, device=owners.device)
    output, state = decoder(beam.tokens[: len(sentences)], beam.state, weights=weights)
    logits = decoder.project(output.features[:, -1]).float()
    if len(owners) == len(sentences):
        return logits, output.attention, state
    shown = None if output.attention is None else output.attention[owners]
    return logits[owners], shown, state.select(owners, sentences)


class _Look(NamedTuple):
    """What is chosen from in a step, where the host sees it: that is all that it waits for. [B, C], each."""

    rows: NDArray[np.int64]  # of the beam
    parents: NDArray[np.int64]  # the same, counted within the sentence
    tokens: NDArray[np.int64]
    best: NDArray[np.float32]  # the log-probability of the hypothesis as a whole
    gains: NDArray[np.float32]  # that of its last token
    coverage: NDArray[np.float32]  # of the row
    may_end: NDArray[np.bool_]
    choice: NDArray[np.int64]  # [B, K] which go on


def _look(log_probs: Tensor, chosen: Candidates, choice: Tensor, coverage: Tensor | None) -> _Look:
    """Given the log-probabilities [N, V] of all tokens, what was chosen of them, and how much rows [N] left unseen."""
    B, K = choice.shape
    V = log_probs.size(1)
    gains = log_probs.view(B, K * V).gather(1, chosen.parents * V + chosen.tokens)
    seen = torch.zeros_like(gains) if coverage is None else coverage.view(B, K).gather(1, chosen.parents)
    parents, *others = _on_host(chosen.parents, chosen.tokens, chosen.log_probs, gains, seen, chosen.may_end, choice)
    return _Look(parents + K * np.arange(B)[:, None], parents, *others)


def _on_host(*tensors: Tensor) -> list[NDArray[Any]]:
    """The same numbers for NumPy, brought over together: float64 holds every one of them."""
    if tensors[0].device.type == "cpu":
        return [x.numpy() for x in tensors]
    numbers = torch.cat([x.double().flatten() for x in tensors]).cpu()
    parts = torch.split(numbers, [x.numel() for x in tensors])
    return [part.view(x.shape).to(x.dtype).numpy() for part, x in zip(parts, tensors, strict=True)]


def _ending(beam: UnderWay, row: int, gain: float, log_prob: float) -> Hypothesis:
    """The hypothesis in this row of the beam, ending here; its score is not settled yet."""
    weights = None if beam.attention is None else _array(beam.attention[row])
    gains = (*beam.token_log_probs[row].tolist(), gain)
    return Hypothesis(beam.tokens[row, 1:].tolist(), 0.0, log_prob, weights, gains)


def _picked(beam: UnderWay, rows: NDArray[np.int64], going: NDArray[np.bool_]) -> UnderWay:
    """These rows of the sentences that go on; nothing is copied where all stay, as in greedy search they mostly do."""
    if len(rows) == len(beam.tokens) and (rows == np.arange(len(rows))).all():
        return beam
    device = beam.tokens.device
    return beam.select(torch.from_numpy(rows).to(device), torch.from_numpy(going.nonzero()[0]).to(device))


def _gone_on(
    beam: UnderWay,
    tokens: NDArray[np.int64],
    gains: NDArray[np.float32],
    log_probs: NDArray[np.float32],
    chooser: Chooser,
) -> UnderWay:
    """The beam with another token behind each row."""
    device = beam.tokens.device
    newest, steps = torch.from_numpy(tokens).to(device), torch.from_numpy(gains).to(device)
    return replace(
        beam,
        tokens=torch.cat([beam.tokens, newest[:, None]], 1),
        token_log_probs=torch.cat([beam.token_log_probs, steps[:, None]], 1),
        log_probs=torch.from_numpy(log_probs).to(device),
        carried=chooser.carry(beam.carried, newest),
    )


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


def _coverage(covered: Tensor | None, mask: Tensor, owners: Tensor) -> Tensor | None:
    """How much each row [N] has left unseen, 0 at best (https://arxiv.org/abs/1609.08144, equation 14)."""
    return None if covered is None else covered.clamp(LEAST_SEEN, 1).log().where(mask[owners], 0).sum(1)


def _open(
    races: list[_Race],
    length: int,
    sentences: NDArray[np.int64],
    live: NDArray[np.float32],
    limits: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Which of these sentences [B] hypotheses under way, with these log-probabilities [B, K], can still improve."""
    rows = zip(sentences.tolist(), live.tolist(), limits.tolist(), strict=True)
    return np.array([races[i].is_open(best, length, limit) for i, best, limit in rows])


def _ranked(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)
