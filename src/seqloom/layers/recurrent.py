"""Recurrent cells, and cells one above the other.

A cell's work on its input is done for all positions at once (`project`); what must wait for the step before it is one
matrix product a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.bounds import Rate
from seqloom.layers import unrolled
from seqloom.layers.dropout import Dropout
from seqloom.layers.feedforward import FeedForward
from seqloom.registry import register

CellState = tuple[Tensor, ...]  # each [N, D]; the first is the cell's output
States = tuple[CellState, ...]  # one a layer, the lowest first
Residual = Literal["none", "add", "concat", "mean"]


class Cell(nn.Module, ABC):
    """One step of a recurrent network."""

    given: ClassVar[tuple[str, ...]] = ("input_size", "size")
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

    def along(self, projected: Tensor, state: CellState) -> CellState:
        """Projected inputs [N, T, gates * size] and the state before them -> the states after each, [N, T, D] each."""
        states = []
        for inputs in projected.unbind(1):
            state = self(inputs, state)
            states.append(state)
        return tuple(torch.stack(values, 1) for values in zip(*states, strict=True))


@register("rnn")
class RNNCell(Cell):
    """h = tanh(W x + U h); Elman 1990."""

    gates, values = 1, 1

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        return (torch.tanh(projected + self.recurrent(state[0])),)


@register("gru")
class GRUCell(Cell):
    """Gated recurrent unit, https://arxiv.org/abs/1406.1078."""

    gates, values = 3, 1

    def __init__(
        self,
        input_size: int,
        size: int,
        *,
        reset: Literal["after", "before"] = "after",
        gate_bias: float = 0.0,
        candidate_bias: bool = False,
    ):
        """`reset`: the reset gate acts after the recurrent product, as in cuDNN, or before it, as in the paper.

        `gate_bias` is where the biases of both gates start.  With `candidate_bias` the recurrent product of the
        candidate has a bias of its own, as in cuDNN and PyTorch, which the reset gate acts on, too; training is slower
        then.  ValueError where it resets before.
        """
        super().__init__(input_size, size)
        if candidate_bias and reset == "before":
            raise ValueError("candidate_bias is for reset: after; before it, the input's bias says the same")
        self.reset_after = reset == "after"
        self.candidate_bias = nn.Parameter(torch.zeros(size)) if candidate_bias else None
        nn.init.constant_(self.input.bias[: 2 * size], gate_bias)

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        (h,) = state
        D = self.size
        if self.reset_after:
            recurrent = self._recurrent(h)
            reset, update = (projected[:, : 2 * D] + recurrent[:, : 2 * D]).sigmoid().chunk(2, 1)
            candidate = torch.tanh(torch.addcmul(projected[:, 2 * D :], reset, recurrent[:, 2 * D :]))
        else:
            weight = self.recurrent.weight
            reset, update = (projected[:, : 2 * D] + F.linear(h, weight[: 2 * D])).sigmoid().chunk(2, 1)
            candidate = torch.tanh(projected[:, 2 * D :] + F.linear(reset * h, weight[2 * D :]))
        return (torch.lerp(candidate, h.to(candidate.dtype), update),)

    def _recurrent(self, h: Tensor) -> Tensor:
        if self.candidate_bias is None:
            return self.recurrent(h)  # type: ignore[no-any-return]
        return F.linear(h, self.recurrent.weight, F.pad(self.candidate_bias, (2 * self.size, 0)))

    def along(self, projected: Tensor, state: CellState) -> CellState:
        if self.candidate_bias is not None:
            return super().along(projected, state)
        return (unrolled.gru(projected, state[0], self.recurrent.weight, reset_after=self.reset_after),)


@register("lstm")
class LSTMCell(Cell):
    """Long short-term memory with a forget gate, https://arxiv.org/abs/1409.2329."""

    gates, values = 4, 2

    def __init__(self, input_size: int, size: int, *, forget_bias: float = 1.0, peepholes: bool = False):
        """`forget_bias` is where the forget gate's bias starts; `peepholes` lets gates see the memory (Gers 2000)."""
        super().__init__(input_size, size)
        nn.init.constant_(self.input.bias[2 * size : 3 * size], forget_bias)
        self.peepholes = nn.Parameter(torch.zeros(3, size)) if peepholes else None

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        h, c = state
        D = self.size
        gates = projected + self.recurrent(h)
        if self.peepholes is not None:
            return self._peeping(gates, c)
        keep, write, forget = gates[:, : 3 * D].sigmoid().chunk(3, 1)
        c = forget * c + write * torch.tanh(gates[:, 3 * D :])
        return keep * torch.tanh(c), c

    def along(self, projected: Tensor, state: CellState) -> CellState:
        if self.peepholes is not None:
            return super().along(projected, state)
        return unrolled.lstm(projected, state[0], state[1], self.recurrent.weight)

    def _peeping(self, gates: Tensor, c: Tensor) -> CellState:
        """Writing and forgetting see the memory before, keeping sees the one after."""
        assert self.peepholes is not None
        keep, write, forget, candidate = gates.chunk(4, 1)
        write, forget = torch.sigmoid(write + self.peepholes[1] * c), torch.sigmoid(forget + self.peepholes[2] * c)
        c = forget * c + write * torch.tanh(candidate)
        return torch.sigmoid(keep + self.peepholes[0] * c) * torch.tanh(c), c


@register("layer_norm_lstm")
class LayerNormLSTMCell(Cell):
    """An LSTM whose gates and memory are each normalised; https://arxiv.org/abs/1607.06450, supplement."""

    gates, values = 4, 2

    def __init__(self, input_size: int, size: int, *, forget_bias: float = 1.0, dropout: Rate = 0.0):
        """`dropout` acts on what is written into the memory, https://arxiv.org/abs/1603.05118."""
        super().__init__(input_size, size)
        self.input.register_parameter("bias", None)  # the norms bring their own
        self.gain, self.bias = nn.Parameter(torch.ones(5, size)), nn.Parameter(torch.zeros(5, size))
        nn.init.constant_(self.bias[2], forget_bias)
        self.dropout = Dropout(dropout)

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        h, c = state
        gates = (projected + self.recurrent(h)).unflatten(1, (4, self.size))
        gates = F.layer_norm(gates, (self.size,)) * self.gain[:4] + self.bias[:4]
        keep, write, forget = gates[:, :3].sigmoid().unbind(1)
        c = forget * c + write * self.dropout(torch.tanh(gates[:, 3]))
        c = F.layer_norm(c, (self.size,)) * self.gain[4] + self.bias[4]
        return keep * torch.tanh(c), c

    def along(self, projected: Tensor, state: CellState) -> CellState:
        if self.training and self.dropout.rate:
            return super().along(projected, state)
        weights = self.recurrent.weight, self.gain, self.bias
        return unrolled.layer_norm_lstm(projected, state[0], state[1], *weights)


class Between(nn.Module):
    """A network between two recurrent layers, and a way round it; https://arxiv.org/abs/1701.06538, appendix E."""

    def __init__(self, network: Callable[..., FeedForward], size: int, *, after: int, layers: int):
        """It stands behind layer `after` of `layers`.  Raises ValueError if none is above it."""
        super().__init__()
        if after >= layers:
            raise ValueError(f"between_after: {after} needs a layer above it, but there are {layers} in all")
        self.network = network(size=size)

    def forward(self, x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """Features [..., D] -> features [..., D], and an addition to the loss."""
        y, penalty = self.network(x, real)
        return x + y, penalty


class RecurrentStack(nn.Module):
    """Cells one above the other, with ways round them (https://arxiv.org/abs/1609.08144, 3.1) if asked."""

    def __init__(
        self,
        input_size: int,
        *,
        cell: Callable[..., Cell],
        size: int,
        layers: int = 1,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        residual: Residual = "none",
        dense: bool = False,
        uniform: float | None = None,
        between: Callable[..., FeedForward] | None = None,
        between_after: int = 1,
    ):
        """`dropout` acts on what enters each layer, `output_dropout` on what leaves it.

        `residual` joins to a layer's output what entered it, or, if `dense`, what entered each layer so far: their sum
        or mean is added, or they stand side by side.  One layer alone has no way round it.  `uniform`: matrices start
        in U(-uniform, uniform).  What leaves layer `between_after` goes through the network `between`, and round it.
        Raises ValueError if no layer is above that one.
        """
        super().__init__()
        self.residual, self.dense = residual if layers > 1 else "none", dense
        widths = stack_widths(input_size, size, layers, residual, dense=dense)
        self.transform = nn.Linear(input_size, widths[0]) if widths[0] != input_size else nn.Identity()
        cells = [cell(input_size=width, size=size) for width in widths[:-1]]
        self.cells = nn.ModuleList(cells)
        self.output_size, self.values = widths[-1], cells[0].values
        self.state_size = layers * self.values * size
        self.dropout, self.output_dropout = Dropout(dropout), Dropout(output_dropout)
        place = min(between_after, layers)  # one that can't be is reported by `Between`
        self.between = Between(between, widths[place], after=between_after, layers=layers) if between else None
        self.between_after = between_after
        if uniform is not None:
            for one in cells:
                for linear in (one.input, one.recurrent):
                    nn.init.uniform_(linear.weight, -uniform, uniform)

    def forward(self, x: Tensor, states: States, real: Tensor | None = None) -> tuple[Tensor, States, Tensor | float]:
        """Inputs [N, T, D] and the states before -> outputs [N, T, D], the states after each [N, T, size], a penalty.

        `real` [N, T] is True at real positions, None where all are.
        """
        return self._through(x, states, real, lambda cell, x, state: cell.along(cell.project(x), state))

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States, Tensor | float]:
        """One input [N, D] and the states before it -> output [N, D], the states after it, and a penalty."""
        return self._through(x, states, None, lambda cell, x, state: cell(cell.project(x), state))

    def zeros(self, like: Tensor) -> States:
        """States of zeros for each row of `like` [N, ...]."""
        return self.unflatten(like.new_zeros(len(like), self.state_size))

    def unflatten(self, flat: Tensor) -> States:
        """[N, state_size] -> the states of the layers, the lowest first."""
        layers = flat.chunk(len(self.cells), -1)
        return tuple(tuple(layer.chunk(self.values, -1)) for layer in layers)

    def _through(
        self, x: Tensor, states: States, real: Tensor | None, run: Callable[[Cell, Tensor, CellState], CellState]
    ) -> tuple[Tensor, States, Tensor | float]:
        x, penalty = self.transform(x), 0.0
        entered, after = [], []
        for cell, state in zip(self.cells, states, strict=True):
            entered.append(x)
            after.append(run(cell, self.dropout(x), state))  # type: ignore[arg-type]
            x = self._join(self.output_dropout(after[-1][0]), entered if self.dense else entered[-1:])
            if self.between is not None and len(after) == self.between_after:
                x, penalty = self.between(x, real)
        return x, tuple(after), penalty

    def _join(self, output: Tensor, entered: list[Tensor]) -> Tensor:
        if self.residual == "none":
            return output
        if self.residual == "concat":
            return torch.cat([output, *entered], -1)
        together = torch.stack(entered)
        return output + (together.mean(0) if self.residual == "mean" else together.sum(0))


def stack_widths(input_size: int, size: int, layers: int, residual: Residual, *, dense: bool) -> list[int]:
    """How wide the inputs of each layer of a `RecurrentStack` are, and last the stack's output."""
    if layers == 1 or residual == "none":
        return [input_size, *[size] * layers]
    if residual != "concat":
        return [size] * (layers + 1)
    widths = [input_size]
    for _ in range(layers):
        widths.append(size + sum(widths if dense else widths[-1:]))
    return widths


def at(states: States, places: Tensor) -> States:
    """Of states after each position, [N, T, D] each, those at one place [N] a row."""
    rows = torch.arange(len(places), device=places.device)
    return tuple(tuple(value[rows, places] for value in layer) for layer in states)


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Turn each row of [B, S, ...] round within its length; padding stays where it is."""
    places = torch.arange(x.size(1), device=x.device)[None]  # [1, S]
    places = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    return x.gather(1, places.view(*places.shape, *[1] * (x.ndim - 2)).expand_as(x))
