"""Gradients summed over ranks, while the last of them are still being computed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seqloom.ranks import Ranks

if TYPE_CHECKING:
    from torch.distributed import Work

BUCKET = 4 * 2**20  # numbers sent together: fewer would cost more in turns, more would leave later ones waiting


class Exchange:
    """Sums the gradients of all ranks.

    They travel in buckets, in the reverse order of the parameters, which is about that in which backward is done with
    them (https://arxiv.org/abs/2006.15704, 3.2.3).  A bucket leaves once it is full and those before it have left, so
    that all ranks send in the same order; what no batch of this rank used goes last, as zeros.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], ranks: Ranks):
        self.ranks = ranks
        self.buckets = _buckets([p for p in parameters if p.requires_grad][::-1]) if ranks.size > 1 else []
        self._place = {id(p): i for i, bucket in enumerate(self.buckets) for p in bucket}
        self._missing: list[int] | None = None  # of each bucket, in the last backward of an update; None before it
        self._sent: list[tuple[Tensor, Work | None]] = []
        for bucket in self.buckets:
            for parameter in bucket:
                parameter.register_post_accumulate_grad_hook(self._done_with)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """The backward that comes now is the last of an update."""
        self._missing = [len(bucket) for bucket in self.buckets]

    def finish(self, count: int, total: Tensor) -> int:
        """Wait for all gradients, and for `total`, which is summed in place; the sum of the counts of all ranks.

        A gradient that no rank has stays None, as in one process.
        """
        if not self.buckets:
            return count
        used = [[float(p.grad is not None) for p in bucket] for bucket in self.buckets]
        self._missing = [0] * len(self.buckets)
        self._send_full()
        last = self.ranks.sum_later(total)
        everywhere, *flags = self.ranks.total([float(count), *(flag for bucket in used for flag in bucket)])
        for bucket, (flat, work) in zip(self.buckets, self._sent, strict=True):
            self.ranks.finish(work)
            _unpack(flat, bucket, flags[: len(bucket)])
            flags = flags[len(bucket) :]
        self.ranks.finish(last)
        self._missing, self._sent = None, []
        return int(everywhere)

    def norm(self, norm: Tensor) -> Tensor:
        """Every rank has all gradients, so their norm is what it found."""
        return norm

    def whole(self) -> AbstractContextManager[None]:
        """Every rank has all weights at all times."""
        return nullcontext()

    def _done_with(self, parameter: Tensor) -> None:
        if self._missing is not None:
            self._missing[self._place[id(parameter)]] -= 1
            self._send_full()

    def _send_full(self) -> None:
        assert self._missing is not None
        while len(self._sent) < len(self.buckets) and not self._missing[len(self._sent)]:
            flat = _packed(self.buckets[len(self._sent)])
            self._sent.append((flat, self.ranks.sum_later(flat)))


def _buckets(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """In their order, of one kind of number each, and cut once they are full."""
    buckets: list[list[nn.Parameter]] = []
    size = 0
    for parameter in parameters:
        if not buckets or size >= BUCKET or parameter.dtype != buckets[-1][0].dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += parameter.numel()
    return buckets


def _packed(bucket: list[nn.Parameter]) -> Tensor:
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in bucket])


def _unpack(flat: Tensor, bucket: list[nn.Parameter], flags: list[float]) -> None:
    parts = torch.split(flat, [parameter.numel() for parameter in bucket])
    for parameter, part, used in zip(bucket, parts, flags, strict=True):
        parameter.grad = part.view_as(parameter) if used else None
