"""Bridges: what a recurrent decoder starts from, made of what an encoder says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from seqloom.registry import register
from seqloom.structures import Encoded, Widths

ACTIVATIONS = {"identity": nn.Identity, "tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


class Bridge(nn.Module, ABC):
    """Makes the first state of a decoder, all of its layers side by side, `state_size` wide."""

    given: ClassVar[tuple[str, ...]] = ("widths", "state_size")

    def __init__(self, widths: Widths, state_size: int):
        super().__init__()
        self.state_size = state_size

    @abstractmethod
    def forward(self, source: Encoded) -> Tensor:
        """[B, state_size]."""


@register("zero")
class ZeroBridge(Bridge):
    """The decoder starts from nothing, and learns of the source through attention alone."""

    def forward(self, source: Encoded) -> Tensor:
        return source.summary.new_zeros(len(source.summary), self.state_size)


@register("pass_through")
class PassThroughBridge(Bridge):
    """The decoder starts from the summary as it is, so an encoder of like layers must give its whole last state."""

    def __init__(self, widths: Widths, state_size: int):
        """Raises ValueError where the widths differ."""
        super().__init__(widths, state_size)
        if widths.summary != state_size:
            raise ValueError(
                f"the encoder's last state is {widths.summary} wide and the decoder's first {state_size}, "
                "so one can't become the other as it is; use DenseBridge, or as many layers of as many cells"
            )

    def forward(self, source: Encoded) -> Tensor:
        return source.summary


@register("dense")
class DenseBridge(Bridge):
    """One linear layer from the summary, or from the mean of keys or values, to the state."""

    def __init__(
        self,
        widths: Widths,
        state_size: int,
        *,
        activation: Literal["identity", "tanh", "relu", "sigmoid"] = "identity",
        of: Literal["summary", "keys", "values"] = "summary",
    ):
        super().__init__(widths, state_size)
        self.of, self.linear = of, nn.Linear(getattr(widths, of), state_size)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, source: Encoded) -> Tensor:
        x = getattr(source, self.of)
        return self.activation(self.linear(x if self.of == "summary" else mean(x, source.mask)))  # type: ignore[no-any-return]


def mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of [B, S, D] over the real positions, [B, D]."""
    real = mask[..., None]
    return torch.where(real, x, 0).sum(1) / real.sum(1)
