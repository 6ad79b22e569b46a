"""Toy data to turn round, and how well a run does that: exact matches, and whether attention goes from end to start.

    python benchmarks/toy_reverse.py RUN DATA/test

prints what `measure` finds for RUN, a run directory, and a folder that `seqloom toy-data` wrote.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqloom.data.text import read_lines
from seqloom.runs import load
from seqloom.search import SearchOptions
from seqloom.translate import Translation

SETS = {"train": (20_000, 1), "valid": (200, 2), "test": (500, 3)}  # how many lines, and the seed
Task = Literal["reverse", "copy"]


class Measured(NamedTuple):
    """What a run does with toy data, in percent."""

    exact: float  # of sentences
    anti_diagonal: float  # of target tokens: in a run that copies, diagonal


def make_data(
    folder: Path, task: Task = "reverse", *, symbols: int = 20, lengths: tuple[int, int] = (4, 12), train: int = 20_000
) -> Path:
    """FOLDER/train, valid and test, each with sources.txt and targets.txt; what is there already stays."""
    for name, (count, seed) in SETS.items():
        if not (folder / name / "targets.txt").exists():
            options: dict[str, object] = {"type": task, "vocab-size": symbols, "seed": seed}
            options |= {"min-len": lengths[0], "max-len": lengths[1], "output": folder / name}
            options["num-examples"] = train if name == "train" else count
            flags = [text for key, value in options.items() for text in (f"--{key}", str(value))]
            subprocess.run([sys.executable, "-m", "seqloom", "toy-data", *flags], check=True)
    return folder


def measure(
    run: Path | str, test: Path | Sequence[Path], *, checkpoint: str | int = "best", task: Task = "reverse"
) -> Measured:
    """How a run does on `test`: a file of two columns, a folder of toy data, or two files, sources and targets.

    Sentences are decoded freely and greedily.  To write token t of a source of S tokens, attention should look most at
    token S - 1 - t (`task`: "copy": at t); a token that wasn't written counts as one that looked elsewhere.  A model of
    several layers or heads is judged by the best of them, chosen for the whole test, or by their mean.  Without
    attention the second number is nan.
    """
    sources, references = pairs(test)
    made = greedy(run, sources, checkpoint=checkpoint)
    exact = np.mean([translation.text == reference for translation, reference in zip(made, references, strict=True)])
    return Measured(100 * float(exact), 100 * anti_diagonal(made, task=task))


def greedy(run: Path | str, sources: Sequence[str], *, checkpoint: str | int = "best") -> list[Translation]:
    """What a run makes of these sentences, with what it looked at."""
    options = SearchOptions(beam_size=1, length_penalty=0)
    return load(run, checkpoint=checkpoint, device="cpu").translate(sources, options, attention=True)


def anti_diagonal(translations: Sequence[Translation], *, task: Task = "reverse") -> float:
    """The share of source tokens that were looked at most when it was their turn, from 0 to 1; see `measure`."""
    if _weights(translations[0]) is None:
        return float("nan")
    return float(np.max(_hits(translations, task))) / sum(len(each.source_tokens) for each in translations)


def best_map(translations: Sequence[Translation], *, task: Task = "reverse") -> tuple[int | None, int | None]:
    """Whose share that is: a layer and a head, counted from 0, where None is the mean of all."""
    shape = np.shape(_weights(translations[0]))[:2]
    return _maps(*shape)[int(np.argmax(_hits(translations, task)))]


def _weights(translation: Translation) -> NDArray[Any] | None:
    return translation.alternatives[0].attention  # [L, H, T + 1, S + 1]


def _maps(layers: int, heads: int) -> list[tuple[int | None, int | None]]:
    """All that a model may be judged by: the mean, each layer, each layer's heads."""
    single = [(layer, head) for layer in range(layers) for head in range(heads)]
    return [(None, None), *((layer, None) for layer in range(layers)), *single]


def _hits(translations: Sequence[Translation], task: Task) -> NDArray[Any]:
    """How many tokens looked at theirs, in each map."""
    return sum((_hits_of(each, task) for each in translations), np.zeros(()))


def _hits_of(translation: Translation, task: Task) -> NDArray[Any]:
    weights, length = _weights(translation), len(translation.source_tokens)
    assert weights is not None
    maps = np.concatenate([weights.mean((0, 1))[None], weights.mean(1), weights.reshape(-1, *weights.shape[2:])])
    looked_at = maps[:, : min(length, maps.shape[1] - 1)].argmax(-1)  # the last row is the end sign
    steps = np.arange(looked_at.shape[1])
    return np.asarray((looked_at == (length - 1 - steps if task == "reverse" else steps)).sum(-1))


def pairs(test: Path | Sequence[Path]) -> tuple[list[str], list[str]]:
    """The sources and the references of a test set."""
    if isinstance(test, (str, Path)) and not Path(test).is_dir():
        columns = [(line or "").split("\t")[:2] for line in read_lines(test)]
        return [source for source, _ in columns], [target for _, target in columns]
    files = [Path(test) / f"{side}s.txt" for side in ("source", "target")] if isinstance(test, (str, Path)) else test
    sources, targets = ([line or "" for line in read_lines(path)] for path in files)
    return sources, targets


if __name__ == "__main__":
    found = measure(sys.argv[1], Path(sys.argv[2]))
    print(f"exact match {found.exact:.1f} %, attention anti-diagonal at {found.anti_diagonal:.1f} % of tokens")
