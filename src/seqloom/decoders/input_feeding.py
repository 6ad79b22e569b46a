"""The recurrent decoder that asks after each step and is told at the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.attention.base import Attention, in_time
from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.decoders.base import Decoder, told
from seqloom.layers.bridges import Bridge, DenseBridge
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import FeedForward
from seqloom.layers.recurrent import Cell, GRUCell, RecurrentStack, Residual, States, stack_widths
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Memory, Output, State, Widths


@dataclass(frozen=True)
class InputFeedingState(State):
    """Each layer's state, what the next step will be told, and what attention will look at."""

    layers: States
    fed: Tensor | None  # [N, F]
    memory: Memory | None


@register()
class InputFeedingDecoder(Decoder):
    """Recurrent layers whose output s(i) asks attention for a context c(i); https://arxiv.org/abs/1508.04025, 3.

    The features are h(i) = tanh(W [s(i); c(i)]), equation 5.  The next step's input is the next token beside c(i), or
    beside h(i) as in 3.3.  Without attention the features are the outputs s(i) themselves, and the source speaks
    through the bridge alone (https://arxiv.org/abs/1409.3215).
    """

    def __init__(
        self,
        embedding: Embedding,
        widths: Widths,
        *,
        attention: Callable[..., Attention] | None = None,
        bridge: Callable[..., Bridge] = DenseBridge,
        feed: Literal["context", "features"] = "context",
        cell: Callable[..., Cell] = GRUCell,
        size: Positive = 256,
        layers: Positive = 1,
        residual: Residual = "none",
        dense: bool = False,
        dropout: Rate = 0.0,
        output_dropout: Rate = 0.0,
        uniform: NotNegative | None = None,
        between: Callable[..., FeedForward] | None = None,
        between_after: Positive = 1,
    ):
        """`dropout` acts on what enters each layer, `output_dropout` on what leaves it.

        `residual`, `dense`, `uniform`, `between` and `between_after` are those of `RecurrentStack`.  Where attention is
        asked at each step, the network `between` sees the tokens of one step at a time.
        """
        super().__init__()
        self.embedding, self.feeds_context = embedding, feed == "context"
        fed = 0 if attention is None else widths.values if self.feeds_context else size
        query_size = stack_widths(embedding.size + fed, size, layers, residual, dense=dense)[-1]
        self.attention = attention(query_size=query_size, widths=widths) if attention else None
        if self.attention and self.feeds_context:
            fed = self.attention.output_size
            if stack_widths(embedding.size + fed, size, layers, residual, dense=dense)[-1] != query_size:
                raise ValueError("residual: concat needs an attention whose context is as wide as the encoder's values")
        self.stack = RecurrentStack(
            embedding.size + fed,
            cell=cell,
            size=size,
            layers=layers,
            dropout=dropout,
            output_dropout=output_dropout,
            residual=residual,
            dense=dense,
            uniform=uniform,
            between=between,
            between_after=between_after,
        )
        self.bridge = bridge(widths=widths, state_size=self.stack.state_size)
        self.mixture = nn.Linear(query_size + self.attention.output_size, size) if self.attention else None
        self.fed, self.readout = fed, embedding.projection(size if self.attention else query_size)

    def start(self, source: Encoded) -> InputFeedingState:
        first = self.bridge(source)
        fed = first.new_zeros(len(first), self.fed) if self.attention else None
        memory = self.attention.memory(source) if self.attention else None
        return InputFeedingState(self.stack.unflatten(first), fed, memory)

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, InputFeedingState]:
        assert isinstance(state, InputFeedingState)
        embedded = self.embedding(tokens)  # [N, T, D]
        if self.attention is None:
            x, layers, penalty = self.stack(embedded, state.layers)
            return Output(x, penalty=penalty), InputFeedingState(_last(layers), None, None)
        outputs, fed, seen = [], [], []
        for inputs in embedded.unbind(1):
            output, state, looked = self._step(inputs, state, weights=weights)
            outputs.append(output)
            fed.append(state.fed)
            seen.append(looked)
        attended = in_time(seen)
        if self.feeds_context:  # features that no step waits for are made all at once
            features = self._features(torch.stack(outputs, 1), attended.context)
        else:
            features = torch.stack(fed, 1)  # type: ignore[arg-type]
        return told(features, attended), state

    def _step(
        self, inputs: Tensor, state: InputFeedingState, *, weights: bool
    ) -> tuple[Tensor, InputFeedingState, Attended]:
        """One embedded token [N, D] -> the output [N, D], the state after it, and what was seen."""
        assert self.attention is not None and state.fed is not None
        both = torch.cat([inputs, state.fed.to(inputs.dtype)], -1)
        output, layers, penalty = self.stack.step(both, state.layers)
        seen = self.attention(output[:, None], state.memory, weights=weights)
        seen = replace(seen, penalty=seen.penalty + penalty)
        context = seen.context[:, 0]
        fed = context if self.feeds_context else self._features(output, context)
        return output, InputFeedingState(layers, fed, seen.memory), seen

    def _features(self, output: Tensor, context: Tensor) -> Tensor:
        """Output and context [..., D] -> features [..., size]."""
        assert self.mixture is not None
        return torch.tanh(self.mixture(torch.cat([output, context], -1)))


def _last(states: States) -> States:
    return tuple(tuple(value[:, -1] for value in layer) for layer in states)
