"""Gated convolutions whose variance stays what it is, the blocks of ConvS2S; https://arxiv.org/abs/1705.03122, 3."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from seqloom.bounds import Positive
from seqloom.layers.dropout import Dropout

Layers = tuple[tuple[Positive, Positive, Positive], ...]  # size, kernel and number of layers of a kind, lowest first


def joined(x: Tensor, y: Tensor) -> Tensor:
    """The sum of two, scaled so that its variance is theirs where they vary independently; 3.4."""
    return (x + y) * math.sqrt(0.5)


def normalized(
    input_size: int, output_size: int, *, dropout: float = 0.0, gain: float = 1.0, bias: bool = True
) -> nn.Linear:
    """A linear layer with weights w = g v / |v| for each output (https://arxiv.org/abs/1602.07868, equation 2).

    They start in N(0, gain (1 - dropout) / input_size), where `dropout` is that of what enters; biases at 0 (3.5).
    """
    linear = nn.Linear(input_size, output_size, bias)
    nn.init.normal_(linear.weight, std=math.sqrt(gain * (1 - dropout) / input_size))
    if bias:
        nn.init.zeros_(linear.bias)
    return cast(nn.Linear, weight_norm(linear, dim=0))


class GatedConvolution(nn.Module):
    """A * sigmoid(B) of features A and gates B, both made of `kernel` neighbours by one linear layer; 3.2."""

    def __init__(self, input_size: int, size: int, kernel: int, *, dropout: float):
        super().__init__()
        self.kernel = kernel
        self.linear = normalized(kernel * input_size, 2 * size, dropout=dropout, gain=4)  # gates halve what passes

    def forward(self, x: Tensor) -> Tensor:
        """[N, kernel - 1 + T, D] -> [N, T, size], for the T runs of `kernel` neighbours."""
        x, T = _as_multiplied(x), x.size(1) - self.kernel + 1
        # one product with the neighbours side by side: on the CPU, forwards and backwards, faster than conv1d
        neighbours = torch.cat([x[:, tap : tap + T] for tap in range(self.kernel)], -1)  # [N, T, kernel * D]
        return F.glu(self.linear(neighbours), -1)


class GatedBlock(nn.Module):
    """A gated convolution with dropout before it and a way round it."""

    def __init__(self, input_size: int, size: int, kernel: int, *, dropout: float):
        super().__init__()
        self.dropout = Dropout(dropout)
        self.convolution = GatedConvolution(input_size, size, kernel, dropout=dropout)
        self.around = way_round(input_size, size)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[B, S, D] and which positions are real, [B, S, 1] of ones and zeros -> [B, S, size].

        A sentence is convolved as if zeros stood on both sides; an even kernel reaches one position further ahead.
        """
        before = (self.convolution.kernel - 1) // 2
        inside = F.pad(self.dropout(x) * real, (0, 0, before, self.convolution.kernel - 1 - before))
        return joined(self.convolution(inside), self.around(x))


def way_round(input_size: int, size: int) -> nn.Module:
    """What is added to what a layer makes: what entered it, projected where the width changes."""
    return nn.Identity() if input_size == size else normalized(input_size, size)


def shapes(layers: Layers) -> Iterator[tuple[int, int, int]]:
    """What enters each layer, its size and its kernel; the first is as wide inside as out.  ValueError if none."""
    if not layers:
        raise ValueError("layers must name the size, kernel and number of at least one layer, such as [[256, 3, 4]]")
    before = layers[0][0]
    for size, kernel, count in layers:
        for _ in range(count):
            yield before, size, kernel
            before = size


def _as_multiplied(x: Tensor) -> Tensor:
    """`x` as matrix products will see it: to copy its neighbours is cheaper then."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x
