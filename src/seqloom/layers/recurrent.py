"""Recurrent cells and layers.

A cell's work on its input is done for all positions at once (`project`); what must wait for the step before it is one
matrix product a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.structures import Sequences

CellName = Literal["gru", "lstm"]
CellState = tuple[Tensor, ...]  # each [N, D]; the first is the cell's output


class Cell(nn.Module, ABC):
    """One step of a recurrent network."""

    gates: int  # how many gates its input is projected to
    values: int  # how many tensors its state has

    def __init__(self, input_size: int, size: int):
        super().__init__()
        self.size = size
        self.input = nn.Linear(input_size, self.gates * size)
        self.recurrent = nn.Linear(size, self.gates * size, bias=False)
        for gate in range(self.gates):
            nn.init.xavier_uniform_(self.input.weight[gate * size : (gate + 1) * size])
            nn.init.orthogonal_(self.recurrent.weight[gate * size : (gate + 1) * size])
        nn.init.zeros_(self.input.bias)

    def project(self, x: Tensor) -> Tensor:
        """Inputs [..., D] -> what `forward` takes, [..., gates * size]."""
        return self.input(x)  # type: ignore[no-any-return]

    @abstractmethod
    def forward(self, projected: Tensor, state: CellState) -> CellState:
        """A projected input [N, gates * size] and the state before it -> the state after it."""


class GRUCell(Cell):
    """Gated recurrent unit, https://arxiv.org/abs/1406.1078; the reset gate acts after the product, as in cuDNN."""

    gates, values = 3, 1

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        (h,) = state
        D = self.size
        recurrent = self.recurrent(h)
        reset, update = (projected[:, : 2 * D] + recurrent[:, : 2 * D]).sigmoid().chunk(2, 1)
        candidate = torch.tanh(torch.addcmul(projected[:, 2 * D :], reset, recurrent[:, 2 * D :]))
        return (torch.lerp(candidate, h.to(candidate.dtype), update),)


class LSTMCell(Cell):
    """Long short-term memory with a forget gate whose bias starts at 1; https://arxiv.org/abs/1409.2329."""

    gates, values = 4, 2

    def __init__(self, input_size: int, size: int):
        super().__init__(input_size, size)
        nn.init.ones_(self.input.bias[2 * size : 3 * size])

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        h, c = state
        gates = projected + self.recurrent(h)
        keep, write, forget = gates[:, : 3 * self.size].sigmoid().chunk(3, 1)
        c = forget * c + write * torch.tanh(gates[:, 3 * self.size :])
        return keep * torch.tanh(c), c


def make_cell(name: CellName, input_size: int, size: int) -> Cell:
    """The cell of that name."""
    return {"gru": GRUCell, "lstm": LSTMCell}[name](input_size, size)


class RecurrentLayer(nn.Module):
    """A cell run over sentences, in reading order or from their end."""

    def __init__(self, input_size: int, size: int, *, cell: CellName, backward: bool = False):
        super().__init__()
        self.cell, self.backward = make_cell(cell, input_size, size), backward

    def forward(self, x: Tensor, source: Sequences) -> tuple[Tensor, Tensor]:
        """Inputs [B, S, D] -> outputs [B, S, size] and the output after each sentence's last step [B, size]."""
        lengths = source.lengths()
        projected = self.cell.project(x)
        if self.backward:
            projected = reverse(projected, lengths)
        zeros = projected.new_zeros(len(x), self.cell.size)
        state, outputs = (zeros,) * self.cell.values, []
        for step in projected.unbind(1):
            state = self.cell(step, state)
            outputs.append(state[0])
        outputs_ = torch.stack(outputs, 1)
        final = outputs_[torch.arange(len(x), device=x.device), lengths - 1]
        return (reverse(outputs_, lengths) if self.backward else outputs_), final


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Turn each row of [B, S, D] round within its length; padding stays where it is."""
    places = torch.arange(x.size(1), device=x.device)[None]  # [1, S]
    places = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    return x.gather(1, places[..., None].expand_as(x))
