"""PyTorch's recurrent layers as our cells."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from seqloom.compat.foreign import Tensors

Kind = Literal["lstm", "gru"]
GATES: dict[Kind, tuple[int, ...]] = {"lstm": (3, 0, 1, 2), "gru": (0, 1, 2)}  # of ours: which place theirs have
SECTIONS: dict[Kind, Any] = {"lstm": "LSTMCell", "gru": {"class": "GRUCell", "candidate_bias": True}}


def cell_of(tensors: Tensors, kind: Kind, ours: str, weight_ih: str) -> dict[str, Tensor]:
    """The weights of one cell by our names; `weight_ih` is the name of the matrix of its input."""
    names = {what: weight_ih.replace("weight_ih", what) for what in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    taken = {what: _ordered(tensors.take(name), kind) for what, name in names.items()}
    bias = taken["bias_ih"] + taken["bias_hh"]
    found = {f"{ours}.input.weight": taken["weight_ih"], f"{ours}.recurrent.weight": taken["weight_hh"]}
    if kind == "lstm":
        return {**found, f"{ours}.input.bias": bias}
    last = len(bias) // 3 * 2  # the reset gate acts on the candidate's second bias, too
    inner = torch.cat([bias[:last], taken["bias_ih"][last:]])
    return {**found, f"{ours}.input.bias": inner, f"{ours}.candidate_bias": taken["bias_hh"][last:].contiguous()}


def _ordered(x: Tensor, kind: Kind) -> Tensor:
    """A matrix or a bias of all gates in our order."""
    gates = x.chunk(len(GATES[kind]))
    return torch.cat([gates[place] for place in GATES[kind]])


def encoder_of(tensors: Tensors, kind: Kind, theirs: str, layers: int, *, bidirectional: bool) -> dict[str, Tensor]:
    """The weights of an encoder whose directions meet in every layer; `theirs` is the name of the whole of it."""
    found: dict[str, Tensor] = {}
    for layer in range(layers):
        for direction in range(2 if bidirectional else 1):
            ours = f"encoder.levels.{layer}.{direction}.cells.0"
            if not bidirectional:
                ours = f"encoder.levels.0.0.cells.{layer}"  # one direction is one stack
            name = f"{theirs}.weight_ih_l{layer}{'_reverse' * direction}"
            found |= cell_of(tensors, kind, ours, name)
    return found
