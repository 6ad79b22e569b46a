"""Are all experts busy, and do they say more than a dense network of the same work?  Multi30k English to German.

    python benchmarks/mixture_of_experts.py [--output runs/mixture-of-experts] [--steps 1000] [--seed 1] [NAME ...]

Trains small Transformers, one layer a side, that differ in their feed-forward networks alone, one after the other on
one thread: 32 experts of 64 inner features, 4 of which see each position, with the losses that keep them busy weighed
by 0.1 ("balanced"), 0.01 ("balanced-lightly") and 0 ("unbalanced"), and one network of 4 x 64 inner features ("dense").
A second call goes on where the first was stopped.

Prints a table: the loss of a validation token, how the validation data's positions are spread over each layer's experts
(with noise as in training, and without), and the processor's time a training step.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.config.root import read_config
from seqloom.data.batches import valid_batches
from seqloom.layers.experts import NoisyTopKGate, Routing, squared_variation
from seqloom.runs import train
from seqloom.structures import Batch
from seqloom.tasks.translation import TranslationTask
from seqloom.train import Trainer

RECIPE = Path(__file__).parent.parent / "recipes" / "multi30k-transformer.yml"
EXPERTS, K, INNER = 32, 4, 64
MIXTURE = f"class: MixtureOfExperts, experts: {EXPERTS}, k: {K}, inner_size: {INNER}"
FEEDFORWARD = {
    "balanced": f"{{{MIXTURE}, importance: 0.1, load: 0.1}}",
    "balanced-lightly": f"{{{MIXTURE}, importance: 0.01, load: 0.01}}",
    "unbalanced": f"{{{MIXTURE}, importance: 0, load: 0}}",
    "dense": str(K * INNER),
}
MEASURED = 500  # every so many steps


def changes(name: str, steps: int, seed: int) -> list[str]:
    """What makes the recipe that variant."""
    sides = [f"model.{side}.{key}" for side in ("encoder", "decoder") for key in ("layers=1", "dropout=0.1")]
    feedforward = [f"model.{side}.feedforward={FEEDFORWARD[name]}" for side in ("encoder", "decoder")]
    training = {"steps": steps, "minutes": "null", "batch_tokens": 1024, "threads": 1, "keep_best": "loss"}
    training |= {"precision": "float32"}  # which is the faster for matrices as small as these
    training |= {"validate_every": MEASURED, "checkpoint_every": MEASURED // 5}
    training |= {"schedule": "{class: Cosine, peak: 3.0e-3, warmup: 100}"}
    rest = ["tokenizer.size=2000", "model.embedding.size=128", "task={class: translation, valid_most: 20}"]
    return [*sides, *feedforward, *rest, f"seed={seed}", *(f"train.{key}={value}" for key, value in training.items())]


class Loads:
    """Listens to a training: now and then, how many positions go to each expert, in each layer."""

    def __init__(self, path: Path):
        self.path, self.seconds = path, [0.0]

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "stepping":
            self.seconds.append(time.process_time())
        if metrics.get("event") == "stepped":
            self.seconds[-1] = time.process_time() - self.seconds[-1]
            if trainer.progress.step % MEASURED == 0:
                self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        found = json.loads(self.path.read_text()) if self.path.exists() else {}
        found["parameters"] = sum(p.numel() for p in trainer.model.parameters())
        found["milliseconds"] = 1000 * sorted(self.seconds)[len(self.seconds) // 2]
        found[str(trainer.progress.step)] = {
            "evaluation": spread(trainer, training=False),
            "training": spread(trainer, training=True),
        }
        self.path.write_text(json.dumps(found, indent=1))


@torch.no_grad()
def spread(trainer: Trainer, *, training: bool) -> dict[str, dict[str, float]]:
    """How the positions of the validation data are spread, a layer: max/mean, CV of load and of importance."""
    model, task = trainer.model.train(training), trainer.task
    assert isinstance(task, TranslationTask)
    gates = {name: part for name, part in model.named_modules() if isinstance(part, NoisyTopKGate)}
    loads, importances = ({name: torch.zeros(EXPERTS) for name in gates} for _ in range(2))
    seen: list[Batch] = []  # the batch under way

    def listen(name: str) -> Any:
        def heard(gate: nn.Module, args: tuple[Tensor], routing: Routing) -> None:
            mask = seen[-1].target.mask[:, 1:].flatten()
            real = mask if name.startswith("decoder") else slice(None)  # a decoder's gate sees padding, too
            experts, shares = routing.experts[real].flatten(), routing.shares[real].flatten()
            loads[name] += experts.bincount(minlength=EXPERTS)
            importances[name].index_add_(0, experts, shares.float())

        return heard

    handles = [gate.register_forward_hook(listen(name)) for name, gate in gates.items()]
    for corpus in task.validation:
        for batch in valid_batches(corpus, task.setting.batch_tokens, task.setting.batch_sentences):
            seen.append(batch)
            model(batch)
    for handle in handles:
        handle.remove()
    return {
        name: {
            "max/mean": (loads[name].max() / loads[name].mean()).item(),
            "cv_load": squared_variation(loads[name]).sqrt().item(),
            "cv_importance": squared_variation(importances[name]).sqrt().item(),
        }
        for name in gates
    }


COLUMNS = ["", "weights", "steps", "loss", *["max/mean", "CV of load", "CV of importance"] * 2, "ms a step"]
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def losses(run: Path) -> dict[int, float]:
    """Validation's losses, by step."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text("utf8").splitlines())
    return {line["step"]: line["valid.loss"] for line in lines if "valid.loss" in line}


def rows(name: str, output: Path) -> list[str]:
    """Of the table in docs/results.md, one for each step that was measured."""
    found, by_step, made = json.loads((output / f"{name}.json").read_text()), losses(output / name), []
    for step in sorted((key for key in found if key.isdecimal()), key=int):
        cells = [name, f"{found['parameters']:,}", step, f"{by_step[int(step)]:.3f}"]
        for mode in ("training", "evaluation"):
            layers = found[step][mode].values()
            for key in ("max/mean", "cv_load", "cv_importance"):
                cells.append(" and ".join(f"{layer[key]:.2f}" for layer in layers))
        made.append("| " + " | ".join([*cells, f"{found['milliseconds']:.0f}"]) + " |")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FEEDFORWARD))
    parser.add_argument("--output", type=Path, default=Path("runs/mixture-of-experts"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    names = arguments.names or list(FEEDFORWARD)
    for name in names:
        config = read_config(RECIPE, changes(name, arguments.steps, arguments.seed))
        train(config, arguments.output / name, hooks=[Loads(arguments.output / f"{name}.json")])
    print(HEAD)
    for name in names:
        print("\n".join(rows(name, arguments.output)))


if __name__ == "__main__":
    main()
