"""`seqloom average`: a run directory whose weights are the mean of several checkpoints."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.runs import train


@pytest.fixture(scope="session")
def long_kept(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that keeps all its checkpoints, of steps 10, 20, 30 and 40."""
    run = tmp_path_factory.mktemp("kept") / "run"
    train(read_config(toy / "toy.yml", ["train.keep_last=9", "train.steps=40", "train.keep_best=loss"]), run)
    return run


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return Checkpoints(run / "checkpoints").load(step).model


@pytest.mark.parametrize(
    "arguments, steps",
    [
        ([], [10, 20, 30, 40]),
        (["--last", "2"], [30, 40]),
        (["--steps", "40, 10"], [10, 40]),
        (["--steps", "20"], [20]),
    ],
)
def test_the_mean_is_a_run_that_translates(
    seqloom: Any, long_kept: Path, arguments: list[str], steps: list[int]
) -> None:
    result = seqloom("average", long_kept, *arguments, "-o", "mean")
    assert (result.code, result.out) == (0, "")
    said, proved = result.err.splitlines()
    assert said == f"seqloom: wrote mean, the mean of steps {', '.join(map(str, steps))}"
    changed = re.fullmatch(r"seqloom: (\d+) of 16 golden texts become something else than with (.*)", proved)
    assert changed and 0 <= int(changed[1]) <= 16
    mean, each = weights(seqloom.folder / "mean", steps[-1]), [weights(long_kept, step) for step in steps]
    for name, tensor in mean.items():
        assert_close(tensor, torch.stack([one[name] for one in each]).mean(0), rtol=1e-6, atol=1e-7)
    answer = seqloom("translate", "mean", input=b"a b c\n")
    assert (answer.code, answer.err) == (0, "") and answer.out.strip()
    if len(steps) == 1:
        alone = seqloom("translate", long_kept, "--checkpoint", str(steps[0]), "--json", input=b"a b c\n")
        assert seqloom("translate", "mean", "--json", input=b"a b c\n").out == alone.out


def test_the_best_are_those_that_validation_liked_best(seqloom: Any, long_kept: Path) -> None:
    run = shutil.copytree(long_kept, seqloom.folder / "run")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {10: 3.0, 20: 1.0, 30: 4.0, 40: 2.0}
    for row in rows:
        if "valid.loss" in row:
            row["valid.loss"] = losses[row["step"]]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert seqloom("average", run, "--best", "2", "-o", "mean").err.splitlines()[0].endswith("the mean of steps 20, 40")
    (run / "metrics.jsonl").unlink()
    assert "has 0 validated checkpoints, and 2 are asked for" in seqloom.refused(
        "average", run, "--best", "2", "-o", "none", code=2
    )


def test_training_can_go_on_from_a_mean(seqloom: Any, toy: Path, long_kept: Path) -> None:
    assert seqloom("average", long_kept, "-o", "mean").code == 0
    changes = ["train.keep_last=9", "train.steps=42", "train.keep_best=loss"]
    assert train(read_config(toy / "toy.yml", changes), seqloom.folder / "mean").step == 42


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["--last", "5"],
            "{run} has 4 checkpoints (of steps 10, 20, 30, 40), and 5 are asked for; how many a training keeps beside "
            "the best is train.keep_last",
        ),
        (["--steps", "10,15"], "{run} has no checkpoint of step 15; it has 10, 20, 30, 40"),
        (["--steps", "10-20"], "--steps is a list of steps such as 3000,3500, got '10-20'"),
        (["--last", "0"], "the mean is that of at least 1 checkpoint, got 0"),
        (
            ["--last", "1", "--best", "1"],
            "choose the last checkpoints, or the best ones, or those of certain steps: one of the three",
        ),
    ],
)
def test_what_there_is_not_is_a_sentence(seqloom: Any, long_kept: Path, arguments: list[str], sentence: str) -> None:
    said = seqloom.refused("average", long_kept, *arguments, "-o", "mean", code=2)
    assert said == f"seqloom: {sentence.format(run=long_kept)}\n"
    assert list(seqloom.folder.iterdir()) == []


def test_places_that_will_not_do_are_a_sentence(seqloom: Any, long_kept: Path) -> None:
    (seqloom.folder / "mean").mkdir()
    assert seqloom.refused("average", long_kept, "-o", "mean", code=2) == (
        "seqloom: mean is there already; name a directory that isn't\n"
    )
    assert seqloom.refused("average", "mean", "-o", "other", code=1) == (
        "seqloom: mean is not a run directory: it has no config.yml\n"
    )


def test_another_model_s_checkpoint_is_refused(seqloom: Any, toy: Path, long_kept: Path) -> None:
    run = shutil.copytree(long_kept, seqloom.folder / "run")
    train(read_config(toy / "toy.yml", ["model.decoder.size=8", "train.steps=5"]), seqloom.folder / "small")
    place = "checkpoints/step-00000005"
    shutil.copytree(seqloom.folder / "small" / place, run / place)
    said = seqloom.refused("average", run, "--steps", "5,10", "-o", "mean", code=1)
    assert said.startswith("seqloom: the checkpoint of step 10 holds another model than that of step 5: decoder.")
    assert not (seqloom.folder / "mean").exists()
