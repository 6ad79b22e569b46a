"""How much memory a training takes as it meets ever more shapes of batches: resident size at some steps, and the speed.

    python benchmarks/train_memory.py [--steps 20,100,200,300] [--threads 1] RECIPE [KEY=VALUE ...]

It is the training itself, on the recipe's batches in their order, without validations and checkpoints.  Prints one JSON
object a line.  Linux counts what is resident.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.hardware import find_device, suit_training
from seqloom.structures import Batch, Loss
from seqloom.tasks.base import Task
from seqloom.train import Trainer


class Enough(Exception):
    """The last step that was to be looked at is done."""


class Look:
    """A hook that prints where memory and speed stand."""

    def __init__(self, steps: list[int], task: Task):
        self.steps, self.shapes, self.tokens = steps, set[tuple[int, ...]](), 0
        self.loss, self.since = task.loss, time.perf_counter()
        task.loss = self.seen  # type: ignore[method-assign]

    def seen(self, model: torch.nn.Module, batch: Batch) -> Loss:
        self.shapes.add((*batch.source.ids.shape, batch.target.ids.size(1)))
        self.tokens += sum(batch.wanted)
        return self.loss(model, batch)

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") != "stepped" or metrics["step"] not in self.steps:
            return
        speed = round(self.tokens / (time.perf_counter() - self.since))
        said = {"step": metrics["step"], "shapes": len(self.shapes), "resident_mib": resident()}
        print(json.dumps(said | {"target_tokens_per_second": speed}), flush=True)
        self.tokens, self.since = 0, time.perf_counter()
        if metrics["step"] == max(self.steps):
            raise Enough


def resident() -> int:
    """The mebibytes of this process that are in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("changes", nargs="*", help="KEY=VALUE")
    parser.add_argument("--steps", default="20,100,200,300", help="when to look")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    steps = [int(step) for step in arguments.steps.split(",")]
    torch.set_num_threads(arguments.threads)
    suit_training()
    never = [f"train.{name}={max(steps) + 1}" for name in ("steps", "validate_every", "checkpoint_every")]
    config = read_config(arguments.recipe, [*never, "train.minutes=null", *arguments.changes])
    with tempfile.TemporaryDirectory() as scratch:
        task, checkpoints = config.make_task(), Checkpoints(Path(scratch))
        task.prepare(Path(scratch))
        torch.manual_seed(config.seed)
        model, look = task.build(config.model), Look(steps, task)
        device = find_device("cpu")
        trainer = Trainer(
            model, task, config.train, checkpoints=checkpoints, seed=config.seed, device=device, hooks=[look]
        )
        try:
            trainer.fit()
        except Enough:
            pass


if __name__ == "__main__":
    main()
