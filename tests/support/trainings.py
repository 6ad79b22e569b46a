"""Small trainings that tests of training share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import Config
from seqloom.structures import Batch, Sequences
from seqloom.train import Listener, Trainer

RECURRENT = (
    "model={{class: EncoderDecoder, embedding: {{size: 16}},"
    " encoder: {{class: RNNEncoder, cell: {cell}, size: 8, dropout: 0.2}},"
    " decoder: {{class: RNNDecoder, cell: {cell}, size: 16, dropout: 0.2, attention: {attention}}}}}"
)
TRANSFORMER = (
    "model={{class: EncoderDecoder, embedding: {{size: 16, tie: {tie}}},"
    " encoder: {{class: TransformerEncoder, {part}}}, decoder: {{class: TransformerDecoder, {part}}}}}"
)
PART = "layers: 1, heads: 2, feedforward: 16, dropout: 0.2, attention_dropout: 0.1, norm: {norm}"
FAMILIES = {
    "gru": RECURRENT.format(cell="gru", attention="null"),
    "gru-additive": RECURRENT.format(cell="gru", attention="{class: AdditiveAttention, size: 8}"),
    "lstm": RECURRENT.format(cell="lstm", attention="null"),
    "lstm-dot": RECURRENT.format(cell="lstm", attention="DotAttention"),
    "pre-norm": TRANSFORMER.format(tie="all", part=PART.format(norm="pre")),
    "post-norm": TRANSFORMER.format(tie="target", part=PART.format(norm="post")),
}


def without_dropout(family: str) -> list[str]:
    """The overrides for a family, with nothing random in it."""
    return [FAMILIES[family].replace("dropout: 0.2", "dropout: 0").replace("dropout: 0.1", "dropout: 0")]


def trainer_for(config: Config, directory: Path, *hooks: Listener) -> Trainer:
    """A trainer without a run around it."""
    task = config.make_task()
    task.prepare(directory)
    torch.manual_seed(config.seed)
    return Trainer(
        task.build(config.model),
        task,
        config.train,
        checkpoints=Checkpoints(directory / "checkpoints"),
        seed=config.seed,
        device=torch.device("cpu"),
        hooks=hooks,
    )


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}


def joined(batches: list[Batch]) -> Batch:
    """One batch with the rows of all."""

    def rows(sides: list[Sequences]) -> Sequences:
        longest = max(side.ids.size(1) for side in sides)
        wide = [nn.functional.pad(side.ids, (0, longest - side.ids.size(1))) for side in sides]
        masks = [nn.functional.pad(side.mask, (0, longest - side.mask.size(1))) for side in sides]
        return Sequences(torch.cat(wide), torch.cat(masks))

    return Batch(rows([batch.source for batch in batches]), rows([batch.target for batch in batches]))


class Notes:
    """A hook that keeps what was reported."""

    def __init__(self) -> None:
        self.all: list[Mapping[str, Any]] = []

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        self.all.append(metrics)

    def values(self, key: str) -> dict[int, Any]:
        return {notes["step"]: notes[key] for notes in self.all if key in notes}
