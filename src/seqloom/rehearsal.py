"""What a training would cost, found by trying a few of its steps and a small validation."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import Config
from seqloom.data.batches import Position
from seqloom.errors import SeqloomError, is_out_of_memory
from seqloom.hardware import find_device, suit_training
from seqloom.structures import Batch
from seqloom.train import Trainer, model_tensors

TRIED = 40  # batches looked at for the largest, and for others of all sizes
SIZES = 4  # of batches that are timed
CLEARLY = 1.1
PATIENCE = 10.0  # seconds after which no more of them are tried


@dataclass(frozen=True)
class Rehearsal:
    """What a few updates and a small validation took."""

    parameters: int
    source_symbols: int
    target_symbols: int
    seconds: float  # an update, the mean over batches of all sizes
    tokens: int  # real target tokens of it
    memory: int  # bytes, of an update on the largest batch: the process's peak on the CPU, PyTorch's on a GPU
    validation_memory: int  # the same, of what takes the most memory in a validation
    validation_seconds: float | None  # of a whole validation, if that is known
    checkpoint: int  # bytes

    @property
    def peak(self) -> int:
        """The most memory of all, in bytes."""
        return max(self.memory, self.validation_memory)

    @property
    def validates_at_peak(self) -> bool:
        """Whether it is validation that takes the most, by more than what one moment differs from another."""
        return self.validation_memory > CLEARLY * self.memory


@contextmanager
def staged(config: Config) -> Iterator[Trainer]:
    """A trainer before its first step; all that it writes is gone afterwards, but the cache of prepared data.

    Raises what `runs.train` does for a configuration that can't work.
    """
    device = find_device(config.train.device)
    suit_training()
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    with tempfile.TemporaryDirectory() as scratch:
        for make in config.hooks:
            make(directory=Path(scratch)).check()
        task = config.make_task()
        task.prepare(Path(scratch))
        model = task.build(config.model)
        task.begin(model)
        checkpoints = Checkpoints(Path(scratch))
        yield Trainer(model, task, config.train, checkpoints=checkpoints, seed=config.seed, device=device)


def rehearse(trainer: Trainer) -> Rehearsal:
    """Try the largest of the first batches, a few others, and what takes the most memory in a validation.

    Raises SeqloomError, which says for which of the two, if there is not enough memory.
    """
    batches = sorted((batch for batch, _ in islice(trainer.task.batches(Position()), TRIED)), key=_places)
    reset_peak_memory(trainer.device)
    with _enough_memory("an update on the largest batch", "halve train.batch_tokens and double train.accumulate"):
        trainer.update(batches[-1:])
    memory = peak_memory(trainer.device)
    per_token = _seconds_per_token(trainer, batches)
    tokens = round(statistics.mean(_tokens(batch) for batch in batches) * trainer.options.accumulate)
    reset_peak_memory(trainer.device)
    with _enough_memory("a validation", "lower task.valid_beam_size or train.batch_tokens"):
        validation = trainer.task.rehearse(trainer.model)
    kept = [*model_tensors(trainer.model).values(), *trainer.updated.tensors().values()]
    return Rehearsal(
        parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
        source_symbols=trainer.task.symbols()[0],
        target_symbols=trainer.task.symbols()[1],
        seconds=per_token * tokens,
        tokens=tokens,
        memory=memory,
        validation_memory=peak_memory(trainer.device),
        validation_seconds=validation,
        checkpoint=sum(tensor.nbytes for tensor in kept),
    )


def _seconds_per_token(trainer: Trainer, batches: list[Batch]) -> float:
    """How long an update takes for a target token, over batches of all sizes, each tried for the second time."""
    seconds, tokens, started = 0.0, 0, time.monotonic()
    for size in range(SIZES):
        batch = batches[len(batches) * (2 * size + 1) // (2 * SIZES)]
        trainer.update([batch])  # a shape's first time takes longer, and in a training every shape comes often
        before = time.monotonic()
        trainer.update([batch])
        seconds, tokens = seconds + time.monotonic() - before, tokens + _tokens(batch)
        if time.monotonic() - started > PATIENCE:
            break
    return seconds / tokens


def _places(batch: Batch) -> int:
    return batch.target.ids.numel() + batch.source.ids.numel()


def _tokens(batch: Batch) -> int:
    return int(batch.target.mask[:, 1:].sum())


@contextmanager
def _enough_memory(what: str, cure: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise SeqloomError(f"there is not enough memory for {what}; {cure}, or make the model smaller") from error


def reset_peak_memory(device: torch.device) -> None:
    """Forget how much memory was in use before, where the system can: preparing data is another matter."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
