"""A killed training goes on to the bit, whatever the model is made of: of every encoder, decoder and attention.

One variant of each class is tried at once, and all of them by `make check-long`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqloom.attention import AdditiveAttention, Attention
from seqloom.checkpoint import Checkpoints
from seqloom.data.batches import Position
from seqloom.decoders import Decoder, RNNDecoder
from seqloom.encoders import Encoder
from seqloom.layers.embedding import Embedding
from seqloom.models import Model
from seqloom.optim import Constant
from seqloom.structures import Batch, Encoded, Loss, Sequences, Widths
from seqloom.tasks.base import Evaluation, Task
from seqloom.tasks.translation import teacher_forced
from seqloom.train import Trainer, TrainOptions

from .conftest import QUERY, SYMBOLS, Case, cases

OPTIONS = TrainOptions(
    steps=4,
    accumulate=2,
    checkpoint_every=2,
    schedule=partial(Constant, peak=0.01),
    precision="float32",
    device="cpu",
    keep_best="loss",
    log_every=1,
)


class Killed(Exception):
    """The end of a process, for all that its run directory can tell."""


class Reader(nn.Module):
    """The simplest encoder of given widths, so that a decoder has something to learn from."""

    def __init__(self, widths: Widths):
        super().__init__()
        sizes = (widths.keys, widths.values, widths.summary)
        self.tables = nn.ModuleList(nn.Embedding(SYMBOLS, size) for size in sizes)
        self.dropout = nn.Dropout(0.1)

    def forward(self, source: Sequences) -> Encoded:
        keys, values, summary = (self.dropout(table(source.ids)) for table in self.tables)
        return Encoded(keys, values, source.mask, (summary * source.mask[..., None]).sum(1), ids=source.ids)


class Pair(Model):
    """An encoder under a decoder."""

    def __init__(self, encoder: nn.Module, decoder: Any):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, source: Sequences, *, weights: bool = False) -> Encoded:
        return self.encoder(source)  # type: ignore[no-any-return]


class Letters(Task):
    """Batches of letters, each a function of its position; nothing is prepared, validated or shown."""

    measures, less_is_better = ("loss",), frozenset(["loss"])

    def batches(self, start: Position) -> Iterator[tuple[Batch, Position]]:
        for number in count(start.batch):
            draw = torch.Generator().manual_seed(number)
            mask = torch.arange(5)[None] < torch.tensor([5, 3, 4])[:, None]
            source, target = (torch.randint(2, SYMBOLS, (3, 5), generator=draw) for _ in range(2))
            yield Batch(Sequences(source, mask), Sequences(target, mask)), Position(start.pool, number + 1)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        return teacher_forced(model, batch)

    def evaluate(self, model: nn.Module) -> Evaluation:
        return Evaluation({"loss": 0.0}, {}, [])

    def epoch(self, position: Position) -> float:
        return position.batch / 100

    def unused(self, *arguments: object) -> Any:
        raise AssertionError("nobody asks for this")

    prepare = symbols = build = begin = show = tables = unused


Report = Mapping[str, Any]


def fit(model: Model, directory: Path, *, killed_after: int = 0) -> tuple[list[float], dict[str, Tensor]]:
    """Train, from the newest checkpoint where there is one; the losses, and all tensors that would be kept."""
    losses: list[float] = []

    def listen(trainer: Trainer, metrics: Report) -> None:
        if "loss" in metrics:
            losses.append(metrics["loss"])
        if metrics.get("event") == "stepped" and metrics["step"] == killed_after:
            raise Killed

    checkpoints, task = Checkpoints(directory), Letters()
    trainer = Trainer(model, task, OPTIONS, checkpoints=checkpoints, seed=3, device=torch.device("cpu"), hooks=[listen])
    newest, _ = checkpoints.newest()
    if newest:
        trainer.restore(newest)
    trainer.fit()
    last = checkpoints.load(OPTIONS.steps)
    return losses, last.model | {f"training.{name}": tensor for name, tensor in last.training.items()}


def assert_goes_on_to_the_bit(build: Callable[[], Model], directory: Path) -> None:
    losses, wanted = fit(build(), directory / "straight")
    assert all(loss == loss for loss in losses), "they are numbers"
    with pytest.raises(Killed):
        fit(build(), directory / "killed", killed_after=3)  # one step behind its checkpoint
    fresh = build()
    with torch.no_grad():
        for weight in fresh.parameters():
            weight.fill_(0.5)  # nothing may come from here
    again, found = fit(fresh, directory / "killed")
    assert again == losses[2:]
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def variants(base: type[nn.Module]) -> Any:
    """Every case of a class, those behind its first as long tests."""
    seen, parameters = set[type[nn.Module]](), []
    for case in cases(base):
        parameters.append(pytest.param(case, id=case.name, marks=[pytest.mark.long] * (case.cls in seen)))
        seen.add(case.cls)
    return pytest.mark.parametrize("case", parameters)


@variants(Encoder)
def test_every_encoder_goes_on_to_the_bit(case: Case, tmp_path: Path) -> None:
    def build() -> Model:
        encoder, attention = case.build(), partial(AdditiveAttention, size=8)
        embedding = Embedding(SYMBOLS, QUERY)
        return Pair(
            encoder, RNNDecoder(embedding=embedding, widths=encoder.widths, size=8, attention=attention)
        ).float()

    assert_goes_on_to_the_bit(build, tmp_path)


@variants(Decoder)
def test_every_decoder_goes_on_to_the_bit(case: Case, tmp_path: Path) -> None:
    def build() -> Model:
        decoder = case.build()
        return Pair(Reader(case.widths), decoder).float()

    assert_goes_on_to_the_bit(build, tmp_path)


@variants(Attention)
def test_every_attention_goes_on_to_the_bit(case: Case, tmp_path: Path) -> None:
    def build() -> Model:
        torch.manual_seed(1)
        attention = partial(case.cls, **case.options)
        embedding = Embedding(SYMBOLS, QUERY)
        decoder = RNNDecoder(embedding=embedding, widths=case.widths, size=QUERY, attention=attention)
        return Pair(Reader(case.widths), decoder)

    assert_goes_on_to_the_bit(build, tmp_path)
