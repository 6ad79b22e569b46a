"""`seqloom train`: what it says, what it writes, and how signals end it."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

ENDLESS = ("train.steps=100000", "train.validate_every=100000", "train.log_every=1")

SLOW = '''
"""A task that takes its time where a test wants it to."""

import os
import time

from seqloom.registry import register
from seqloom.tasks import TranslationTask


@register("slow")
class Slow(TranslationTask):
    """Sleeps in its third loss or in every validation."""

    count = 0

    def loss(self, model, batch):
        self.count += 1
        if os.environ["SLOW"] == "loss" and self.count == 3:
            print("asleep", flush=True)
            time.sleep(600)
        return super().loss(model, batch)

    def evaluate(self, model):
        if os.environ["SLOW"] == "evaluate":
            print("asleep", flush=True)
            time.sleep(600)
        return super().evaluate(model)
'''


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf8").splitlines()]


def test_it_says_how_it_goes_on_standard_error(seqloom: Any, toy: Path) -> None:
    result = seqloom("train", toy / "toy.yml")
    assert (result.code, result.out) == (0, "")
    said = [re.sub(r"[0-9]+(,[0-9]{3})*(\.[0-9]+)?", "N", line) for line in result.err.splitlines()]
    assert said[0] == (
        "seqloom: N steps are about N epochs of N pairs; a checkpoint takes at most N MiB, and N GiB are free"
    )
    assert said[1] == "training: N parameters on cpu"
    assert said[2] == "step N/N  loss N  N tokens/s  epoch N  N:N left"
    validation = "step N  validation: loss N  perplexity N  bleu N  chrf N  exact N  (best so far)"
    assert [line for line in said if "validation" in line][0] == validation
    assert [line.split()[0] for line in said[said.index(validation) + 1 :][:3]] == ["source", "model", "reference"]
    assert said[-3:] == [
        "trained N steps in N:N; best bleu N at step N",
        "runs/toy/report.html shows how it went, runs/toy/README.md is its model card",
        "next: seqloom translate runs/toy < FILE    or: seqloom inspect runs/toy 'a sentence' -o page.html",
    ]


def test_metrics_are_always_written(trained: Path) -> None:
    lines = lines_of(trained)
    training, validation = [line for line in lines if "loss" in line], [line for line in lines if "valid.loss" in line]
    assert len(lines) == len(training) + len(validation)
    assert [line["step"] for line in training] == [5, 10, 15, 20, 25, 30]
    for line in training:
        names = {"step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens_per_second", "seconds"}
        assert set(line) == names
        assert line["tokens_per_second"] > 0
    assert training[-1]["loss"] < training[0]["loss"]
    assert [line["step"] for line in validation] == [10, 20, 30]
    for line in validation:
        assert {"valid.perplexity", "valid.bleu", "valid.chrf", "valid.exact"} < set(line)
        assert line["signatures"]["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|")
        assert len(line["examples"]) == 3
    best = max(validation, key=lambda line: line["valid.bleu"])
    assert [line["step"] for line in validation if line["best"]][-1] == best["step"]


def test_the_same_command_goes_on(seqloom: Any, toy: Path) -> None:
    assert seqloom("train", toy / "toy.yml", "-o", "run", "train.steps=10").code == 0
    result = seqloom("train", toy / "toy.yml", "-o", "run", "train.steps=15")
    assert result.code == 0
    assert re.match(r"going on from step 10: [0-9,]+ parameters on cpu\n", result.err)
    assert [line["step"] for line in lines_of(seqloom.folder / "run") if "loss" in line] == [5, 10, 15]


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_says_how_to_go_on(seqloom: Any, toy: Path, number: signal.Signals, code: int) -> None:
    process, run = seqloom.start("train", toy / "toy.yml", "-o", "run", *ENDLESS), seqloom.folder / "run"
    process.wait_for(lambda: (run / "metrics.jsonl").exists() and len(lines_of(run)) > 3, "some steps")
    process.send(number)
    result = process.wait()
    step = lines_of(run)[-1]["step"]
    assert (result.code, result.out) == (code, "")
    assert result.err.splitlines()[-2:] == [
        "stopping after this step; once more to stop at once",
        f"seqloom: stopped after step {step}; everything is saved in run: the same command goes on from there",
    ]
    assert (run / "checkpoints" / f"step-{step:08d}").is_dir()
    again = seqloom("train", toy / "toy.yml", "-o", "run", *ENDLESS, f"train.steps={step + 2}")
    assert again.code == 0 and again.err.startswith(f"going on from step {step:,}: ")
    assert [line["step"] for line in lines_of(run) if "loss" in line] == list(range(1, step + 3))


def asleep(seqloom: Any, toy: Path, where: str, *changes: str) -> Any:
    """A training that sleeps somewhere."""
    plugin = seqloom.folder / "slow_task.py"
    plugin.write_text(SLOW)
    arguments = ("train", toy / "toy.yml", "-o", "run", "task=slow", *changes)
    process = seqloom.start(*arguments, path=seqloom.folder, SEQLOOM_PLUGINS="slow_task", SLOW=where)
    process.wait_for(lambda: process.said("out") == "asleep\n", "sleep")
    return process


def test_a_second_signal_ends_at_once(seqloom: Any, toy: Path) -> None:
    process = asleep(seqloom, toy, "loss")
    process.send(signal.SIGINT)
    process.wait_for(lambda: "once more to stop at once\n" in process.said("err"), "the first to be heard")
    process.send(signal.SIGINT)
    assert process.wait().code == -signal.SIGINT


def test_a_signal_cuts_a_validation_short(seqloom: Any, toy: Path) -> None:
    process = asleep(seqloom, toy, "evaluate", "train.validate_every=4")
    process.send(signal.SIGTERM)
    result = process.wait()
    assert result.code == 143
    assert result.err.splitlines()[-1] == (
        "seqloom: stopped after step 4; everything is saved in run: the same command goes on from there"
    )
    arguments = ("train", toy / "toy.yml", "-o", "run", "task=slow", "train.validate_every=4", "train.steps=5")
    again = seqloom(*arguments, path=seqloom.folder, SEQLOOM_PLUGINS="slow_task", SLOW="never")
    assert again.code == 0
    steps = [line["step"] for line in lines_of(seqloom.folder / "run") if "valid.loss" in line]
    assert steps == [4, 5], "the validation is made up for"
