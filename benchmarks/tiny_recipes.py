"""What every tiny recipe learns of turning sentences round, and in how much time of one processor core.

    python benchmarks/tiny_recipes.py [--output runs/tiny] [NAME ...]

Makes the data (20 symbols, 5 to 12 a sentence; 30,000 sentences to learn from, 1,000 others to test on), trains the
recipes/tiny/NAME.yml, or all, one after the other on one thread, decodes the test sentences greedily, and prints a
table.  OUTPUT/results.json keeps what was measured: a second call measures what is new or was changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from toy_reverse import measure

from seqloom.runs import load

RECIPES = Path(__file__).parent.parent / "recipes" / "tiny"
DATA = {"reverse": (30_000, 1), "reverse-test": (1000, 3)}  # how many sentences, and the seed
EXACT, ANTI_DIAGONAL, SECONDS = 99, 95, 180  # what is asked of each
HEAD = "| recipe | parameters | exact match | anti-diagonal | CPU seconds |\n|---|---|---|---|---|"


def make_data(folder: Path) -> None:
    for name, (count, seed) in DATA.items():
        if not (folder / name / "targets.txt").exists():
            size = f"--vocab-size 20 --min-len 5 --max-len 12 --num-examples {count} --seed {seed}"
            seqloom("toy-data", "--type", "reverse", *size.split(), "-o", folder / name)


def seqloom(*arguments: object) -> float:
    """Run the command; how many seconds it computed."""
    before = processor_seconds()
    subprocess.run([sys.executable, "-m", "seqloom", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return processor_seconds() - before


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def learn(recipe: Path, output: Path) -> dict[str, Any]:
    """Train from the beginning, so that all of its time counts, and test."""
    run = output / recipe.stem
    shutil.rmtree(run, ignore_errors=True)
    seconds = seqloom("train", recipe, "-o", run, "train.threads=1")
    exact, anti_diagonal = measure(run, output / "reverse-test")
    parameters = sum(weight.numel() for weight in load(run, device="cpu").model.parameters())
    return {"parameters": parameters, "exact": exact, "anti_diagonal": anti_diagonal, "seconds": seconds}


def line(name: str, found: dict[str, Any]) -> str:
    """A row of the table, where what falls short is marked."""
    share = found["anti_diagonal"]
    looked = "no attention" if math.isnan(share) else marked(f"{share:.1f} %", bad=share < ANTI_DIAGONAL)
    exact = marked(f"{found['exact']:.1f} %", bad=found["exact"] < EXACT)
    seconds = marked(f"{found['seconds']:.0f}", bad=found["seconds"] > SECONDS)
    return f"| {name} | {found['parameters']:,} | {exact} | {looked} | {seconds} |"


def marked(text: str, *, bad: bool) -> str:
    return f"{text} (short of the aim)" if bad else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/tiny"))
    parser.add_argument("names", nargs="*", metavar="NAME")
    chosen = parser.parse_args()
    output = chosen.output.resolve()
    os.environ |= {"OMP_NUM_THREADS": "1", "SEQLOOM_TOY": str(output)}
    torch.set_num_threads(1)
    make_data(output)
    file = output / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    print(HEAD)
    for recipe in sorted(RECIPES.glob("*.yml")):
        if chosen.names and recipe.stem not in chosen.names:
            continue
        version = hashlib.sha256(recipe.read_bytes()).hexdigest()
        if results.get(recipe.stem, {}).get("recipe") != version:
            results[recipe.stem] = learn(recipe, output) | {"recipe": version}
            file.write_text(json.dumps(results, indent=1))
        print(line(recipe.stem, results[recipe.stem]), flush=True)


if __name__ == "__main__":
    main()
