"""What a large corpus costs: preparing it, starting on it when it is prepared, and memory while training on it.

    python benchmarks/large_corpus.py [--pairs 1000000] [--small 30000] [--steps 30] [--tokenizer Words] [--folder DIR]

Two corpora of made-up words are written from a seed, the large one in ten shards.  Each is prepared, and then trained
on by a process of its own: the start is timed from the configuration to the first step, when everything is imported,
and memory is looked at after the last step.  The bars are 3 seconds, and 50 MB between the two.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SHARDS, WORDS = 10, 3000
CONFIGURATION = """\
data:
  train: {{source: train.*.source, target: train.*.target}}
  valid: {{source: valid.source, target: valid.target}}
tokenizer: {{class: {tokenizer}, size: 2000, joint: true}}
model:
  class: EncoderDecoder
  embedding: {{size: 64, tie: all}}
  encoder: {{class: TransformerEncoder, layers: 2, heads: 2, feedforward: 128}}
  decoder: {{class: TransformerDecoder, layers: 2, heads: 2, feedforward: 128}}
train: {{batch_tokens: 1024, steps: {steps}, validate_every: 1000000, device: cpu}}
"""


def write_corpus(folder: Path, pairs: int, *, tokenizer: str, steps: int) -> None:
    """Sentences of words that are the rarer the later they come; the target is the source from behind."""
    random = np.random.default_rng(1)
    letters = random.integers(97, 123, (WORDS, 9)).astype(np.uint8)
    words = np.array([letters[i, : 2 + i % 8].tobytes().decode() for i in range(WORDS)], object)
    folder.mkdir(parents=True)
    for name, count in [*((f"train.{shard}", pairs // SHARDS) for shard in range(SHARDS)), ("valid", 100)]:
        with open(folder / f"{name}.source", "w") as source, open(folder / f"{name}.target", "w") as target:
            for _ in range(0, count, 10_000):
                rows = min(10_000, count)
                ends = np.cumsum(random.integers(4, 24, rows))
                drawn = words[np.minimum(random.zipf(1.3, ends[-1]) - 1, WORDS - 1)]
                for sentence in np.split(drawn, ends[:-1]):
                    source.write(" ".join(sentence) + "\n")
                    target.write(" ".join(sentence[::-1]) + "\n")
    (folder / "experiment.yml").write_text(CONFIGURATION.format(tokenizer=tokenizer, steps=steps))


def prepare(folder: Path) -> dict[str, Any]:
    """Make everything ready, in the cache, and time it."""
    from seqloom.config.root import read_config

    task = read_config(folder / "experiment.yml").make_task()
    started, used = time.monotonic(), sum(os.times()[:4])
    with tempfile.TemporaryDirectory() as scratch:
        task.prepare(Path(scratch))
    return {
        "seconds_to_prepare": round(time.monotonic() - started, 2),
        "processor_seconds_to_prepare": round(sum(os.times()[:4]) - used, 2),  # of this process and its workers
        "peak_memory": peak(),
    }


def train(folder: Path) -> dict[str, Any]:
    """Train a few steps on what is prepared; the time of the start, and memory after the last step."""
    import torch._dynamo  # noqa: F401 - what is imported late is imported now
    from sacrebleu.metrics import BLEU  # noqa: F401

    from seqloom.config.root import read_config
    from seqloom.runs import train as fit

    found: dict[str, Any] = {}

    def hear(trainer: Any, said: Mapping[str, Any]) -> None:
        if said.get("event") == "stepping" and said["step"] == 1:
            found["seconds_to_start"] = round(time.monotonic() - started, 2)
            found["processor_seconds_to_start"] = round(time.process_time() - used, 2)
        if said.get("event") == "stepped" and said["step"] == trainer.options.steps:
            found["memory"] = memory()

    with tempfile.TemporaryDirectory() as scratch:
        started, used = time.monotonic(), time.process_time()
        fit(read_config(folder / "experiment.yml"), Path(scratch) / "run", hooks=[hear])
    return found


def memory() -> dict[str, float]:
    """The resident memory of this process in MB: all, what is its own, and pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    of = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(("VmRSS", "Rss"))}
    return {"all": round(of["VmRSS"], 1), "own": round(of["RssAnon"], 1), "files": round(of["RssFile"], 1)}


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(round(int(line.split()[1]) * 1024 / 1e6, 1) for line in lines if line.startswith("VmHWM"))


def measured(what: str, folder: Path) -> dict[str, Any]:
    """What this program finds out in a process of its own."""
    environment = {**os.environ, "SEQLOOM_CACHE": str(folder / "cache")}
    done = subprocess.run([sys.executable, __file__, what, str(folder)], stdout=subprocess.PIPE, env=environment)
    if done.returncode:
        sys.exit(done.returncode)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both corpora, side by side."""
    found = {}
    for pairs in (options.small, options.pairs):
        place = folder / str(pairs)
        if not place.exists():
            write_corpus(place, pairs, tokenizer=options.tokenizer, steps=options.steps)
        found[pairs] = {**measured("prepare", place), **measured("train", place)}
    small, large = (found[pairs]["memory"]["all"] for pairs in (options.small, options.pairs))
    return {"pairs": found, "more_memory": round(large - small, 1), "steps": options.steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=30_000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--tokenizer", default="Words")
    parser.add_argument("--folder", type=Path, help="keep the corpora here, for another time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(compare(options, options.folder or Path(scratch)), indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] in (["prepare"], ["train"]):
        print(json.dumps({"prepare": prepare, "train": train}[sys.argv[1]](Path(sys.argv[2]))))
    else:
        main()
