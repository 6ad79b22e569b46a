"""Beam search, and sampling by the same loop.

It knows `start`, `forward` and `project` of a decoder, `select` of its state, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from seqloom.decoders.base import Decoder
from seqloom.search import sampling
from seqloom.search.rules import Rule
from seqloom.search.trace import Extension, Recorder
from seqloom.structures import Encoded, Rows, State
from seqloom.vocabulary import BOS, EOS


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search.

    A hypothesis of n tokens, the end included, has the score log P / ((5 + n) / 6)^length_penalty
    (https://arxiv.org/abs/1609.08144, equation 14); 0 compares plain log-probabilities.  A target ends after at most
    `max_length` tokens, or, where that is None, after 50 more than its source has (https://arxiv.org/abs/1706.03762,
    6.1).  Of a source longer than `max_source_length` tokens only the beginning is used, and its translation says so.

    `unknown`: the symbol for unknown words is "never" generated; or it may be, and is to "show"; or is to be replaced
    by a "copy" of the source token that was looked at most (https://arxiv.org/abs/1412.2007).  A `dictionary` says what
    is written in place of such a source token, where it has it.

    With `sample`, `n_best` targets of each sentence are drawn, each token by the model's own probabilities at this
    `temperature`, out of the `top_k` most likely or the fewest that have `top_p` of the probability, where these are
    given; `beam_size` has no say then.  What is drawn is a function of the `seed` and the number of the sentence.
    """

    beam_size: int = 5
    n_best: int = 1
    length_penalty: float = 0.6
    max_length: int | None = None
    max_source_length: int = 512
    unknown: Literal["never", "show", "copy"] = "never"
    dictionary: Path | None = None
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("beam_size", "n_best", "max_length", "max_source_length", "top_k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._check_sampling()
        if self.n_best > self.beam_size and not self.sample:
            raise ValueError(f"n_best can't exceed beam_size, got n_best {self.n_best} and beam_size {self.beam_size}")
        if self.unknown not in ("never", "show", "copy"):
            raise ValueError(f"unknown must be never, show or copy, got {self.unknown!r}")
        if self.dictionary is not None and self.unknown != "copy":
            raise ValueError(f"a dictionary is for unknown: copy, got unknown: {self.unknown}")

    def _check_sampling(self) -> None:
        if not self.temperature > 0 or math.isinf(self.temperature):
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        for name, neutral in (("temperature", 1.0), ("top_k", None), ("top_p", None)):
            if getattr(self, name) != neutral and not self.sample:
                raise ValueError(f"{name} is for sample: true, got {name} {getattr(self, name)} and sample: false")

    @property
    def width(self) -> int:
        """How many hypotheses of a sentence are under way at once."""
        return self.n_best if self.sample else self.beam_size

    def score(self, log_prob: float, length: int) -> float:
        """The score by which finished hypotheses are ranked."""
        return log_prob / float(((5 + length) / 6) ** self.length_penalty)

    def limits(self, source: Encoded) -> Tensor:
        """How many tokens the target of each source may have, [B]."""
        lengths = source.mask.sum(1)
        return lengths + 50 if self.max_length is None else torch.full_like(lengths, self.max_length)


@dataclass(frozen=True)
class Hypothesis:
    """A finished target: neither bos nor eos among its tokens."""

    tokens: list[int]
    score: float
    log_prob: float
    attention: Tensor | None = None  # [L, H, T + 1, S]; row t is what was looked at when token t was chosen, eos last


@dataclass(frozen=True)
class _Beam(Rows):
    """The hypotheses under way: K rows a sentence."""

    state: State
    tokens: Tensor  # [N, t], bos first
    log_probs: Tensor  # [N]
    attention: Tensor | None  # [N, L, H, t - 1, S]
    keys: Tensor | None  # [N] what all that is drawn for a hypothesis follows from, where anything is


@torch.inference_mode()
def beam_search(
    decoder: Decoder,
    source: Encoded,
    options: SearchOptions,
    *,
    rules: Sequence[Rule] = (),
    attention: bool = False,
    recorder: Recorder | None = None,
    numbers: Tensor | None = None,
) -> list[list[Hypothesis]]:
    """For each sentence of the source its `n_best` best hypotheses found, the best first; beam size 1 is greedy search.

    A sentence leaves the beam as soon as nothing under way can still enter its results.  The results of a sentence do
    not depend on what else is in the batch.  A `recorder` is told what every step extended, kept, finished and pruned.
    `numbers` [B] are those of the sentences in their text, by which samples differ; by default, counted from 0.
    """
    B, K, device = len(source.mask), options.width, source.mask.device
    limits = options.limits(source)  # [B]
    found: list[list[Hypothesis]] = [[] for _ in range(B)]
    sentences = torch.arange(B, device=device)  # [B] which sentence each K rows of the beam belong to
    beam = _first(decoder, source, options, sentences if numbers is None else numbers)

    for length in range(1, int(limits.max()) + 1):
        # 1. Extend every hypothesis by every token.
        output, state = decoder(beam.tokens[:, -1:], beam.state, weights=attention)
        log_probs = decoder.project(output.features[:, -1]).float().log_softmax(-1)  # [N, V]
        for rule in rules:
            log_probs = rule.apply(log_probs, beam.tokens)
        last = limits[sentences] == length  # [B]
        if last.any():
            log_probs = _only_end(log_probs, last.repeat_interleave(K))
        seen = _joined(beam.attention, output.attention) if attention else None

        # 2. Choose among them, the best first: which of its sentence's K rows, and what behind it.
        choose = _drawn if options.sample else _likeliest
        best, parents, tokens = choose(beam, log_probs, options)  # [B, C]
        rows = torch.arange(len(sentences), device=device)[:, None] * K + parents  # of the beam
        ended = (tokens == EOS) & (best > -math.inf)

        # 3. Those that end among the K best are found.
        ended_among_best = ended & (torch.arange(best.size(1), device=device) < K)
        for b, k in ended_among_best.nonzero().tolist():
            row, log_prob = int(rows[b, k]), float(best[b, k])
            weights = None if seen is None else seen[row]
            hypothesis = Hypothesis(beam.tokens[row, 1:].tolist(), options.score(log_prob, length), log_prob, weights)
            found[int(sentences[b])].append(hypothesis)

        # 4. The K best of the rest go on, in the sentences where they can still win.
        live, choice = best.masked_fill(ended, -math.inf).topk(K)  # [B, K]
        going = _open(found, options, sentences, live[:, 0], limits[sentences]) & ~last
        if recorder is not None:
            step = Extension(sentences, parents, tokens, best, ended_among_best, choice, going)
            recorder.add(step, partial(options.score, length=length))
        if not going.any():
            break
        rows, tokens = rows.gather(1, choice)[going].flatten(), tokens.gather(1, choice)[going].flatten()
        sentences = sentences[going]
        beam = _picked(replace(beam, state=state, attention=seen), rows)
        beam = replace(beam, tokens=torch.cat([beam.tokens, tokens[:, None]], 1), log_probs=live[going].flatten())

    return [_ranked(hypotheses)[: options.n_best] for hypotheses in found]


def _first(decoder: Decoder, source: Encoded, options: SearchOptions, numbers: Tensor) -> _Beam:
    """K rows a sentence, of which all but one are impossible, unless each is to be a sample."""
    B, K, device = len(source.mask), options.width, source.mask.device
    rows = torch.arange(B, device=device).repeat_interleave(K)
    log_probs = torch.full((B, K), 0.0 if options.sample else -math.inf, device=device)
    log_probs[:, 0] = 0
    tokens = torch.full((B * K, 1), BOS, device=device)
    drawn_by = sampling.keys(options.seed, numbers.to(device), K) if options.sample else None
    return _Beam(decoder.start(source).select(rows), tokens, log_probs.flatten(), None, drawn_by)


def _likeliest(beam: _Beam, log_probs: Tensor, options: SearchOptions) -> tuple[Tensor, Tensor, Tensor]:
    """The 2K best extensions, so that even if K of them end here, K go on: log-probabilities, parents and tokens."""
    K, V = options.width, log_probs.size(1)
    best, index = (beam.log_probs[:, None] + log_probs).view(-1, K * V).topk(min(2 * K, K * V))  # [B, 2K]
    return best, index // V, index % V


def _drawn(beam: _Beam, log_probs: Tensor, options: SearchOptions) -> tuple[Tensor, Tensor, Tensor]:
    """One extension of each row, drawn at random: log-probabilities, parents and tokens, [B, K] each."""
    assert beam.keys is not None
    likely = sampling.tempered(log_probs, options.temperature, options.top_k, options.top_p)
    tokens = sampling.draw(likely, beam.keys, beam.tokens.size(1))  # [N]
    totals = beam.log_probs + log_probs.gather(1, tokens[:, None])[:, 0]
    best, parents = totals.view(-1, options.width).sort(descending=True, stable=True)
    return best, parents, tokens.view(-1, options.width).gather(1, parents)


def _picked(beam: _Beam, rows: Tensor) -> _Beam:
    """`beam.select(rows)`, without copying where each row stays in its place, as in greedy search it mostly does."""
    unmoved = len(rows) == len(beam.tokens) and bool((rows == torch.arange(len(rows), device=rows.device)).all())
    return beam if unmoved else beam.select(rows)


def _only_end(log_probs: Tensor, rows: Tensor) -> Tensor:
    """In the rows [N] where True, let nothing but eos follow."""
    others = torch.arange(log_probs.size(-1), device=log_probs.device) != EOS
    return log_probs.masked_fill(rows[:, None] & others, -math.inf)


def _joined(before: Tensor | None, now: Tensor | None) -> Tensor | None:
    return now if before is None or now is None else torch.cat([before, now], 3)


def _open(
    found: list[list[Hypothesis]], options: SearchOptions, sentences: Tensor, best: Tensor, limits: Tensor
) -> Tensor:
    """Which of these sentences [B] a hypothesis under way, the best of which are these [B], can still improve."""
    rows = zip(sentences.tolist(), best.tolist(), limits.tolist(), strict=True)
    return torch.tensor([_can_improve(found[i], options, top, limit) for i, top, limit in rows], device=best.device)


def _can_improve(found: list[Hypothesis], options: SearchOptions, best: float, limit: int) -> bool:
    """Whether a hypothesis of this log-probability may still enter the results, whatever its length in the end."""
    if best == -math.inf:
        return False
    if len(found) < options.width:
        return True
    if options.width == 1:  # greedy search takes the first end, whatever the length penalty promises
        return False
    reach = max(options.score(best, limit), options.score(best, 1))  # log-probabilities only fall
    return reach > _ranked(found)[options.n_best - 1].score


def _ranked(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)
