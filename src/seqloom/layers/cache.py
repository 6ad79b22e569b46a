"""Keys and values of a target so far, which grow by a position at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.structures import Memory, Rows

LEAST_ROOM = 16  # positions


@dataclass
class _Room:
    """Where positions stand one after another, and how many do; several caches may have the first of them in common."""

    keys: Tensor  # [C, N, H, D]
    values: Tensor  # [C, N, H, D]
    used: int  # at most C

    @classmethod
    def of(cls, keys: Tensor, values: Tensor) -> _Room:
        """Full of these positions [T, N, H, D]."""
        return cls(keys, values, len(keys))

    @classmethod
    def empty(cls, positions: int, like: Tensor, *, rows: int) -> _Room:
        shape = positions, rows, *like.shape[2:]
        return cls(like.new_empty(shape), like.new_empty(shape), 0)


@dataclass(frozen=True)
class Cache(Rows):
    """The keys and values of `length` positions: a value, though the memory behind it is written once and for all.

    Positions are dimension 0 there, so that a new one is written behind the others without moving them.  Whoever goes
    on first from a cache writes there; whoever goes on from it once more, when that place is taken, writes in a copy.
    """

    length: int = 0
    room: _Room | None = None  # None as long as there is nothing

    def select(self, rows: Tensor, groups: Tensor | None = None) -> Cache:
        if self.room is None:
            return self
        keys, values, capacity = self.room.keys[: self.length], self.room.values[: self.length], len(self.room.keys)
        if torch.is_grad_enabled():
            return Cache(self.length, _Room.of(keys.index_select(1, rows), values.index_select(1, rows)))
        room = _Room.empty(capacity, keys, rows=len(rows))
        torch.index_select(keys, 1, rows, out=room.keys[: self.length])
        torch.index_select(values, 1, rows, out=room.values[: self.length])
        room.used = self.length
        return Cache(self.length, room)

    def extend(self, keys: Tensor, values: Tensor) -> Cache:
        """This with newer positions [N, H, T, D] behind it."""
        keys, values = keys.permute(2, 0, 1, 3), values.permute(2, 0, 1, 3)  # [T, N, H, D]
        end = self.length + len(keys)
        if self.room is None:  # and nothing is copied
            return Cache(end, _Room.of(keys, values))
        if torch.is_grad_enabled():  # what a gradient goes through must stay as it is
            before = self.room.keys[: self.length], self.room.values[: self.length]
            return Cache(end, _Room.of(torch.cat([before[0], keys]), torch.cat([before[1], values])))
        room = self._with_room_for(end)
        room.keys[self.length : end], room.values[self.length : end], room.used = keys, values, end
        return Cache(end, room)

    def memory(self) -> Memory:
        """These positions for an attention to look at, [N, H, length, D]; ValueError where there are none."""
        if self.room is None:
            raise ValueError("a cache without positions has nothing to look at")
        keys, values = self.room.keys[: self.length], self.room.values[: self.length]
        return Memory(keys.permute(1, 2, 0, 3), values.permute(1, 2, 0, 3))

    def _with_room_for(self, end: int) -> _Room:
        """Where the positions up to `end` can be written; a copy if there is no room, or another cache has taken it."""
        assert self.room is not None
        capacity = len(self.room.keys)
        if self.room.used == self.length and end <= capacity:
            return self.room
        keys = self.room.keys
        room = _Room.empty(capacity if end <= capacity else max(2 * end, LEAST_ROOM), keys, rows=keys.size(1))
        room.keys[: self.length], room.values[: self.length] = keys[: self.length], self.room.values[: self.length]
        return room
