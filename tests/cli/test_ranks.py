"""Several processes train one model: the same numbers as one process, and no rank is left hanging by another."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.errors import UsageError
from seqloom.ranks import Ranks
from seqloom.runs import train
from seqloom.train.sharding import check_can_be_sharded

# Something is drawn at random in every part, layers are left out, and experts go unused.
EXPERTS = "{class: MixtureOfExperts, experts: 6, k: 2, inner_size: 8}"
PARTS = f"layers: 2, heads: 2, dropout: 0.2, layer_drop: 0.3, feedforward: {EXPERTS}"
MODEL = (
    "model={class: EncoderDecoder, embedding: {size: 16, tie: all},"
    f" encoder: {{class: TransformerEncoder, {PARTS}}}, decoder: {{class: TransformerDecoder, {PARTS}}}}}"
)
FOUR = (MODEL, "train.accumulate=4", "train.steps=6", "train.log_every=1", "train.validate_every=3")
ENDLESS = ("train.steps=100000", "train.validate_every=100000", "train.log_every=1", "train.checkpoint_every=100000")

PLUGIN = '''
"""A task in which one rank does what no rank should."""

import math
import os
import time

from seqloom.registry import register
from seqloom.tasks import TranslationTask


@register("wayward")
class Wayward(TranslationTask):
    """The rank WHO sleeps, dies or finds infinity in its third loss, or sleeps in its part of a validation."""

    count = 0

    def loss(self, model, batch):
        self.count += 1
        loss = super().loss(model, batch)
        if self.count == 3 and os.environ["RANK"] == os.environ["WHO"]:
            if os.environ["DOES"] == "sleeps":
                time.sleep(600)
            if os.environ["DOES"] == "dies":
                os.kill(os.getpid(), 9)
            if os.environ["DOES"] == "blows up":
                return type(loss)(loss.total * math.inf, loss.count)
        return loss

    def evaluate(self, model):
        if os.environ["DOES"] == "validates for long":
            self.ranks.shared(self.sleep, [0, 1])
        return super().evaluate(model)

    def sleep(self, numbers):
        if os.environ["RANK"] == os.environ["WHO"]:
            print("asleep", flush=True)
            time.sleep(600)
        return numbers
'''


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def start(seqloom: Any, size: int, *arguments: object, **environment: str) -> list[Any]:
    """The command on so many ranks, as torchrun starts it."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(size), **environment}
    where["LOCAL_WORLD_SIZE"] = str(size)
    return [
        seqloom.start(*arguments, path=seqloom.folder, RANK=str(rank), LOCAL_RANK=str(rank), **where)
        for rank in range(size)
    ]


def together(seqloom: Any, size: int, *arguments: object, **environment: str) -> list[Any]:
    return [process.wait() for process in start(seqloom, size, *arguments, **environment)]


def lines_of(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("tokens_per_second", "seconds")} for line in lines]


def assert_alike(run: Path, other: Path) -> None:
    """The same numbers to 1e-5, and the same sentences."""
    ours, theirs = lines_of(run), lines_of(other)
    assert len(ours) == len(theirs)
    for mine, its in zip(ours, theirs, strict=True):
        numbers = {k for k, v in mine.items() if isinstance(v, float)}
        assert {k: mine[k] for k in numbers} == pytest.approx({k: its[k] for k in numbers}, rel=1e-5)
        assert {k: v for k, v in mine.items() if k not in numbers} == {k: v for k, v in its.items() if k not in numbers}


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_find_the_numbers_of_one_process(seqloom: Any, toy: Path, tmp_path: Path, size: int) -> None:
    train(read_config(toy / "toy.yml", FOUR), tmp_path / "alone")
    main, *others = together(seqloom, size, "train", toy / "toy.yml", *FOUR, "-o", "run")
    assert [result.code for result in (main, *others)] == [0] * size, main
    assert [result.err for result in others] == [""] * (size - 1)
    assert main.err.count("validation:") == 2
    assert_alike(seqloom.folder / "run", tmp_path / "alone")


def test_rows_are_dealt_where_batches_do_not_come_out_even(seqloom: Any, toy: Path, tmp_path: Path) -> None:
    """Some batches have one row, so that a rank has none."""
    rows = ("train.batch_sentences=3", "train.steps=68", "train.log_every=1", "train.validate_every=68")
    assert 200 % 3 == 2, "the last batch of an epoch is to have fewer rows than there are ranks"
    train(read_config(toy / "toy.yml", rows), tmp_path / "alone")
    results = together(seqloom, 3, "train", toy / "toy.yml", *rows, "-o", "run")
    assert [result.code for result in results] == [0, 0, 0], results[0]
    assert_alike(seqloom.folder / "run", tmp_path / "alone")


# A model that is spread over ranks

LAYERS = "layers: 2, heads: 2, dropout: 0.2, feedforward: 32"
SPREAD = (
    "model={class: EncoderDecoder, embedding: {size: 16, tie: all},"
    f" encoder: {{class: TransformerEncoder, {LAYERS}}}, decoder: {{class: TransformerDecoder, {LAYERS}}}}}",
    "train.accumulate=2",
    "train.log_every=1",
    "train.validate_every=3",
    "train.clip_embeddings=0.2",
)
WEIGHING = '''
"""A task that notes how many numbers of the weights this rank has."""

import os

from seqloom.registry import register
from seqloom.tasks import TranslationTask


@register("weighing")
class Weighing(TranslationTask):
    """Writes them into a file for each rank."""

    def loss(self, model, batch):
        kept = sum(getattr(weight, "_local_tensor", weight).numel() for weight in model.parameters())
        with open(f"weight-{os.environ['RANK']}", "w") as file:
            file.write(f"{kept} {sum(weight.numel() for weight in model.parameters())}")
        return super().loss(model, batch)
'''


def test_a_spread_model_learns_the_same_and_goes_on_with_any_number_of_ranks(
    seqloom: Any, toy: Path, tmp_path: Path
) -> None:
    (seqloom.folder / "weighing_task.py").write_text(WEIGHING)
    arguments = ("train", toy / "toy.yml", *SPREAD, "task=weighing", "train.shard=true", "-o", "run")
    for size, steps in ((2, 3), (1, 6), (2, 9)):
        results = together(seqloom, size, *arguments, f"train.steps={steps}", SEQLOOM_PLUGINS="weighing_task")
        assert [result.code for result in results] == [0] * size, results[0]
    train(read_config(toy / "toy.yml", [*SPREAD, "train.steps=9"]), tmp_path / "alone")
    assert_alike(seqloom.folder / "run", tmp_path / "alone")
    weights = [(seqloom.folder / f"weight-{rank}").read_text().split() for rank in range(2)]
    (every,) = {int(whole) for _, whole in weights}
    assert sum(int(kept) for kept, _ in weights) == every
    assert all(int(kept) < 0.6 * every for kept, _ in weights)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            ["train.accumulate=3"],
            "train.shard deals whole batches: set train.accumulate, now 3, to a multiple of the 2 ranks",
        ),
        (["train.ema=0.9"], "train.shard doesn't go with train.ema yet: leave one of them out"),
        (
            ["model.encoder.layer_drop=0.1"],
            "train.shard can't leave out layers, which would be others on each rank: set layer_drop to 0",
        ),
    ],
)
def test_what_can_not_be_spread_is_a_sentence(toy: Path, tmp_path: Path, changes: list[str], sentence: str) -> None:
    config = read_config(toy / "toy.yml", [*SPREAD, "train.shard=true", *changes])
    task = config.make_task()
    task.prepare(tmp_path)
    with pytest.raises(UsageError) as raised:
        check_can_be_sharded(task.build(config.model), config.train, Ranks(0, 2))
    assert str(raised.value) == sentence


# What happens to one rank


@pytest.fixture
def wayward(seqloom: Any, toy: Path) -> Callable[..., list[Any]]:
    """Starts two ranks, one of which does something."""
    (seqloom.folder / "wayward_task.py").write_text(PLUGIN)

    def begin(who: int, does: str, *changes: str) -> list[Any]:
        arguments = ("train", toy / "toy.yml", "task=wayward", "train.accumulate=2", "train.log_every=1", *changes)
        return start(seqloom, 2, *arguments, "-o", "run", SEQLOOM_PLUGINS="wayward_task", WHO=str(who), DOES=does)

    return begin


@pytest.mark.parametrize("who", [0, 1])
def test_a_gradient_that_is_not_finite_on_one_rank_is_left_out_on_all(seqloom: Any, wayward: Any, who: int) -> None:
    main, other = (process.wait() for process in wayward(who, "blows up", "train.steps=4", "train.validate_every=4"))
    assert (main.code, other.code) == (0, 0), main
    said = [line["step"] for line in lines_of(seqloom.folder / "run") if line.get("event") == "skipped"]
    assert said == [3]
    newest, _ = Checkpoints(seqloom.folder / "run" / "checkpoints").newest()
    assert newest is not None
    assert newest.state["progress"]["skipped"] == 1
    assert all(tensor.isfinite().all() for tensor in newest.model.values())


def test_a_rank_that_does_not_answer_ends_the_others_with_a_sentence(wayward: Any) -> None:
    started = time.monotonic()
    main, _ = wayward(1, "sleeps", "train.rank_timeout=3")
    result = main.wait()
    assert result.code == 1
    sentence = "rank 0 of 2: another rank did not answer in time, so this one ends too; the last checkpoint stands"
    assert result.err.splitlines()[-1] == f"seqloom: {sentence}"
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("shard", ["false", "true"])
@pytest.mark.parametrize("who", [0, 1])
def test_a_rank_that_dies_ends_the_others_with_a_sentence(wayward: Any, who: int, shard: str) -> None:
    processes = wayward(who, "dies", f"train.shard={shard}")
    result = processes[1 - who].wait()
    assert result.code == 1
    name = "seqloom" if who else "seqloom, rank 1"
    what = "another rank has ended, so this one ends too; the last checkpoint stands"
    assert result.err.splitlines()[-1] == f"{name}: rank {1 - who} of 2: {what}"
    assert processes[who].wait().code == -signal.SIGKILL


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_one_rank_saves_and_stops_all_after_the_same_step(
    seqloom: Any, toy: Path, number: signal.Signals, code: int
) -> None:
    processes = start(seqloom, 2, "train", toy / "toy.yml", *ENDLESS, "train.accumulate=2", "-o", "run")
    metrics = seqloom.folder / "run" / "metrics.jsonl"
    processes[0].wait_for(lambda: metrics.exists() and len(metrics.read_bytes().splitlines()) > 2, "the third step")
    processes[1].send(number)
    results = [process.wait() for process in processes]
    assert [result.code for result in results] == [code, code]
    (step,) = {int(found) for result in results for found in re.findall(r"stopped after step (\d+)", result.err)}
    assert Checkpoints(seqloom.folder / "run" / "checkpoints").steps() == [step]
    assert len(lines_of(seqloom.folder / "run")) == step


@pytest.mark.parametrize("told", [[1], [0, 1]])
def test_a_signal_cuts_a_validation_short_on_all_ranks(seqloom: Any, wayward: Any, told: list[int]) -> None:
    """Also where only the one that keeps the others waiting hears it."""
    processes = wayward(1, "validates for long", "train.validate_every=2")
    processes[1].wait_for(lambda: processes[1].said("out") == "asleep\n", "the validation")
    for rank in told:
        processes[rank].send(signal.SIGTERM)
    assert [process.wait().code for process in processes] == [143, 143]
    assert Checkpoints(seqloom.folder / "run" / "checkpoints").steps() == [2]
    assert all("stopped after step 2" in process.said("err") for process in processes)
