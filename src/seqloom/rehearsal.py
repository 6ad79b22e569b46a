"""What a training would cost, found by trying a few of its steps."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import Config
from seqloom.data.batches import Position
from seqloom.hardware import find_device, suit_training
from seqloom.train import Trainer

TRIED = 40  # batches looked at for the largest
STEPS = 4  # the first is a warm-up


@dataclass(frozen=True)
class Rehearsal:
    """What a few steps on the largest of the first batches took."""

    parameters: int
    source_symbols: int
    target_symbols: int
    seconds: float  # a step, the median
    tokens: int  # real target tokens of that step
    memory: int  # bytes: the process's peak on the CPU, PyTorch's peak on a GPU
    steps: int

    def lines(self) -> list[str]:
        """The findings as sentences."""
        return [
            f"vocabulary: {self.source_symbols:,} source and {self.target_symbols:,} target symbols",
            f"model: {self.parameters:,} parameters",
            f"one step: {self.seconds:.2f} s for {self.tokens:,} target tokens"
            f" ({self.tokens / self.seconds:,.0f} a second)",
            f"memory: {self.memory / 2**20:,.0f} MiB at the peak",
            f"all {self.steps:,} steps: about {self.steps * self.seconds / 3600:.1f} hours",
        ]


def rehearse(config: Config) -> Rehearsal:
    """Prepare the data, build the model and try a few steps; nothing is kept but the cache of prepared data.

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
        trainer = Trainer(model, task, config.train, checkpoints=checkpoints, seed=config.seed, device=device)
        batches = [batch for batch, _ in islice(task.batches(Position()), TRIED)]
        largest = max(batches, key=lambda batch: batch.target.ids.numel() + batch.source.ids.numel())
        step = [largest] * config.train.accumulate
        seconds, tokens = [], 0
        for _ in range(STEPS):
            started = time.monotonic()
            _, _, tokens = trainer.update(step)
            seconds.append(time.monotonic() - started)
    weights = sum(parameter.numel() for parameter in model.parameters())
    source, target = task.symbols()
    return Rehearsal(
        weights, source, target, statistics.median(seconds[1:]), tokens, _peak_memory(device), config.train.steps
    )


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
