"""One model out of several checkpoints of a training: the mean of their weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from seqloom.checkpoint import Checkpoint, Checkpoints
from seqloom.config.root import read_config
from seqloom.errors import CheckpointError, UsageError
from seqloom.proof import FILE as GOLDEN
from seqloom.proof import Golden
from seqloom.runs import Trained, check_is_run, prove
from seqloom.train.weights import differences

Weights = Mapping[str, Tensor]


def average(
    run: Path,
    output: Path,
    *,
    last: int | None = None,
    best: int | None = None,
    steps: Sequence[int] | None = None,
    verify: bool = True,
) -> list[int]:
    """Make a run directory `output` of the mean of a run's checkpoints, https://arxiv.org/abs/1706.03762, 6.1.

    These are the `last` so many, or the `best` so many by `train.keep_best`, or those of certain `steps`; without any
    of these, all that the run keeps.  Returns their steps.  Raises UsageError if there are fewer than asked for, or if
    `output` exists; CheckpointError if one is damaged or holds another model or, unless `verify` is False, the run
    doesn't make of its golden texts what it made of them when it was trained.
    """
    check_is_run(run)
    if output.exists():
        raise UsageError(f"{output} is there already; name a directory that isn't")
    checkpoints = Checkpoints(run / "checkpoints")
    chosen = _chosen(run, checkpoints.steps(), last, best, steps)
    golden = Golden.read(run / GOLDEN)
    if golden and verify:
        _verify(run, golden)
    mean = mean_of(checkpoints.load(step) for step in chosen)
    aside = output.with_name(f".new-{output.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(run / "tokenizers", aside / "tokenizers")
        shutil.copy(run / "config.yml", aside / "config.yml")
        Checkpoints(aside / "checkpoints").save(mean, keep_last=1)
        if golden:  # what the checkpoints made of these texts holds no more
            prove(aside, [triple.source for triple in golden.triples])
        aside.rename(output)
    except OSError as error:
        raise CheckpointError(f"{output} could not be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return chosen


def _verify(run: Path, golden: Golden) -> None:
    """Replay a run's golden texts with the checkpoint that they are of, whether or not the mean is to have it."""
    checkpoints = Checkpoints(run / "checkpoints")
    for step in checkpoints.steps():
        if checkpoints.weights(step) == golden.weights:
            return Trained.read(run, step).verify("cpu")


def mean_of(checkpoints: Iterable[Checkpoint]) -> Checkpoint:
    """One checkpoint with the mean of the weights, and what is no floating-point number from the newest.

    It has no state of an optimizer, and no best step: training can go on from it, but not as if nothing had happened.
    Raises CheckpointError if two of them hold different models.
    """
    newest: Checkpoint | None = None
    sums: dict[str, Tensor] = {}
    steps = []
    for checkpoint in checkpoints:
        _check_same(newest or checkpoint, checkpoint)
        for name, tensor in _numbers(checkpoint.model).items():
            sums[name] = sums.get(name, 0) + tensor.double()  # in float64, so that x, x, x have mean x
        newest = checkpoint if newest is None or checkpoint.step > newest.step else newest
        steps.append(checkpoint.step)
    if newest is None:
        raise ValueError("there is no checkpoint to take the mean of")
    means = {name: (sums[name] / len(steps)).to(tensor.dtype) for name, tensor in _numbers(newest.model).items()}
    progress = newest.state["progress"] | {"best": None, "best_step": None}
    return replace(
        newest,
        model={name: means.get(name, tensor) for name, tensor in newest.model.items()},
        training={},
        state=newest.state | {"progress": progress, "averaged": sorted(steps)},
    )


def _numbers(weights: Weights) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if torch.is_floating_point(tensor)}


def _check_same(one: Checkpoint, other: Checkpoint) -> None:
    for name, difference in differences(one.model, other.model).items():
        than = f"the checkpoint of step {other.step} holds another model than that of step {one.step}"
        raise CheckpointError(f"{than}: {name} is {difference}")


def _chosen(
    run: Path, there: Sequence[int], last: int | None, best: int | None, steps: Sequence[int] | None
) -> list[int]:
    """The steps to take, the oldest first."""
    if sum(choice is not None for choice in (last, best, steps)) > 1:
        raise UsageError("choose the last checkpoints, or the best ones, or those of certain steps: one of the three")
    if steps is not None:
        return _named(run, there, steps)
    ranked = _by_merit(run, there) if best is not None else list(reversed(there))
    wanted = next((count for count in (last, best) if count is not None), max(len(ranked), 1))
    if wanted < 1:
        raise UsageError(f"the mean is that of at least 1 checkpoint, got {wanted}")
    if len(ranked) < wanted:
        kind = "validated checkpoint" if best is not None else "checkpoint"
        raise UsageError(
            f"{run} has {len(ranked)} {kind}{'s' * (len(ranked) != 1)}{_listed(ranked)}, and {wanted} "
            f"{'is' if wanted == 1 else 'are'} asked for; how many a training keeps beside the best is train.keep_last"
        )
    return sorted(ranked[:wanted])


def _named(run: Path, there: Sequence[int], steps: Sequence[int]) -> list[int]:
    missing = [step for step in steps if step not in there]
    if missing:
        raise UsageError(f"{run} has no checkpoint of step {missing[0]}; it has {', '.join(map(str, there)) or 'none'}")
    return sorted(set(steps))


def _by_merit(run: Path, there: Sequence[int]) -> list[int]:
    """The steps that were validated, the best first, and of equals the newest."""
    config = read_config(run / "config.yml")
    name, metrics = config.train.keep_best, run / "metrics.jsonl"
    reports = [json.loads(line) for line in metrics.read_text("utf8").splitlines()] if metrics.exists() else []
    values = {report["step"]: report.get(f"valid.{name}") for report in reports if "valid.loss" in report}
    sign = -1 if name in config.make_task().less_is_better else 1
    return sorted((s for s in there if values.get(s) is not None), key=lambda s: (sign * values[s], s), reverse=True)


def _listed(steps: Sequence[int]) -> str:
    return f" (of step{'s' * (len(steps) != 1)} {', '.join(map(str, sorted(steps)))})" if steps else ""
