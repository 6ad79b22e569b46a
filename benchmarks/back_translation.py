"""Five ways of back-translation on Multi30k English to German, against the pairs alone, at equal updates.

    python benchmarks/back_translation.py [--output runs/back-translation] [--steps 1500] [--lines 24000] [NAME ...]

5,000 pairs of the training data stay pairs; of the other 24,000 only the German is kept.  Trains the model that
translates German to English and the baseline on the pairs, has the German translated back by each method
(https://arxiv.org/abs/1808.09381), trains a model on each mixture, all for the same number of updates on one thread,
and translates test_2016_flickr with what was best on validation data.  The commands are those of a user, and are
printed.  A second call goes on where the first was stopped.  OUTPUT/results.json keeps what was found; the table is
printed at the end.  NAME is one of the methods, or beam-tagged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.data.text import read_lines
from seqloom.metrics import Bleu

RECIPES = Path(__file__).parent.parent / "recipes" / "back-translation"
DATA = Path(os.environ.get("SEQLOOM_DATA", Path(__file__).parents[2] / "shared" / "data")).resolve() / "mt" / "multi30k"
PAIRS = 5000
METHODS = ("greedy", "beam", "sampling", "topk", "noised-beam")
ROWS = (*METHODS, "beam-tagged")
TAG = "<BT>"
SHARD_LINES = 2000
MAX_RATIO = 2.0  # German compounds are many pieces of a small vocabulary: 1.5 would leave out a tenth of the pairs
RESAMPLES = 1000


class Experiment:
    """What is done in one directory; each part only if it isn't there yet."""

    def __init__(self, output: Path, steps: int):
        self.output, self.steps = output, steps
        self.environment = os.environ | {"BACK_TRANSLATION": str(output), "SEQLOOM_DATA": str(DATA.parents[1])}
        self.environment |= {"OMP_NUM_THREADS": "1", "SEQLOOM_CACHE": str(output / "cache")}

    def split(self, most: int) -> None:
        """The pairs that stay pairs, drawn once and for all, the German of the others, and the test set."""
        if (self.output / "mono.de").exists():
            return
        sides = {side: list(read_lines(DATA / f"train.{side}.xz")) for side in ("en", "de")}
        chosen = set(random.Random(1).sample(range(len(sides["de"])), PAIRS))
        for side, lines in sides.items():
            self.put(f"bitext.{side}", [line for number, line in enumerate(lines) if number in chosen])
            self.put(f"test.{side}", list(read_lines(DATA / f"test_2016_flickr.{side}"))[:most])
        self.put("mono.de", [line for number, line in enumerate(sides["de"]) if number not in chosen][:most])

    def put(self, name: str, lines: list[str | None]) -> None:
        write(self.output / name, "".join(f"{line}\n" for line in lines))

    def lines(self, name: str) -> list[str]:
        return (self.output / name).read_text("utf8").split("\n")[:-1]

    def seqloom(self, *words: str, **variables: str) -> float:
        """Run a command; its seconds of processor time."""
        print("$", *(f"{name}={value}" for name, value in variables.items()), "seqloom", shlex.join(words), flush=True)
        before = processor_seconds()
        environment = self.environment | variables
        subprocess.run([sys.executable, "-m", "seqloom", *words], check=True, env=environment, stdout=sys.stderr)
        return processor_seconds() - before

    def train(self, name: str, recipe: str, *changes: str, **variables: str) -> float:
        """Train a model; the processor's seconds of this call."""
        every = [
            f"train.validate_every={max(1, self.steps // 5)}",
            f"train.checkpoint_every={max(1, self.steps // 15)}",
        ]
        words = [str(RECIPES / f"{recipe}.yml"), f"train.steps={self.steps}", *every, "train.device=cpu", *changes]
        return self.seqloom("train", *words, "-o", str(self.output / "runs" / name), **variables)

    def back_translate(self, method: str) -> None:
        """The German translated back by one method; noise is put on what the beam has found before."""
        place, beam = self.output / method, self.output / "beam"
        if method == "noised-beam" and beam.exists() and not place.exists():
            shutil.copytree(beam / "shards", place / "shards")
            shutil.copy(beam / "job.json", place / "job.json")
        mono = str(self.output / "mono.de")
        words = ["--mono", mono, "-o", str(place), "--method", method, "--shard-lines", str(SHARD_LINES)]
        words += ["--max-ratio", str(MAX_RATIO)]
        self.seqloom("backtranslate", str(self.output / "runs" / "reverse"), *words, "--device", "cpu")

    def learn(self, name: str) -> float:
        """Train what one row of the table is about; the processor's seconds of the training alone."""
        if name in ("reverse", "bitext"):
            return self.train(name, name)
        method = name.removesuffix("-tagged")
        self.back_translate(method)
        tagged = [f"data.train.1.tag={TAG}"] if name != method else []
        return self.train(name, "mixture", *tagged, METHOD=method)

    def forget(self, name: str) -> None:
        """Remove what an earlier call with other settings left."""
        for path in [self.output / name, *(self.output / "runs").glob(f"{name}*")]:
            if path.name.partition(".")[0] == name:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def test(self, name: str, source: str, target: str) -> list[str]:
        """The translations of the test set."""
        name = f"runs/{name}"
        if not (self.output / f"{name}.{target}").exists():
            sides = [
                "--source",
                str(self.output / f"test.{source}"),
                "--reference",
                str(self.output / f"test.{target}"),
            ]
            scratch = self.output / f"{name}.{target}.new"
            run = str(self.output / name)
            self.seqloom("evaluate", run, *sides, "-o", str(scratch), "--bootstrap", "0", "--device", "cpu")
            scratch.replace(self.output / f"{name}.{target}")
        return self.lines(f"{name}.{target}")


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write(path: Path, text: str) -> None:
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(text, "utf8")
    scratch.replace(path)


class Results:
    """What is known, in a file; a model's part is forgotten when its recipe or the number of steps changes."""

    def __init__(self, path: Path):
        self.path = path
        self.known: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def save(self) -> None:
        write(self.path, json.dumps(self.known, indent=1))

    def learn(self, name: str, experiment: Experiment) -> None:
        """Have a model trained, from wherever its training stands."""
        version = version_of(name, experiment.steps)
        if self.known.get(name, {}).get("version") != version:
            experiment.forget(name)
            self.known[name] = {"version": version, "done": False}
            self.save()
        if not self.known[name]["done"]:
            self.known[name] |= {"seconds": experiment.learn(name), "done": True}
            self.save()


def version_of(name: str, steps: int) -> str:
    """What changes when a model must be trained again: its recipe, its length, and those of the way back."""
    recipes = {"reverse": ["reverse"], "bitext": ["bitext"]}.get(name, ["reverse", "mixture"])
    texts = [(RECIPES / f"{recipe}.yml").read_text("utf8") for recipe in recipes]
    return hashlib.sha256(f"{steps} {texts}".encode()).hexdigest()


def interval_of_difference(ours: list[str], theirs: list[str], references: list[str]) -> tuple[float, float]:
    """Where 95 % of the differences in BLEU lie when the same sentences are drawn for both, again and again.

    https://aclanthology.org/W04-3250
    """
    bleu, random = Bleu(), np.random.default_rng(12345)
    counts = [bleu.statistics(side, references) for side in (ours, theirs)]
    differences = []
    for _ in range(RESAMPLES):
        rows = random.integers(len(references), size=len(references))
        one, other = (bleu.value(side[rows].sum(0)) for side in counts)
        differences.append(one - other)
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)


def table(experiment: Experiment, results: Results, names: list[str]) -> Iterator[str]:
    references = experiment.lines("test.de")
    yield "| trained on | synthetic pairs | BLEU | against the pairs alone | steps | CPU minutes |"
    yield "|---|---|---|---|---|---|"
    base, score = experiment.test("bitext", "en", "de"), None
    for name in names:
        hypotheses = experiment.test(name, "en", "de")
        score = Bleu().score(hypotheses, references, bootstrap=RESAMPLES).as_dict()
        minutes = results.known[name]["seconds"] / 60
        report = experiment.output / name.removesuffix("-tagged") / "report.json"
        kept = f"{json.loads(report.read_text())['kept']:,}" if report.exists() else ""
        against = ""
        if name != "bitext":
            low, high = interval_of_difference(hypotheses, base, references)
            known = Bleu().score(base, references, bootstrap=0).value
            against = f"{score['value'] - known:+.2f} [{low:+.1f}, {high:+.1f}]"
        bleu = f"{score['value']:.2f} [{score['low']:.1f}, {score['high']:.1f}]"
        yield f"| {name} | {kept} | {bleu} | {against} | {experiment.steps:,} | {minutes:.1f} |"
    yield f"\n{score['signature'] if score else ''}"
    reverse = experiment.test("reverse", "de", "en")
    known = Bleu().score(reverse, experiment.lines("test.en"), bootstrap=0).value
    yield f"The way back, German to English: {known:.2f} BLEU"
    for name in METHODS:
        report = experiment.output / name / "report.json"
        if report.exists():
            told = json.loads(report.read_text())
            yield f"{name}: {told['kept']:,} of {told['lines']:,} kept, {told['dropped']}, noise {told['noise']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/back-translation"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument(
        "--lines",
        type=int,
        default=24_000,
        help="of German to be translated back, and of the test set; fewer to rehearse",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ROWS))
    chosen = parser.parse_args()
    experiment = Experiment(chosen.output.resolve(), chosen.steps)
    experiment.output.mkdir(parents=True, exist_ok=True)
    results, names = Results(experiment.output / "results.json"), ["bitext", *(chosen.names or ROWS)]
    experiment.split(chosen.lines)
    for name in ["reverse", *names]:
        results.learn(name, experiment)
    print(*table(experiment, results, names), sep="\n")


if __name__ == "__main__":
    main()
