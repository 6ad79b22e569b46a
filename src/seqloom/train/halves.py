"""What becomes of a batch that memory has no room for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from seqloom.errors import SeqloomError, lacks_memory
from seqloom.structures import Batch

T = TypeVar("T")
Share = Sequence[tuple[Batch, int]]  # batches with their seeds
ADVICE = "a smaller train.batch_tokens or a smaller model would do"
log = logging.getLogger(__name__)


def as_it_fits(compute: Callable[[Share], T], share: Share, *, alone: bool) -> T:
    """What `compute` makes of the batches, or of their halves; SeqloomError if memory has no room for these either.

    `compute` must begin anew whenever it is called.  Only one who is `alone` halves: the ranks of a training send their
    numbers while they compute, and can't take them back.
    """
    found = _tried(compute, share)
    if found is None and alone:
        torch.cuda.empty_cache()
        log.warning("there was not enough memory for %s: halved; %s", _size(share), ADVICE)
        found = _tried(compute, [half for batch, seed in share for half in halves(batch, seed)])
    if found is None:
        even = ", not even for half of it at a time" if alone else ""
        raise SeqloomError(f"there is not enough memory for {_size(share)}{even}; {ADVICE}")
    return found[0]


def halves(batch: Batch, seed: int) -> Share:
    """The first half of a batch's rows and the second, each with a seed; a single row stays as it is."""
    half = (len(batch.wanted) + 1) // 2
    parts = [slice(half), slice(half, None)] if len(batch.wanted) > 1 else [slice(None)]
    return [(batch.part(rows), (seed + number * 2**55) % 2**64) for number, rows in enumerate(parts)]


def _tried(compute: Callable[[Share], T], share: Share) -> tuple[T] | None:
    """None where memory ran out; what the failure held is free again by then."""
    try:
        return (compute(share),)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        return None


def _size(share: Share) -> str:
    """The largest of the batches, in words."""
    batch, _ = max(share, key=lambda one: one[0].source.ids.numel() + one[0].target.ids.numel())
    (rows, source), target = batch.source.ids.shape[:2], batch.target.ids.shape[1]
    return f"a batch of {rows:,} sentences with up to {source:,} source and {target:,} target tokens"
