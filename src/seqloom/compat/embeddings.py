"""Another toolkit's tables of vectors as ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from seqloom.compat.numbering import Numbering

Tie = Literal["none", "target", "sides", "all"]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The vectors of symbols as another toolkit has them; those that are the same are shared, here as there."""

    source: Tensor
    target: Tensor
    readout: Tensor
    joint: bool  # whether both sides have the same symbols
    bias: Tensor | None = None

    @property
    def tie(self) -> Tie:
        """How to say which of them are the same."""
        sides, readout = self.joint and same(self.source, self.target), same(self.target, self.readout)
        if sides:
            return "all" if readout else "sides"
        return "target" if readout else "none"

    def section(self, target: Numbering) -> dict[str, Any]:
        """What a configuration says of the embedding."""
        biased = target.bias(self.bias) is not None
        return {"size": self.source.size(1), "tie": self.tie, "readout_bias": biased}

    def weights(self, source: Numbering, target: Numbering) -> dict[str, Tensor]:
        """The same by our names; what is shared is there once."""
        found = {"encoder.embedding.table.weight": source.table(self.source)}
        if self.tie in ("none", "target"):
            found["decoder.embedding.table.weight"] = target.table(self.target)
        if self.tie in ("none", "sides"):
            found["decoder.readout.weight"] = target.table(self.readout)
        bias = target.bias(self.bias)
        return found if bias is None else {**found, "decoder.readout.bias": bias}


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tables hold the same vectors."""
    return one.shape == other.shape and torch.equal(one, other)
