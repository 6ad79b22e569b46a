"""Which part of an update each rank computes."""

from __future__ import annotations

from collections.abc import Sequence

from seqloom.ranks import Ranks
from seqloom.structures import Batch


def own_share(batches: Sequence[Batch], seeds: Sequence[int], ranks: Ranks) -> list[tuple[Batch, int]]:
    """This rank's part of an update's batches, each with its seed.

    Whole batches are dealt where that comes out even: then all that is random is as in one process.  Otherwise every
    rank has some rows of each batch, or none, with a seed of its own.
    """
    dealt = list(zip(batches, seeds, strict=True))
    if len(batches) % ranks.size == 0:
        return dealt[ranks.rank :: ranks.size]
    rows = slice(ranks.rank, None, ranks.size)
    mine = [(batch.part(rows), (seed + ranks.rank * 2**56) % 2**64) for batch, seed in dealt]
    return [(batch, seed) for batch, seed in mine if batch.wanted]
