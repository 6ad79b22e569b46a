"""`train.batch_tokens: auto`: batches as large as memory allows."""

from __future__ import annotations

import gc
import logging
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from seqloom.config.root import Config, read_config
from seqloom.data.batches import Position
from seqloom.doctor.machine import memory_limit, mib
from seqloom.errors import SeqloomError, lacks_memory
from seqloom.hardware import find_device
from seqloom.rehearsal import peak_memory, reset_peak_memory, staged
from seqloom.structures import Batch

LEAST, MOST = 1024, 32_768  # tokens; a larger batch makes no machine faster, and accumulate makes updates larger
SHARE = 0.8  # of the memory: a later batch, or a validation, may take more
STEP = 256  # tokens to which the answer is rounded down
TRIED = 40  # batches looked at for the one that takes most
log = logging.getLogger(__name__)


def fitted(config: Config, directory: Path) -> Config:
    """The configuration with a number for `batch_tokens: auto`: that which the run has, or the largest that fits."""
    if config.train.batch_tokens != "auto":
        return config
    begun = directory / "config.yml"
    known = read_config(begun).train.batch_tokens if begun.exists() else "auto"
    return with_batch_tokens(config, largest_batch(config) if known == "auto" else known)


def with_batch_tokens(config: Config, tokens: int) -> Config:
    """The configuration with this number for `batch_tokens`."""
    return replace(config, train=replace(config.train, batch_tokens=tokens))


def largest_batch(config: Config) -> int:
    """The largest `batch_tokens` whose updates leave a fifth of the memory free, of at most `MOST`.

    Updates on batches twice as large each time are tried, and what would fit between the last two is reckoned: memory
    grows with a batch's tokens along a straight line.  Raises SeqloomError if not even `LEAST` tokens fit.
    """
    limit = SHARE * memory_limit(find_device(config.train.device))
    fit: list[tuple[int, int]] = []  # tokens, and the bytes that they take
    tokens = LEAST
    while tokens <= MOST and (taken := _taken(config, tokens)) is not None and taken <= limit:
        fit.append((tokens, taken))
        tokens *= 2
    if not fit:
        raise SeqloomError(
            f"train.batch_tokens: not even batches of {LEAST:,} tokens fit into {mib(int(limit))}; "
            "make the model smaller"
        )
    found = _reckoned(fit, limit)
    log.info("batches of %s tokens: what fits into %s", f"{found:,}", mib(int(limit)))
    return found


def _reckoned(fit: list[tuple[int, int]], limit: float) -> int:
    """The tokens that take `limit` bytes, by the line through the last two that fit, but less than twice the last."""
    tokens, taken = fit[-1]
    if tokens >= MOST or len(fit) == 1:
        return tokens
    before, then = fit[-2]
    more = (limit - taken) * (tokens - before) / max(taken - then, 1)
    return max(tokens, int(min(tokens + more, 2 * tokens - STEP)) // STEP * STEP)


def _taken(config: Config, tokens: int) -> int | None:
    """The bytes at the peak of an update on the first batches' worst; None where memory ran out."""
    with staged(with_batch_tokens(config, tokens)) as trainer:
        batches = [batch for batch, _ in islice(trainer.task.batches(Position()), TRIED)]
        reset_peak_memory(trainer.device)
        try:
            for batch in (max(batches, key=_positions), max(batches, key=_longest)):
                trainer.update([batch])
        except (MemoryError, RuntimeError, SeqloomError) as error:
            if not isinstance(error, SeqloomError) and not lacks_memory(error):
                raise
            return None
        peak = peak_memory(trainer.device)
    gc.collect()
    if trainer.device.type == "cuda":
        torch.cuda.empty_cache()
    return peak


def _positions(batch: Batch) -> int:
    return batch.target.ids.numel() + batch.source.ids.numel()


def _longest(batch: Batch) -> int:
    return max(batch.target.ids.size(1), batch.source.ids.size(1))
