"""Where each attention looks when it turns sentences round: one page of heat maps, side by side.

    python benchmarks/attention_variants.py [--output runs/attention] [NAME ...]

Makes the data, trains one tiny GRU model with each attention below, or those named, one after the other on one thread,
and measures it on test sentences that are decoded freely.  Prints a table and writes OUTPUT/attention.html, which needs
nothing else.  OUTPUT/NAME.json keeps what was found: a second call goes on where the first was stopped, and trains
again what was changed here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

from toy_reverse import Task, anti_diagonal, best_map, greedy, make_data, pairs

from seqloom.inspect.document import document, packaged
from seqloom.inspect.picture import svg
from seqloom.inspect.views import views_of

EXACT, ANTI_DIAGONAL = 99, 95  # percent that are asked of each
LENGTHS = (3, 8)
SENTENCE = "7 3 16 11 0 14 9 5"  # the one that is shown
STEPS = 400

RECIPE = """\
data:
  train: {{source: {data}/train/sources.txt, target: {data}/train/targets.txt}}
  valid: {{source: {data}/valid/sources.txt, target: {data}/valid/targets.txt}}
tokenizer: {{class: Words, joint: true}}
model:
  class: EncoderDecoder
  embedding: {{size: 32}}
  encoder: {{class: RNNEncoder, size: 32}}
  decoder: {{class: RNNDecoder, size: 64, attention: {attention}}}
train:
  steps: {steps}
  batch_sentences: 64
  schedule: {{class: Cosine, peak: 5.0e-3, warmup: 100}}
  precision: float32
  device: cpu
  threads: 1
  validate_every: {steps}
  checkpoint_every: {steps}
"""


def general(compatibility: object = "Additive", distribution: object = "Softmax", **options: object) -> dict[str, Any]:
    """Attention of these parts: each the name of a class, or its name and options."""
    narrow = {"class": "Additive", "size": 32} if compatibility == "Additive" else compatibility
    return {"class": "GeneralAttention", "compatibility": narrow, "distribution": distribution} | options


def part(name: str, **options: object) -> dict[str, Any]:
    return {"class": name} | options


COLD = part("Softmax", temperature=0.1)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "additive": ("v · tanh(W q + U k), softmax", part("AdditiveAttention", size=32)),
    "dot": ("q · k, softmax", part("DotAttention", size=64)),
    "general": ("q · W k, softmax", general("General")),
    "multi-head": ("q · k / √D, softmax, 4 heads", general(part("ScaledDot", size=64), heads=4, size=64)),
    "cosine": ("cosine, softmax at temperature 0.1", general(part("CosineSimilarity", size=64), COLD)),
    "deep": ("additive with two layers, softmax", general(part("Deep", size=32, layers=2))),
    "entmax": ("additive, entmax 1.5", general(distribution="Entmax")),
    "sparsemax": ("additive, sparsemax", general(distribution="Sparsemax")),
    "hard": ("additive, the best position, straight through", general(distribution="Hard")),
    "reinforce": ("additive, a position drawn, REINFORCE", general(distribution=part("Reinforce", entropy=0.01))),
    "gaussian": ("additive, softmax with a Gaussian", general(distribution="GaussianBias")),
    "local-p": ("additive, window around a predicted place", general(distribution=part("LocalPredictive", window=3))),
    "local-m": ("additive, window around position t", general(distribution=part("LocalMonotonic", window=1))),
    "location": ("W q, whatever the keys, softmax", general(part("Location", positions=16))),
    "convolutional": ("additive, knows where it looked last", general(part("Convolutional", size=32, kernel=5))),
    "coverage": ("additive, knows where it looked so far", general(coverage=1.0)),
    "multi-hop": ("additive, three hops", part("MultiHop", attention=part("AdditiveAttention", size=32), hops=3)),
    "features": ("additive, weights for each feature", general(heads="features")),
}
TASKS: dict[str, Task] = {"local-m": "copy"}  # whose window can't go from the end to the start
LONGER = {"reinforce": 2}  # times as many steps


def learn(name: str, output: Path) -> dict[str, Any]:
    """Train a variant, unless that was done, and what it looks at."""
    task = TASKS.get(name, "reverse")
    data = make_data(output / task, task, lengths=LENGTHS)
    steps = STEPS * LONGER.get(name, 1)
    recipe = RECIPE.format(data=data.resolve(), attention=json.dumps(VARIANTS[name][1]), steps=steps)
    kept = output / f"{name}.json"
    if kept.exists() and (found := json.loads(kept.read_text("utf8")))["recipe"] == recipe:
        return dict(found)
    (output / f"{name}.yml").write_text(recipe, "utf8")
    shutil.rmtree(output / name, ignore_errors=True)
    before = processor_seconds()
    command = [sys.executable, "-m", "seqloom", "train", output / f"{name}.yml", "-o", output / name]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = {"recipe": recipe, "seconds": processor_seconds() - before, **tested(output / name, data / "test", task)}
    kept.write_text(json.dumps(found), "utf8")
    return found


def tested(run: Path, test: Path, task: Task) -> dict[str, Any]:
    """What a run does with the test sentences, and its picture of one sentence."""
    sources, references = pairs(test)
    made = greedy(run, [*sources, SENTENCE])
    shown = made.pop()
    exact = sum(translation.text == wanted for translation, wanted in zip(made, references, strict=True))
    layer, head = best_map(made, task=task)
    return {
        "exact": 100 * exact / len(references),
        "anti_diagonal": 100 * anti_diagonal(made, task=task),
        "picture": svg(views_of(shown)[0], layer=layer, head=head),
        "head": head,
    }


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


STYLE = """
main { max-width: 1500px; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 28px; margin-top: 28px; }
.maps h2 { font-size: 16px; color: var(--ink); margin: 0; }
.maps p { margin: 0; }
.maps svg { max-width: 100%; height: auto; }
.short { color: #b42318; }
"""


def page(found: dict[str, dict[str, Any]]) -> str:
    """The heat maps of all variants as one HTML file."""
    cards = "\n".join(card(name, result) for name, result in found.items())
    body = f"""<main><header><h1>Where {len(found)} kinds of attention look</h1>
<p>One tiny GRU model, but for its attention, learns to write {LENGTHS[0]} to {LENGTHS[1]} symbols backwards.
Rows are written tokens, columns are source tokens: who understood it looks from the end to the start.  The percentages
are of 500 other sentences: those written without a mistake, and those of their tokens for which the place that was
looked at most was the right one.  local-m, whose window goes from the start to the end, learns to copy.</p></header>
<section class="maps">
{cards}
</section></main>"""
    return document("Kinds of attention", body, script="", style=packaged("base.css") + STYLE)


def card(name: str, result: dict[str, Any]) -> str:
    diagonal = "diagonal" if name in TASKS else "anti-diagonal"
    head = "" if result["head"] is None else f", head {result['head'] + 1}"
    return f"""<article><h2>{escape(name)}</h2>
<p class="faint">{escape(VARIANTS[name][0] + head)}</p>
<p>exact {marked(result["exact"], EXACT)}, {diagonal} {marked(result["anti_diagonal"], ANTI_DIAGONAL)},
{result["seconds"]:.0f} CPU seconds</p>
{result["picture"]}</article>"""


def marked(share: float, least: float) -> str:
    text = f"{share:.1f} %"
    return f'<strong class="short">{text}</strong>' if share < least else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/attention"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="of " + ", ".join(VARIANTS))
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - VARIANTS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; the names are {', '.join(VARIANTS)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    chosen.output.mkdir(parents=True, exist_ok=True)
    print("| attention | exact match | anti-diagonal | CPU seconds |\n|---|---|---|---|", flush=True)
    found: dict[str, dict[str, Any]] = {}
    for name in chosen.names or VARIANTS:
        found[name] = learn(name, chosen.output)
        numbers = [f"{found[name][key]:.1f} %" for key in ("exact", "anti_diagonal")]
        print(f"| {name} | {' | '.join(numbers)} | {found[name]['seconds']:.0f} |", flush=True)
        (chosen.output / "attention.html").write_text(page(found), "utf8")


if __name__ == "__main__":
    main()
