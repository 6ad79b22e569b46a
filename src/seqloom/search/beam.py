"""The one search loop: beam search, sampling, and whatever else a chooser makes of it.

It knows `start`, `forward` and `project` of a decoder, `select` of its state, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.decoders.base import Decoder
from seqloom.search.choosing import Chooser, UnderWay, chooser_of
from seqloom.search.hypothesis import Hypothesis
from seqloom.search.options import SearchOptions
from seqloom.search.rules import Rule
from seqloom.search.trace import Extension, Recorder
from seqloom.structures import Encoded
from seqloom.vocabulary import BOS, EOS


@torch.inference_mode()
def beam_search(
    decoder: Decoder,
    source: Encoded,
    options: SearchOptions,
    *,
    rules: Sequence[Rule] = (),
    chooser: Chooser | None = None,
    attention: bool = False,
    recorder: Recorder | None = None,
    numbers: Tensor | None = None,
) -> list[list[Hypothesis]]:
    """For each sentence of the source its `n_best` best hypotheses found, the best first; beam size 1 is greedy search.

    A sentence leaves the beam as soon as nothing under way can still enter its results.  The results of a sentence do
    not depend on what else is in the batch.  A `recorder` is told what every step extended, kept, finished and pruned.
    `numbers` [B] are those of the sentences in their text, by which samples differ; by default, counted from 0.
    """
    chooser = chooser or chooser_of(options)
    B, K, device = len(source.mask), chooser.width, source.mask.device
    limits = torch.tensor([options.limit(length) for length in source.mask.sum(1).tolist()], device=device)  # [B]
    found: list[list[Hypothesis]] = [[] for _ in range(B)]
    sentences = torch.arange(B, device=device)  # [B] which sentence each K rows of the beam belong to
    beam = _first(decoder, source, chooser, sentences if numbers is None else numbers.to(device))

    for length in range(1, int(limits.max()) + 1):
        # 1. Extend every hypothesis by every token.
        output, state = decoder(beam.tokens[:, -1:], beam.state, weights=attention)
        log_probs = decoder.project(output.features[:, -1]).float().log_softmax(-1)  # [N, V]
        for rule in rules:
            log_probs = rule.apply(log_probs, beam.tokens, sentences.repeat_interleave(K))
        last = limits[sentences] == length  # [B]
        if last.any():
            log_probs = _only_end(log_probs, last.repeat_interleave(K))
        seen = _joined(beam.attention, output.attention) if attention else None

        # 2. Choose what to look at, the best first: which of its sentence's K rows, and what behind it.
        chosen = chooser.candidates(beam, log_probs)  # [B, C]
        best, tokens = chosen.log_probs, chosen.tokens
        rows = torch.arange(len(sentences), device=device)[:, None] * K + chosen.parents  # of the beam
        ended = (tokens == EOS) & (best > -math.inf)

        # 3. Those that may end here are found.
        finished = ended & chosen.may_end
        for b, k in finished.nonzero().tolist():
            row, log_prob = int(rows[b, k]), float(best[b, k])
            weights = None if seen is None else _array(seen[row])
            hypothesis = Hypothesis(beam.tokens[row, 1:].tolist(), options.score(log_prob, length), log_prob, weights)
            found[int(sentences[b])].append(hypothesis)

        # 4. K of the rest go on, in the sentences where they can still win.
        live = best.masked_fill(ended, -math.inf)
        choice = chooser.keep(chosen, live)  # [B, K]
        live = live.gather(1, choice)
        going = _open(found, options, sentences, live.amax(1), limits[sentences]) & ~last
        if recorder is not None:
            step = Extension(sentences, chosen.parents, tokens, best, finished, choice, going)
            recorder.add(step, partial(options.score, length=length))
        if not going.any():
            break
        rows, tokens = rows.gather(1, choice)[going].flatten(), tokens.gather(1, choice)[going].flatten()
        sentences = sentences[going]
        beam = _picked(replace(beam, state=state, attention=seen), rows)
        beam = replace(
            beam,
            tokens=torch.cat([beam.tokens, tokens[:, None]], 1),
            log_probs=live[going].flatten(),
            carried=chooser.carry(beam.carried, tokens),
        )

    return [_ranked(hypotheses)[: options.n_best] for hypotheses in found]


def _first(decoder: Decoder, source: Encoded, chooser: Chooser, numbers: Tensor) -> UnderWay:
    """K rows a sentence, all of them at the beginning."""
    B, K, device = len(source.mask), chooser.width, source.mask.device
    rows = torch.arange(B, device=device).repeat_interleave(K)
    tokens = torch.full((B * K, 1), BOS, device=device)
    log_probs = chooser.first(B, device).flatten()
    return UnderWay(decoder.start(source).select(rows), tokens, log_probs, None, chooser.start(numbers))


def _picked(beam: UnderWay, rows: Tensor) -> UnderWay:
    """`beam.select(rows)`, without copying where each row stays in its place, as in greedy search it mostly does."""
    unmoved = len(rows) == len(beam.tokens) and bool((rows == torch.arange(len(rows), device=rows.device)).all())
    return beam if unmoved else beam.select(rows)


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
