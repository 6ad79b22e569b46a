"""A validation in small: its costliest parts, tried before a training that would come to them hours later."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from seqloom.data.batches import collate, valid_order
from seqloom.data.prepared import PreparedCorpus
from seqloom.structures import Batch, Loss
from seqloom.translate import Translator

TRIED = 64  # sentences decoded of either kind, the longest and others


def spread(count: int, most: int) -> range:
    """At most `most` of the numbers below `count`, evenly spaced."""
    return range(0, count, -(-count // most) if count else 1)


def decoding_seconds(translator: Translator, sources: Sequence[str], target_tokens: int) -> float:
    """How long it takes to write so many tokens, judged by the longest of these sources and a few others.

    Before training a model seldom ends a sentence, so these are as long as search lets them be: more memory than that
    is never needed for them.
    """
    if not sources:
        return 0.0
    longest = sorted(sources, key=len)[-TRIED:]
    chosen = [*longest, *(sources[i] for i in spread(len(sources), TRIED))]
    started = time.monotonic()
    written = sum(
        len(found.alternatives[0].tokens) + 1 if found.alternatives else 1 for found in translator.translate(chosen)
    )
    return (time.monotonic() - started) * target_tokens / written


@torch.inference_mode()
def loss_seconds(
    model: nn.Module, corpus: PreparedCorpus, loss: Callable[[nn.Module, Batch], Loss], size: tuple[int, int | None]
) -> float:
    """How long it takes to find the loss of a corpus in batches of this size, judged by the largest of these."""
    rows = max(valid_order(corpus, *size), key=lambda rows: _tokens(corpus, rows.tolist()))
    batch = collate([(corpus.source(i), corpus.target(i)) for i in rows.tolist()])
    started = time.monotonic()
    loss(model, batch.to(next(model.parameters()).device))
    whole = corpus.report.target_tokens + len(corpus)
    return (time.monotonic() - started) * whole / int(batch.target.mask[:, 1:].sum())


def _tokens(corpus: PreparedCorpus, rows: Sequence[int]) -> int:
    """How many places a batch of these pairs has on its larger side, padding included."""
    return len(rows) * max(max(len(corpus.source(i)), len(corpus.target(i))) for i in rows)
