"""What google/seq2seq's files learn of its toy data: sentences to copy and sentences to turn round.

    python benchmarks/google_seq2seq_toy.py [--output toy-runs] [--examples 10000] [--minutes 10] [FLAG ...]

Makes the data as their toy.sh does: 20 symbols, 5 to 20 a sentence; 1,000 pairs to validate on, 1,000 to test on.
Trains nmt_small.yml (attention) and basic.yml (none) on each task through the command line, on one thread, and decodes
the test sentences freely.  `FLAG ...` goes to `seqloom train`: --model_params 'optimizer.learning_rate: 0.002'.
Prints a table; a second call goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).parent.parent / "recipes" / "google-seq2seq"
TASKS, FILES = ("reverse", "copy"), ("nmt_small", "basic")
SETS = {"train": 1, "dev": 2, "test": 3}  # with the seed of each


def seqloom(*arguments: object) -> str:
    """What the command prints to standard output."""
    command = [sys.executable, "-m", "seqloom", *map(str, arguments)]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def make_data(output: Path, task: str, examples: int) -> None:
    for name, seed in SETS.items():
        number = examples if name == "train" else 1000
        size = ["--vocab-size", 20, "--min-len", 5, "--max-len", 20]
        seqloom("toy-data", "--type", task, *size, "--num-examples", number, "--seed", seed, "-o", output / name)


def learn(file: str, task: str, chosen: argparse.Namespace, flags: list[str]) -> tuple[float, float]:
    """Train in OUTPUT/TASK-FILE; BLEU and exact match of the test sentences, in percent."""
    data, run = chosen.output / task, chosen.output / f"{task}-{file}"
    pairs = [
        (f"--{part}-{side}", data / part / f"{side}s.txt") for part in ("train", "dev") for side in ("source", "target")
    ]
    sources = [word for pair in pairs for word in pair]
    size = ["--batch_size", chosen.batch_size, "--eval_every_n_steps", 2500]
    limit = [f"train.minutes={chosen.minutes}", "train.threads=1"]
    seqloom("train", "--config_paths", RECIPES / f"{file}.yml", "-o", run, *sources, *size, *flags, *limit)
    test = ["--source", data / "test" / "sources.txt", "--reference", data / "test" / "targets.txt"]
    found = json.loads(seqloom("evaluate", run, *test, "--tokenize", "none", "--bootstrap", 0, "--json"))
    return found["bleu"]["value"], found["exact"]["value"]


def processor_minutes() -> float:
    """How long the commands so far have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("toy-runs"))
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--only", help="FILE or TASK-FILE, such as basic or copy-nmt_small")
    chosen, flags = parser.parse_known_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    print("| file | task | BLEU | exact match | CPU minutes |\n|---|---|---|---|---|")
    for file in FILES:
        for task in TASKS:
            if chosen.only in (None, file, f"{task}-{file}"):
                make_data(chosen.output / task, task, chosen.examples)
                before = processor_minutes()
                bleu, exact = learn(file, task, chosen, flags)
                print(
                    f"| {file} | {task} | {bleu:.2f} | {exact:.1f} % | {processor_minutes() - before:.1f} |", flush=True
                )


if __name__ == "__main__":
    main()
