"""What attention is good for: sentences twice as long as any that was learnt from.

    python benchmarks/length_study.py [--output runs/length-study] [--picture docs/length-study.svg]

Networks learn to copy sentences of up to 15 out of 100 symbols and are asked for up to 30: a GRU that must keep the
whole sentence in one vector (https://arxiv.org/abs/1406.1078), the same with additive attention
(https://arxiv.org/abs/1409.0473), and with attention that also sees where it looked last
(https://arxiv.org/abs/1506.07503).  Each trains on one thread with the same data and as many steps.  Prints a table of
how many target tokens stand where they should, and draws it (needs matplotlib).  A second call goes on where the first
was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from tiny_recipes import seqloom

from seqloom.cli.toy_data import random_lines
from seqloom.runs import load

LEARNT, ASKED, SYMBOLS, SENTENCES = 15, 30, 100, 100  # lengths, symbols, and test sentences of each length
LOOKS_BACK = "{class: Convolutional, size: 96, filters: 8, kernel: 5}"
ATTENTION = {
    "no attention": "null",
    "additive attention": "{class: AdditiveAttention, size: 96}",
    "location-aware attention": f"{{class: GeneralAttention, compatibility: {LOOKS_BACK}}}",
}
CONFIGURATION = """
data:
  train: {{source: {data}/sources.txt, target: {data}/targets.txt}}
  valid_lines: 200
tokenizer: {{class: Words, joint: true}}
model:
  class: EncoderDecoder
  embedding: {{size: 64}}
  encoder: {{class: RNNEncoder, size: 96}}
  decoder: {{class: RNNDecoder, size: 128, attention: {attention}}}
train:
  steps: {steps}
  batch_sentences: 64
  optimizer: {{class: Adam, betas: [0.9, 0.98]}}
  schedule: {{class: Cosine, peak: 4.0e-3, warmup: 100}}
  validate_every: {steps}
  keep_best: exact
  precision: float32
  threads: 1
search: {{beam_size: 1, length_penalty: 0}}
"""


def learn(name: str, output: Path, steps: int) -> Path:
    """Train, or go on training, in a folder of OUTPUT."""
    run, file = output / name.replace(" ", "-"), output / f"{name.replace(' ', '-')}.yml"
    file.write_text(CONFIGURATION.format(data=output / "data", attention=ATTENTION[name], steps=steps))
    seqloom("train", file, "-o", run)
    return run


def accuracies(run: Path) -> list[float]:
    """The share of tokens that stand where they should, for each length from 1 on."""
    translator = load(run, device="cpu")
    found = []
    for length in range(1, ASKED + 1):
        lines = list(random_lines(SYMBOLS, SENTENCES, (length, length), seed=1000 + length))
        made = translator.translate([" ".join(line) for line in lines])
        found.append(float(np.mean([right(one.text.split(), line) for one, line in zip(made, lines, strict=True)])))
    return found


def right(written: list[str], wanted: list[str]) -> float:
    """The share of places, of the longer of the two, where both say the same."""
    same = sum(a == b for a, b in zip(written, wanted, strict=False))
    return same / max(len(written), len(wanted))


def table(results: dict[str, list[float]]) -> Iterable[str]:
    lengths = (5, 10, 15, 18, 20, 22, 25, 28, 30)
    yield "| | " + " | ".join(map(str, lengths)) + " |"
    yield "|---" * (len(lengths) + 1) + "|"
    for name, shares in results.items():
        yield f"| {name} | " + " | ".join(f"{100 * shares[length - 1]:.1f}" for length in lengths) + " |"


def draw(results: dict[str, list[float]], picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "seqloom"  # the same picture is the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    axes.axvspan(1, LEARNT, color="0.93")
    axes.text(1.3, 4, f"lengths learnt from: 1 to {LEARNT}", color="0.35")
    for (name, shares), style in zip(results.items(), ("-.", "--", "-"), strict=False):
        axes.plot(range(1, ASKED + 1), 100 * np.array(shares), style, label=name)
    axes.set(xlabel="symbols of the sentence", ylabel="tokens in their place, %", ylim=(0, 103), xlim=(1, ASKED))
    figure.legend(loc="outside upper center", ncols=len(results), frameon=False)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/length-study"))
    parser.add_argument("--picture", type=Path, default=Path("docs/length-study.svg"))
    parser.add_argument("--steps", type=int, default=1200)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    output, file = chosen.output.resolve(), chosen.output / "results.json"
    if not (output / "data" / "targets.txt").exists():
        size = f"--vocab-size {SYMBOLS} --min-len 1 --max-len {LEARNT} --num-examples 20000"
        seqloom("toy-data", "--type", "copy", *size.split(), "-o", output / "data")
    results: dict[str, list[float]] = json.loads(file.read_text()) if file.exists() else {}
    for name in ATTENTION:
        if name not in results:
            results[name] = accuracies(learn(name, output, chosen.steps))
            file.write_text(json.dumps(results, indent=1))
    print("\n".join(table(results)))
    draw(results, chosen.picture)


if __name__ == "__main__":
    main()
