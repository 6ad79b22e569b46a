"""Nine kinds of model on Multi30k English to German, each with the same ten minutes of one processor core.

    python benchmarks/multi30k.py [--output runs/multi30k] [--minutes 10] [NAME ...]

Trains recipes/multi30k/NAME.yml, or all, one after the other on one thread; then test_2016_flickr is translated.  Time
is that of the processor in training steps, since others may use the machine, too; how many steps it will do for is
estimated again and again on the way, so that the learning rate has come down when the time is over.  A second call
goes on where the first was stopped, and measures again what was changed.  OUTPUT/NAME.json keeps what was found; the
table is printed at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from seqloom.config.root import read_config
from seqloom.metrics import Bleu
from seqloom.runs import load, train
from seqloom.structures import Batch
from seqloom.train import Trainer

RECIPES = Path(__file__).parent.parent / "recipes" / "multi30k"
DATA = Path(os.environ.get("SEQLOOM_DATA", Path(__file__).parents[2] / "shared" / "data")) / "mt" / "multi30k"
ESTIMATED = 10  # every so many steps
Update = Callable[[list[Batch]], tuple[float, float, int]]
NAMES = {
    "rnn": "GRU without attention",
    "bahdanau": "GRU, additive attention (Bahdanau)",
    "luong": "LSTM, input feeding (Luong)",
    "convs2s": "ConvS2S",
    "rnmt-plus": "RNMT+ (small)",
    "transformer": "Transformer",
    "moe-transformer": "Transformer, mixture of experts",
    "ssru": "Transformer, SSRU decoder",
    "hybrid": "Transformer encoder, RNMT+ decoder",
}


@dataclass
class Record:
    """What is known of one system; kept in a file, so that nothing is done twice."""

    recipe: str = ""  # its hash
    minutes: float = 0.0  # allowed
    steps: int = 0  # so far
    seconds: float = 0.0  # of training steps so far
    tokens: int = 0  # real target tokens of these
    parameters: int = 0
    test: dict[str, Any] | None = None

    @staticmethod
    def read(path: Path) -> Record:
        return Record(**json.loads(path.read_text())) if path.exists() else Record()

    def write(self, path: Path) -> None:
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(asdict(self), indent=1))
        scratch.replace(path)


class Clock:
    """Listens to a training: the processor's seconds and the tokens of its steps are kept with each checkpoint."""

    def __init__(self, record: Record, path: Path):
        self.record, self.path = record, path

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "started":
            trainer.update = self.timed(trainer.update)  # type: ignore[method-assign,assignment]
        if metrics.get("event") == "stepping" and self.record.steps and self.record.steps % ESTIMATED == 0:
            steps = round(60 * self.record.minutes * self.record.steps / self.record.seconds)
            trainer.options = replace(trainer.options, steps=max(steps, trainer.progress.step + 1))
        if metrics.get("event") == "saved":
            self.record.write(self.path)

    def timed(self, update: Update) -> Update:
        def timed(batches: list[Batch]) -> tuple[float, float, int]:
            started = time.process_time()
            result = update(batches)
            self.record.seconds += time.process_time() - started
            self.record.tokens += result[2]
            self.record.steps += 1
            return result

        return timed


def learn(name: str, output: Path, minutes: float) -> None:
    """Train and test one system, from wherever it stands."""
    file, run, recipe = output / f"{name}.json", output / name, RECIPES / f"{name}.yml"
    version, record = hashlib.sha256(recipe.read_bytes()).hexdigest(), Record.read(file)
    if (record.recipe, record.minutes) != (version, minutes):
        shutil.rmtree(run, ignore_errors=True)
        record = Record(version, minutes)
    if not record.test:
        config = read_config(recipe, ["train.threads=1", f"data.cache={output / 'cache'}", "train.device=cpu"])
        train(config, run, hooks=[Clock(record, file)])
        record.test = tested(run, record)
        record.write(file)


def tested(run: Path, record: Record) -> dict[str, Any]:
    """BLEU of the test set with its interval, and how fast it was decoded."""
    translator = load(run, checkpoint="last", device="cpu")
    record.parameters = sum(weight.numel() for weight in translator.model.parameters())
    sources = (DATA / "test_2016_flickr.en").read_text("utf8").splitlines()
    references = (DATA / "test_2016_flickr.de").read_text("utf8").splitlines()
    translator.translate(sources[:8])  # what is done once
    started = time.process_time()
    found = translator.translate(sources)
    seconds = time.process_time() - started
    score = Bleu().score([translation.text for translation in found], references, bootstrap=1000)
    tokens = sum(len(translation.alternatives[0].tokens) + 1 for translation in found)
    return score.as_dict() | {"seconds": seconds, "tokens": tokens}


def line(name: str, record: Record) -> str:
    assert record.test is not None
    test, minutes = record.test, record.seconds / 60
    bleu = f"{test['value']:.2f} [{test['low']:.1f}, {test['high']:.1f}]"
    speeds = f"{record.tokens / record.seconds:,.0f} | {test['tokens'] / test['seconds']:,.0f}"
    return f"| {NAMES.get(name, name)} | {record.parameters:,} | {bleu} | {record.steps:,} | {minutes:.1f} | {speeds} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/multi30k"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("names", nargs="*", metavar="NAME")
    chosen = parser.parse_args()
    output = chosen.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if chosen.one:
        torch.set_num_threads(1)
        return learn(chosen.one, output, chosen.minutes)
    names = [name for name in NAMES if not chosen.names or name in chosen.names]
    for name in names:
        again = [sys.executable, __file__, "--output", str(output), "--minutes", str(chosen.minutes), "--one", name]
        subprocess.run(again, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    records = {name: Record.read(output / f"{name}.json") for name in names}
    print("\n| system | parameters | BLEU | steps | CPU minutes | training tokens/s | decoding tokens/s |")
    print("|---|---|---|---|---|---|---|")
    for name, record in records.items():
        print(line(name, record))
    print(f"\n{next(iter(records.values())).test['signature']}")  # type: ignore[index]


if __name__ == "__main__":
    main()
