"""Batches that lie on the device before a step asks for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqloom.data.batches import Position
from seqloom.structures import Batch, map_tensors

Drawn = tuple[Batch, Position]


@contextmanager
def ahead(batches: Iterator[Drawn], device: torch.device, *, count: int) -> Iterator[Iterator[Drawn]]:
    """The same batches in the same order; while a step is under way, the `count` of the next one are fetched.

    On the CPU these are the batches themselves: there is nowhere to fetch them to, and no core to spare.  For a GPU
    another thread makes them, and copies them from pinned memory on a stream of its own.  Whatever is raised while a
    batch is made is raised where it would have been asked for.
    """
    if device.type == "cpu":
        yield batches
        return
    fetching = Fetching(batches, Lane(device), count)
    try:
        yield iter(fetching)
    finally:
        fetching.stop()


class Copied(NamedTuple):
    """A batch whose copy to the device is under way."""

    batch: Batch
    done: Any  # an event of the lane's stream


class Lane:
    """Copies to a device that don't stand in line behind its computing."""

    def __init__(self, device: torch.device):
        self.device, self.streams = device, torch.get_device_module(device)
        self.stream = self.streams.Stream(device)

    def send(self, batch: Batch) -> Copied:
        """Begin to copy a batch.  Only pinned memory is read by the device itself, while the host goes on."""
        with self.streams.stream(self.stream):
            return Copied(batch.pinned().to(self.device), self.stream.record_event())

    def receive(self, copied: Copied) -> Batch:
        """The batch, for use on the current stream, which waits for the copy; the host doesn't."""
        current = self.streams.current_stream(self.device)
        current.wait_event(copied.done)

        def used(tensor: Tensor) -> Tensor:
            tensor.record_stream(current)  # or the lane might give its memory to a later batch before that
            return tensor

        map_tensors(used, copied.batch)
        return copied.batch


class Fetching:
    """A thread that keeps `count` batches ready."""

    def __init__(self, batches: Iterator[Drawn], lane: Lane, count: int):
        self.batches, self.lane = batches, lane
        self.ready: queue.SimpleQueue[tuple[Copied, Position] | BaseException | None] = queue.SimpleQueue()
        self.room, self.stopped = threading.Semaphore(count), False
        self.thread = threading.Thread(target=self._fetch, name="batches", daemon=True)
        self.thread.start()

    def __iter__(self) -> Iterator[Drawn]:
        while (found := self.ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            self.room.release()
            copied, position = found
            yield self.lane.receive(copied), position

    def stop(self) -> None:
        """End the thread, which finishes the batch that it is at."""
        self.stopped = True
        self.room.release()
        self.thread.join()

    def _fetch(self) -> None:
        try:
            while self._may_go_on() and (drawn := next(self.batches, None)) is not None:
                batch, position = drawn
                self.ready.put((self.lane.send(batch), position))
            self.ready.put(None)
        except BaseException as error:
            self.ready.put(error)

    def _may_go_on(self) -> bool:
        self.room.acquire()
        return not self.stopped
