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
        return _with_fields(value, lambda inside: map_tensors(function, inside))
    return value


def _with_fields(value: Any, function: Callable[[Any], Any]) -> Any:
    """The same with what `function` makes of each field."""
    return replace(value, **{f.name: function(getattr(value, f.name)) for f in fields(value)})


class Rows:
    """A value whose tensors all have one row per sentence or hypothesis in dimension 0."""

    def select(self, rows: Tensor, groups: Tensor | None = None) -> Self:
        """The value whose row i is row `rows[i]` of this one: repeats, reorders or drops rows.

        Who knows that rows stand in groups of one size, and those of group i all come from the group `groups[i]` of
        this value, may say so (`groups` rise): what the rows of a group share is then not copied for each of them.
        """
        return _with_fields(self, lambda value: _selected(value, rows, groups))  # type: ignore[no-any-return]

    def to(self, device: torch.device | str) -> Self:
        """The same value on another device."""
        return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), self)  # type: ignore[no-any-return]

    def pinned(self) -> Self:
        """The same value in memory that a GPU reads by itself."""
        return map_tensors(lambda tensor: tensor.pin_memory(), self)  # type: ignore[no-any-return]


def _selected(value: Any, rows: Tensor, groups: Tensor | None) -> Any:
    """`select` of whatever is in a value; each value inside it has a say of its own."""
    if isinstance(value, Rows):
        return value.select(rows, groups)
    if isinstance(value, Tensor):
        return value.index_select(0, rows) if value.ndim else value
    if isinstance(value, (tuple, list)):
        return type(value)(_selected(item, rows, groups) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return _with_fields(value, lambda inside: _selected(inside, rows, groups))
    return value


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

    def select(self, rows: Tensor, groups: Tensor | None = None) -> Batch:
        return replace(super().select(rows, groups), wanted=tuple(self.wanted[row] for row in rows.tolist()))

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
    """Positions that an attention can look at.

    In a beam all hypotheses of a sentence look at the same source.  Where an attention answers each query by itself, so
    that it doesn't matter who else asks, it makes a memory that can be `shared`: one row then serves as many rows of
    queries, side by side, and the attention asks for them `together` and gives its answers `apart`.
    """

    keys: Tensor  # [B, H, S, D], B = N unless shared
    values: Tensor  # [B, H, S, D]
    mask: Tensor | None = None  # [B, S] True at real tokens; None when every position is real
    past: Past | None = None
    shared: int | None = None  # by how many rows each of these is: N = B * shared; None where it never can be

    def select(self, rows: Tensor, groups: Tensor | None = None) -> Memory:
        if self.shared is None:
            return super().select(rows, groups)
        if groups is None:
            return replace(super().select(rows // self.shared), shared=1)
        kept = self if len(groups) == len(self.keys) else super().select(groups)
        return replace(kept, shared=len(rows) // len(groups))

    def together(self, queries: Tensor) -> Tensor:
        """Queries [N, T, D] as those of its own rows, [B, shared * T, D]."""
        alone = self.shared is None or self.shared == 1
        return queries if alone else queries.reshape(len(self.keys), -1, queries.size(2))

    def apart(self, seen: Attended) -> Attended:
        """The answer to such queries as that to the rows which asked."""
        K = self.shared
        if K is None or K == 1:
            return seen
        context, weights, log_prob = seen.context, seen.weights, seen.log_prob
        return replace(
            seen,
            context=context.reshape(-1, context.size(1) // K, context.size(2)),
            weights=None if weights is None else _of_rows(weights, K),
            log_prob=None if log_prob is None else log_prob.reshape(-1, log_prob.size(1) // K),
        )


def _of_rows(weights: Tensor, K: int) -> Tensor:
    """[B, H, K T, S] -> [B K, H, T, S]."""
    B, H, queries, S = weights.shape
    return weights.view(B, H, K, queries // K, S).transpose(1, 2).flatten(0, 1)


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
