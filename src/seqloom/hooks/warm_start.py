"""Weights from another run to begin with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from seqloom.checkpoint import Checkpoint, Checkpoints
from seqloom.errors import CheckpointError, UsageError
from seqloom.hooks.base import Hook, is_beginning
from seqloom.registry import register, suggest
from seqloom.tokenizers import Tokenizers
from seqloom.train import Trainer
from seqloom.train.weights import differences, live_tensors

log = logging.getLogger(__name__)
NAMED = 5  # weights that a sentence names; of more it says how many


@register("warm_start")
class WarmStart(Hook):
    """Begins with the weights of another run, all or those of a part of the model; a run that goes on keeps its own."""

    def __init__(
        self,
        directory: Path,
        *,
        run: Path,
        prefix: str = "",
        checkpoint: str | int = "best",
        mismatched: Literal["refuse", "skip"] = "refuse",
    ):
        """`prefix` is the part, such as encoder or encoder.layers; `checkpoint` is best, last or a step.

        Weights that only one of the models has, or in another shape, are refused, or keep their fresh values.
        """
        self.directory, self.run, self.prefix = directory, run, prefix
        self.checkpoint, self.mismatched = checkpoint, mismatched

    def check(self) -> None:
        self._chosen()

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if not is_beginning(metrics):
            return
        chosen = self._chosen()
        own, theirs = self._below(live_tensors(trainer.model)), self._below(chosen.model)
        different = differences(own, theirs)
        fitting = sorted(own.keys() & theirs.keys() - different.keys())
        self._refuse(trainer, own, different, fitting)
        with torch.no_grad():
            for name in fitting:
                own[name].copy_(theirs[name])
        self._warn_of_other_symbols(trainer, [own[name] for name in fitting])
        begun = f"{len(fitting)} weights begin with those of {self.run}, step {chosen.step}"
        log.info("%s", f"{begun}; fresh are {_listed(different)}" if different else begun)

    def _chosen(self) -> Checkpoint:
        if not (self.run / "config.yml").exists():
            raise UsageError(f"WarmStart: {self.run} is not a run directory")
        return Checkpoints(self.run / "checkpoints").choose(self.checkpoint)

    def _below(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those in the part of the model that is asked for."""
        start = f"{self.prefix}." if self.prefix else ""
        return {name: tensor for name, tensor in tensors.items() if name.startswith(start) or name == self.prefix}

    def _refuse(
        self, trainer: Trainer, own: Mapping[str, Tensor], different: Mapping[str, str], fitting: Sequence[str]
    ) -> None:
        if not own:
            parts = [name for name, _ in trainer.model.named_modules() if name and name.count(".") < 2]
            raise UsageError(f"WarmStart: this model has no part {self.prefix!r}{suggest(self.prefix, parts)}")
        if not fitting:
            raise UsageError(f"WarmStart: no weight of {self.run} fits this model: {_listed(different)}")
        if different and self.mismatched == "refuse":
            raise UsageError(
                f"WarmStart: {len(fitting)} weights of {self.run} fit this model and {len(different)} don't: "
                f"{_listed(different)}. To begin with those that fit, set mismatched: skip"
            )

    def _warn_of_other_symbols(self, trainer: Trainer, taken: Sequence[Tensor]) -> None:
        """An embedding has a row a symbol: under another vocabulary it would say things of the wrong symbols."""
        for side, (vocabulary, table) in trainer.task.tables(trainer.model).items():
            if any(tensor is table.weight for tensor in taken) and self._symbols(side) != vocabulary.symbols:
                log.warning(
                    "WarmStart: the %s symbols of %s are not those of this run, so embeddings stand for other symbols",
                    side,
                    self.run,
                )

    def _symbols(self, side: str) -> tuple[str, ...]:
        """The other run's symbols; none if its tokenizers can't be read."""
        try:
            tokenizers = Tokenizers.load(self.run / "tokenizers")
        except CheckpointError:
            return ()
        return {"source": tokenizers.source, "target": tokenizers.target}[side].vocabulary.symbols


def _listed(different: Mapping[str, str]) -> str:
    named = [f"{name} ({how})" for name, how in sorted(different.items())]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return ", ".join(named[:NAMED]) + more
