"""How much faster a distilled student is than its teacher, and what it costs: the whole chain, then one table.

    seqloom train recipes/multi30k-transformer.yml
    OMP_NUM_THREADS=1 python benchmarks/student.py [--teacher runs/multi30k-transformer] [--rounds 5]

The teacher translates what it was trained on, and the student is trained on that (recipes/multi30k-student.yml); both
get a shortlist and an int8 export.  Then all of them translate test_2016_flickr in turns, in an order that moves by
one, each with every beam size.  Time is the processor's, since others may use the machine, too; a speed is the median
over the rounds, and a ratio the median of what was measured in the same round.  BLEU is compared with that of the
native teacher at beam 5, with a 95 % interval from paired resamples.  A second call does what is missing of the chain,
and measures anew.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from seqloom import load
from seqloom.comparison import bleu_difference
from seqloom.config.root import read_config
from seqloom.exporting.ctranslate2 import place_of
from seqloom.loading import exports_of
from seqloom.metrics import Bleu
from seqloom.search import SearchOptions
from seqloom.shortlists import NAME as SHORTLIST
from seqloom.translate import Translator

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SEQLOOM_DATA") or ROOT.parent / "shared" / "data") / "mt" / "multi30k"
RECIPE = ROOT / "recipes" / "multi30k-student.yml"
BEAMS = (5, 1)
BASE = "teacher, int8"


@dataclass
class System:
    """A model on an engine, and what was found of it with one beam size."""

    name: str
    translator: Translator
    options: SearchOptions
    seconds: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def beam(self) -> int:
        return self.options.beam_size

    def translate(self, lines: list[str]) -> None:
        started = time.process_time()
        self.texts = [found.text for found in self.translator.stream(lines, self.options)]
        self.seconds.append(time.process_time() - started)


def seqloom(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "seqloom", *map(str, words)], check=True)


def prepare(teacher: Path, student: Path) -> None:
    """Do what is still to be done before there is something to measure."""
    if not trained(student):
        seqloom("distill", teacher, RECIPE, "-o", student)
    for run in (teacher, student):
        if not (run / SHORTLIST).exists():
            seqloom("shortlist", run)
        if place_of(run, "int8") not in exports_of(run) or not (place_of(run, "int8") / "vmap.txt").exists():
            seqloom("export", run, "--to", "ctranslate2", "--precision", "int8")


def trained(run: Path) -> bool:
    """Whether a run has its last step."""
    if not (run / "config.yml").exists():
        return False
    steps = read_config(run / "config.yml").train.steps
    return (run / "checkpoints" / f"step-{steps:08d}").exists()


def systems(teacher: Path, student: Path) -> Iterator[System]:
    """Every system with every beam size; the first is the teacher as it was trained."""
    native = load(teacher, engine="native", device="cpu")
    yield from with_beams("teacher, native float32", native)
    for name, run in (("teacher", teacher), ("student", student)):
        fast = load(place_of(run, "int8"), device="cpu")
        yield from with_beams(f"{name}, int8", fast)
        yield from with_beams(f"{name}, int8, shortlist", fast, shortlist=True)
    slim = load(student, engine="native", device="cpu")
    yield from with_beams("student, native float32", slim)
    yield from with_beams("student, native float32, shortlist", slim, shortlist=True)


def with_beams(name: str, translator: Translator, *, shortlist: bool = False) -> Iterator[System]:
    for beam in BEAMS:
        yield System(name, translator, replace(translator.options, beam_size=beam, shortlist=shortlist))


def measure(every: list[System], lines: list[str], rounds: int) -> None:
    for system in every:
        list(system.translator.stream(lines[:64], system.options))  # what is done once
    for number in range(rounds):
        for place in range(len(every)):
            every[(place + number) % len(every)].translate(lines)


def row(system: System, every: list[System], references: list[str]) -> dict[str, object]:
    """What is known of a system, beside int8's teacher with the same beam and with the widest."""
    base = {one.beam: one.seconds for one in every if one.name == BASE}
    difference, low, high = bleu_difference(every[0].texts, system.texts, references)
    return {
        "system": system.name,
        "beam": system.beam,
        "bleu": Bleu().score(system.texts, references).value,
        "difference": difference,
        "low": low,
        "high": high,
        "lines_a_second": len(references) / statistics.median(system.seconds),
        "same_beam": ratio(base[system.beam], system.seconds),
        "widest_beam": ratio(base[max(BEAMS)], system.seconds),
    }


def ratio(base: list[float], own: list[float]) -> float:
    """How many times as fast, round by round."""
    return statistics.median(one / other for one, other in zip(base, own, strict=True))


def table(rows: list[dict[str, object]]) -> Iterator[str]:
    yield "| | beam | BLEU | beside the teacher | lines/s | x teacher int8, same beam | x teacher int8, beam 5 |"
    yield "|---|---|---|---|---|---|---|"
    for one in rows:
        change = f"{one['difference']:+.2f} [{one['low']:+.2f}, {one['high']:+.2f}]"
        speeds = f"{one['lines_a_second']:,.0f} | {one['same_beam']:.2f} | {one['widest_beam']:.2f}"
        yield f"| {one['system']} | {one['beam']} | {one['bleu']:.2f} | {change} | {speeds} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--teacher", type=Path, default=Path("runs/multi30k-transformer"))
    parser.add_argument("--student", type=Path, default=Path("runs/multi30k-student"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("runs/student.json"))
    chosen = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    prepare(chosen.teacher, chosen.student)
    sources, references = (
        (DATA / f"test_2016_flickr.{language}").read_text("utf8").splitlines()[: chosen.lines]
        for language in ("en", "de")
    )
    every = list(systems(chosen.teacher, chosen.student))
    measure(every, sources, chosen.rounds)
    rows = [row(system, every, references) for system in every]
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
