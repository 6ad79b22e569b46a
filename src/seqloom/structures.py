"""Everything that flows between the parts, one type per arrow.

B sentences   S source positions   T target positions   D features   V vocabulary
H heads       L layers             K beam               N = B * K rows
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Apply `function` to every tensor inside dataclasses, tuples and lists; leave scalars and the rest as they are."""
    if isinstance(value, Tensor):
        return function(value) if value.ndim else value
    if isinstance(value, (tuple, list)):
        return type(value)(map_tensors(function, item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: map_tensors(function, getattr(value, f.name)) for f in fields(value)})
    return value


class Rows:
    """A value whose tensors all have one row per sentence or hypothesis in dimension 0."""

    def select(self, rows: Tensor) -> Self:
        """The value whose row i is row `rows[i]` of this one: repeats, reorders or drops rows."""
        return map_tensors(lambda tensor: tensor.index_select(0, rows), self)  # type: ignore[no-any-return]

    def to(self, device: torch.device | str) -> Self:
        """The same value on another device."""
        return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), self)  # type: ignore[no-any-return]

    def pinned(self) -> Self:
        """The same value in memory that a GPU reads by itself."""
        return map_tensors(lambda tensor: tensor.pin_memory(), self)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Sequences(Rows):
    """Sentences as ids, padded to the longest."""

    ids: Tensor  # [B, S]
    mask: Tensor  # [B, S] True at real tokens

    def lengths(self) -> Tensor:
        """How many real tokens each row has, [B]."""
        return self.mask.sum(1)


@dataclass(frozen=True)
class Batch(Rows):
    """What a training step sees.  The target starts with bos and ends with eos; the source ends with eos.

    `wanted` is for each row how many of its target's tokens are to be predicted: all but the first.  Whoever makes a
    batch knows; to ask the mask would be to wait for the device that it is on.  By default the mask is asked, once.
    """

    source: Sequences
    target: Sequences
    wanted: tuple[int, ...] = ()  # [B]

    def __post_init__(self) -> None:
        if not self.wanted:
            object.__setattr__(self, "wanted", tuple(self.target.mask[:, 1:].sum(1).tolist()))

    def select(self, rows: Tensor) -> Batch:
        return replace(super().select(rows), wanted=tuple(self.wanted[row] for row in rows.tolist()))

    def part(self, rows: slice) -> Batch:
        """The batch with these rows only."""
        source, target = map_tensors(lambda tensor: tensor[rows].contiguous(), (self.source, self.target))
        return Batch(source, target, self.wanted[rows])

    def places(self) -> Tensor:
        """Where the target's tokens that are to be predicted stand among all but the first of each row, [R].

        Places are counted row by row; no host waits for a device to learn how many there are.
        """
        return torch.nonzero_static(self.target.mask[:, 1:].flatten(), size=sum(self.wanted))[:, 0]


@dataclass(frozen=True)
class Widths:
    """How wide the parts of an `Encoded` are."""

    keys: int
    values: int
    summary: int


@dataclass(frozen=True)
class Encoded(Rows):
    """What an encoder says about its source."""

    keys: Tensor  # [B, S, K] what attention compares a query with
    values: Tensor  # [B, S, V] what attention averages, often the same tensor
    mask: Tensor  # [B, S] True at real tokens
    summary: Tensor  # [B, D] one vector for the whole sentence
    attention: Tensor | None = None  # [B, L, H, S, S] self-attention, on request
    penalty: Tensor | float = 0.0  # an addition to the loss, such as the balance of a mixture of experts
    ids: Tensor | None = None  # [B, S] the source symbol of each position, where each has one


@dataclass(frozen=True)
class Past(Rows):
    """What earlier queries of an attention did, for those that look back at it."""

    step: int  # how many there were
    last: Tensor | None = None  # [N, H, S] the weights of the last one
    total: Tensor | None = None  # [N, H, S] the weights of all of them, summed


@dataclass(frozen=True)
class Memory(Rows):
    """Positions that an attention can look at; `extend` makes it a cache that grows."""

    keys: Tensor  # [N, H, S, D]
    values: Tensor  # [N, H, S, D]
    mask: Tensor | None = None  # [N, S] True at real tokens; None when every position is real
    past: Past | None = None

    def extend(self, keys: Tensor, values: Tensor) -> Memory:
        """This memory with newer positions [N, H, T, D] behind it."""
        if not self.keys.size(2):  # and nothing is copied
            return replace(self, keys=keys, values=values)
        return replace(self, keys=torch.cat([self.keys, keys], 2), values=torch.cat([self.values, values], 2))


@dataclass(frozen=True)
class Attended(Rows):
    """What an attention answers."""

    context: Tensor  # [N, T, D]
    memory: Memory  # what the next query is to be asked of
    weights: Tensor | None = None  # [N, H, T, S], on request
    penalty: Tensor | float = 0.0  # an addition to the loss, the mean over queries
    log_prob: Tensor | None = None  # [N, T] of what was drawn at random, where anything was


@dataclass(frozen=True)
class State(Rows):
    """What a decoder remembers between calls; each decoder defines its own fields."""


@dataclass(frozen=True)
class Output(Rows):
    """What a decoder says about the tokens that follow; `Decoder.project` turns features into logits."""

    features: Tensor  # [N, T, D]
    attention: Tensor | None = None  # [N, L, H, T, S] over the source, on request
    penalty: Tensor | float = 0.0
    log_prob: Tensor | None = None  # [N, T] of what was drawn at random on the way there, where anything was


@dataclass(frozen=True)
class Loss:
    """A sum over `count` target tokens, so that batches of different sizes add up."""

    total: Tensor  # []
    count: int

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.total + other.total, self.count + other.count)
