"""How fast Seqloom trains: unpadded target tokens a second, beside the machine's own peak in matrix products.

    python benchmarks/train_speed.py [--steps 60] [--threads 2] [RECIPE] [KEY=VALUE ...]

The recipe is recipes/multi30k-transformer.yml with 2,048-token batches and label smoothing: 3 + 3 Transformer layers,
width 256, feed-forward 1024, 4 heads, 8k joint BPE.  Every step is a real one (draw a batch, forward, backward, clip,
Adam); validation and checkpoints are left out.  Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.data.batches import Position
from seqloom.hardware import find_device, multiplies_bfloat16_fast, suit_training
from seqloom.train import Trainer

RECIPE = Path(__file__).parent.parent / "recipes" / "multi30k-transformer.yml"
WARM_UP = 10  # steps
BLOCK = 10  # steps timed together


def matrix_peak(dtype: torch.dtype, device: torch.device, size: int = 2048) -> float:
    """The best of several products of square matrices, in GFLOP/s."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", nargs="?", type=Path, default=RECIPE)
    parser.add_argument("changes", nargs="*", help="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    suit_training()
    config = read_config(arguments.recipe, ["train.batch_tokens=2048", *arguments.changes])
    device = find_device(config.train.device)
    peaks = {name: matrix_peak(getattr(torch, name), device) for name in ("float32", "bfloat16")}
    with tempfile.TemporaryDirectory() as scratch:
        task = config.make_task()
        task.prepare(Path(scratch))
        torch.manual_seed(config.seed)
        model, checkpoints = task.build(config.model), Checkpoints(Path(scratch))
        trainer = Trainer(model, task, config.train, checkpoints=checkpoints, seed=config.seed, device=device)
        batches = task.batches(Position())
        speeds, padded, real = [], 0, 0
        for block in range((WARM_UP + arguments.steps) // BLOCK):
            started, tokens = time.perf_counter(), 0
            for _ in range(BLOCK):
                batch, _ = next(batches)
                tokens += trainer.update([batch])[2]
                padded += batch.target.ids[:, 1:].numel()
            real += tokens
            if block >= WARM_UP // BLOCK:
                speeds.append(tokens / (time.perf_counter() - started))
    weights = sum(parameter.numel() for parameter in model.parameters())
    bfloat16 = config.train.precision == "bfloat16" or (
        config.train.precision == "auto" and multiplies_bfloat16_fast(device)
    )
    print(
        json.dumps(
            {
                "target_tokens_per_second": round(statistics.median(speeds)),
                "slowest": round(min(speeds)),
                "fastest": round(max(speeds)),
                "padding_percent": round(100 * (1 - real / padded), 2),
                "parameters": weights,
                "precision": "bfloat16" if bfloat16 else "float32",
                "matrix_peak_gflops": {name: round(peak) for name, peak in peaks.items()},
                "threads": torch.get_num_threads(),
                "device": str(device),
                "machine": platform.processor() or platform.machine(),
                "torch": torch.__version__,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
