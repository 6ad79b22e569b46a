"""How much memory a training takes as it meets ever more shapes of batches: resident size at some steps, and the speed.

    python benchmarks/train_memory.py [--steps 20,100,200,300] [--threads 1] RECIPE [KEY=VALUE ...]

Real steps on batches of the recipe, in their own order (draw, forward, backward, clip, the optimizer); no validation, no
checkpoint.  Prints one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.data.batches import Position
from seqloom.hardware import find_device, suit_training
from seqloom.train import Trainer


def resident() -> int:
    """The mebibytes of this process that are in memory, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("changes", nargs="*", help="KEY=VALUE")
    parser.add_argument("--steps", default="20,100,200,300", help="when to look")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    suit_training()
    config = read_config(arguments.recipe, arguments.changes)
    with tempfile.TemporaryDirectory() as scratch:
        task = config.make_task()
        task.prepare(Path(scratch))
        torch.manual_seed(config.seed)
        model = task.build(config.model)
        options = {"checkpoints": Checkpoints(Path(scratch)), "seed": config.seed, "device": find_device("cpu")}
        trainer = Trainer(model, task, config.train, **options)
        batches, shapes, before = task.batches(Position()), set(), resident()
        started, tokens, looked = time.perf_counter(), 0, 0
        for step in range(1, max(map(int, arguments.steps.split(","))) + 1):
            batch, _ = next(batches)
            shapes.add((*batch.source.ids.shape, batch.target.ids.size(1)))
            tokens += trainer.update([batch]).tokens
            if str(step) in arguments.steps.split(","):
                seconds = time.perf_counter() - started
                said = {"step": step, "shapes": len(shapes), "resident_mib": resident(), "before_mib": before}
                print(json.dumps(said | {"target_tokens_per_second": round((tokens - looked) / seconds)}), flush=True)
                started, looked = time.perf_counter(), tokens


if __name__ == "__main__":
    main()
