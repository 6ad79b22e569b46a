"""What every decoder does.  One method serves training, all positions at once, and search, one token at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from seqloom.structures import Attended, Encoded, Output, State


class Decoder(nn.Module, ABC):
    """Says what may follow the target so far.

    The contract: a decoder is causal, and feeding a target in pieces, handing the state on, gives what feeding it whole
    gives.  It is given the embedding of target symbols and the widths of what the encoder says.  A subclass sets
    `readout`, the layer from features to logits.
    """

    given: ClassVar[tuple[str, ...]] = ("embedding", "widths")
    copies: ClassVar[bool] = False  # whether it writes symbols of the source, which must be the target's, too
    readout: nn.Module

    @abstractmethod
    def start(self, source: Encoded) -> State:
        """The state before the first token; it holds all that the decoder needs of the source."""

    @abstractmethod
    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, State]:
        """Tokens [N, T] -> features [N, T, D] of what follows each, and the state after the last.

        `weights` asks for attention over the source, [N, L, H, T, S]; None from a decoder that has none.
        """

    def project(self, features: Tensor) -> Tensor:
        """Features [..., D] -> logits [..., V]; called by whoever needs them, as late as possible."""
        return self.readout(features)  # type: ignore[no-any-return]


def told(features: Tensor, attended: Attended | None) -> Output:
    """Features [N, T, D] and what one attention saw on the way to them, where there is one."""
    if attended is None:
        return Output(features)
    attention = None if attended.weights is None else attended.weights[:, None]  # [N, 1, H, T, S]
    return Output(features, attention, attended.penalty, attended.log_prob)
