"""Processes that train one model together: who they are, and the few things that they tell each other."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from seqloom.errors import SeqloomError, UsageError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store
    from torch.distributed import ProcessGroup, Work
    from torch.distributed.device_mesh import DeviceMesh

T = TypeVar("T")
MEETING = timedelta(minutes=5)  # so long do ranks wait for each other at the start
PATIENCE = timedelta(days=1)  # and so long while one prepares data, validates or saves: who ends is noticed at once


class RankError(SeqloomError):
    """Another rank ended, or doesn't answer.  What was trained since the last checkpoint is lost."""


@dataclass(frozen=True)
class _Groups:
    """The same ranks three times, since they wait for each other in different ways."""

    gradients: ProcessGroup  # on the device
    numbers: ProcessGroup  # on the CPU
    patient: ProcessGroup  # on the CPU


class Ranks:
    """This process among those that train together; alone, where nothing below costs anything.

    Every method is to be called on all ranks, in the same order.  Raises RankError if another rank ended, or let the
    others wait for longer than it may.
    """

    def __init__(self, rank: int = 0, size: int = 1, *, local: int = 0, groups: _Groups | None = None):
        """`local` counts the ranks of this machine."""
        self.rank, self.size, self.local = rank, size, local
        self.interruptible = size == 1  # whether a signal may cut short what this rank does, the others being told
        self._groups = groups

    @property
    def main(self) -> bool:
        """Whether this is the rank that speaks and writes for all."""
        return self.rank == 0

    def most(self, numbers: Sequence[float]) -> list[float]:
        """The largest of all ranks in each place."""
        return self._reduced(numbers, "MAX")

    def total(self, numbers: Sequence[float]) -> list[float]:
        """The sum over all ranks in each place."""
        return self._reduced(numbers, "SUM")

    def sum_later(self, tensor: Tensor) -> Work | None:
        """Begin to sum a tensor over all ranks, in place; `finish` waits for it."""
        if self._groups is None:
            return None
        with self._talking():
            work: Work = torch.distributed.all_reduce(tensor, group=self._groups.gradients, async_op=True)
            return work

    def finish(self, work: Work | None) -> None:
        """Wait for what `sum_later` began."""
        if work is not None:
            with self._talking():
                work.wait()

    def take_from_main(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have on the main rank."""
        if self._groups is not None:
            with self._talking(), torch.no_grad():
                for tensor in tensors:
                    torch.distributed.broadcast(tensor, 0, group=self._groups.gradients)

    def wait(self) -> None:
        """Go on when all ranks are here, however long that takes."""
        self.gather(None)

    def gather(self, value: Any) -> list[Any]:
        """What each rank says: what JSON can hold."""
        if self._groups is None:
            return [value]
        said = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        with self._talking():
            return [json.loads(part.numpy().tobytes()) for part in _gathered(said, self.size, self._groups.patient)]

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Within this the main rank does something alone, and then the others do, who may find it done."""
        if not self.main:
            self._check(self.gather(None)[0])
        try:
            yield
        except BaseException:
            if self.main:
                self.gather("failed")
            raise
        if self.main:
            self.gather("done")

    def shared(self, function: Callable[[list[Any]], list[T]], items: Sequence[Any]) -> list[T]:
        """What `function` makes of all items, in their order; each rank does some of them.

        Where an exception ends it on one rank, RankError ends it on the others.
        """
        if self.size == 1:
            return function(list(items))
        try:
            self.interruptible = True
            mine: list[T] | None = function(list(items[self.rank :: self.size]))
            self.interruptible = False
        except BaseException:
            self.interruptible = False
            self.gather(None)
            raise
        parts = self.gather(mine)
        for part in parts:
            self._check(part)
        return [parts[i % self.size][i // self.size] for i in range(len(items))]

    def mesh(self, device: torch.device) -> DeviceMesh:
        """The ranks as PyTorch wants them where tensors are spread over them."""
        from torch.distributed.device_mesh import DeviceMesh

        assert self._groups is not None
        return DeviceMesh.from_group(self._groups.gradients, device.type)

    def threads(self) -> int | None:
        """How many threads each rank of this machine should have; None where nobody else is here, or one was chosen."""
        if self.size == 1 or os.environ.get("OMP_NUM_THREADS", "1") != "1":  # torchrun says 1 unless the user chose
            return None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", self.size)))

    @contextmanager
    def in_touch(self) -> Iterator[None]:
        """Within this PyTorch talks to the other ranks on its own account, and RankError is raised if one ended."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, torch.distributed.DistError) or "gloo/" in str(error):
                raise self._lost(error) from error
            raise

    def _check(self, said: Any) -> None:
        if said is None or said == "failed":
            raise RankError(f"{self}: another rank failed, so this one ends too")

    def _reduced(self, numbers: Sequence[float], how: str) -> list[float]:
        if self._groups is None:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64)
        with self._talking():
            torch.distributed.all_reduce(tensor, getattr(torch.distributed.ReduceOp, how), group=self._groups.numbers)
        found: list[float] = tensor.tolist()
        return found

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise self._lost(error) from error

    def _lost(self, error: RuntimeError) -> RankError:
        late = any(words in str(error).lower() for words in ("timed out", "timeout"))
        what = "another rank did not answer in time" if late else "another rank has ended"
        return RankError(f"{self}: {what}, so this one ends too; the last checkpoint stands")

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.size}"


ALONE = Ranks()


def _gathered(own: Tensor, size: int, group: ProcessGroup) -> list[Tensor]:
    """The bytes of each rank, [length]."""
    lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(size)]
    torch.distributed.all_gather(lengths, torch.tensor([len(own)]), group=group)
    longest = max(int(length) for length in lengths)
    parts = [torch.zeros(longest, dtype=torch.uint8) for _ in range(size)]
    torch.distributed.all_gather(parts, torch.nn.functional.pad(own, (0, longest - len(own))), group=group)
    return [part[: int(length)] for part, length in zip(parts, lengths, strict=True)]


def environment() -> tuple[int, int, int]:
    """The rank, how many there are, and the rank on this machine: torchrun's, or those of one process alone.

    Raises UsageError if the environment says what can't be.
    """
    words = [os.environ.get(name, default) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"))]
    words.append(os.environ.get("LOCAL_RANK", words[0]))
    if not all(word.isdecimal() for word in words) or int(words[0]) >= int(words[1]):
        said = f"RANK={words[0]} WORLD_SIZE={words[1]} LOCAL_RANK={words[2]}"
        raise UsageError(f"the environment says {said}, which can't be; torchrun sets them for each process")
    rank, size, local = map(int, words)
    return rank, size, local


def own_device(name: str, ranks: tuple[int, int, int]) -> str:
    """The name of this rank's device, where all are given the same name; UsageError for one that can't be shared."""
    _, size, local = ranks
    if size == 1 or name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return name
    if name not in ("auto", "cuda"):
        raise UsageError(f"train.device {name!r} is one device, and there are {size} ranks: use cuda, cpu or auto")
    return f"cuda:{local}"


@contextmanager
def together(device: torch.device, *, timeout: float) -> Iterator[Ranks]:
    """This process among those that torchrun started, for as long as this lasts; alone if there are no others.

    A rank that lets the others wait for more than `timeout` seconds in a step is given up.  Raises RankError if the
    ranks don't find each other.
    """
    rank, size, local = environment()
    if size == 1:
        yield Ranks()
        return
    groups = _meet(device, timeout)
    try:
        yield Ranks(rank, size, local=local, groups=groups)
    except RankError:
        raise  # to take leave of those who don't answer may take forever
    except BaseException:
        torch.distributed.destroy_process_group()
        raise
    torch.distributed.destroy_process_group()


def _meeting(store: Store, rank: int, size: int) -> str:
    """A name for this meeting that no earlier one had, the same on all ranks.

    The store is torchrun's own and outlives its attempts: what ranks that are dead by now left there, such as their
    addresses, would be taken for that of the living.  So each signs in with a name that nobody had; rank 0 reads
    out who has signed in until all have answered to their names.
    """
    own, end = secrets.token_hex(8), time.monotonic() + MEETING.total_seconds()
    store.set(f"signed in/{rank}", own)
    while time.monotonic() < end:
        if rank == 0:
            names = store.multi_get([f"signed in/{r}" for r in range(size)])  # waits for those who never came before
            store.set("read out", " ".join(name.decode() for name in names))
        said = store.get("read out").decode()
        if said.split()[rank] == own:
            store.set(f"{said}/{rank}", "here")
            if store.check([f"{said}/{r}" for r in range(size)]):
                return said
        time.sleep(0.02)
    raise RuntimeError("timed out")


def _meet(device: torch.device, timeout: float) -> _Groups:
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        store, rank, size = next(rendezvous("env://", timeout=MEETING))
        store = distributed.PrefixStore(_meeting(store, rank, size), store)  # type: ignore[attr-defined]
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=MEETING)
        quick, patient = timedelta(seconds=timeout), distributed.new_group(timeout=PATIENCE, backend="gloo")
        numbers = distributed.new_group(timeout=quick, backend="gloo")
        own = distributed.new_group(timeout=quick, backend="nccl") if device.type == "cuda" else numbers
    except (RuntimeError, ValueError) as error:
        place = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
        which = f"{os.environ.get('RANK')} of {os.environ.get('WORLD_SIZE')}"
        raise RankError(f"rank {which} did not find the others at {place}; torchrun starts them together") from error
    assert patient is not None and own is not None and numbers is not None
    return _Groups(own, numbers, patient)
