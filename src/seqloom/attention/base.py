"""What every attention does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqloom.structures import Attended, Encoded, Memory

VECTOR = 16  # numbers in a vector register
MANY = 1000  # scores, from which on a few more operations pay


class Attention(nn.Module, ABC):
    """Compares a query with each position of a memory and averages the values there.

    `query_size` is the width of a query, `widths` those of what is looked at.  A subclass sets `output_size`, the width
    of the context it returns.
    """

    given: ClassVar[tuple[str, ...]] = ("query_size", "widths")
    output_size: int
    looks_back: bool = False  # at what earlier queries did

    @abstractmethod
    def memory(self, source: Encoded) -> Memory:
        """All that depends on the source alone, computed once a sentence."""

    @abstractmethod
    def forward(self, query: Tensor, memory: Memory, *, weights: bool = False) -> Attended:
        """Queries [N, T, D] -> what was seen: context [N, T, output_size] and, on request, weights [N, H, T, S].

        Weights are shares of the real positions of each row; of most attentions they add up to 1.  The memory of the
        answer is for the next query: an attention that looks back finds there what it did so far.
        """


def in_time(steps: Sequence[Attended]) -> Attended:
    """Answers to one query after the other as one answer to all of them."""
    log_probs, weights = [step.log_prob for step in steps], [step.weights for step in steps]
    return Attended(
        torch.cat([step.context for step in steps], 1),
        steps[-1].memory,
        None if weights[0] is None else torch.cat(weights, 2),  # type: ignore[arg-type]
        sum(step.penalty for step in steps) / len(steps),
        None if log_probs[0] is None else torch.cat(log_probs, 1),  # type: ignore[arg-type]
    )


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[N, T, D] -> [N, H, T, D / H]."""
    N, T, D = x.shape
    return x.view(N, T, heads, D // heads).transpose(1, 2)


def weigh(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last dimension of scores [..., S], 0 where the mask (broadcast) is False."""
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    if scores.device.type != "cpu" or torch.is_grad_enabled() or scores.size(-1) >= VECTOR or scores.numel() < MANY:
        return scores.softmax(-1)
    # rows shorter than a vector register go number by number (0.39 ms for 1,020 rows of 15); across them it takes 0.1
    return scores.movedim(-1, 0).contiguous().softmax(0).movedim(0, -1).contiguous()
