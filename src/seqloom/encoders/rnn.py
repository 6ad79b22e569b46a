"""The recurrent encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.encoders.base import Encoder
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import FeedForward
from seqloom.layers.recurrent import Between, Cell, GRUCell, RecurrentStack, Residual, States, at, reverse
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths


@register()
class RNNEncoder(Encoder):
    """Recurrent layers that read the sentence forwards, or forwards and backwards (https://arxiv.org/abs/1409.0473).

    The summary is what the top layer said last; of both directions, one behind the other, where there are two.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: Callable[..., Cell] = GRUCell,
        size: Positive = 256,
        layers: Positive = 1,
        bidirectional: bool = True,
        meet: Literal["every_layer", "top"] = "every_layer",
        residual: Residual = "none",
        dense: bool = False,
        summary: Literal["top", "backward", "all"] = "top",
        dropout: Rate = 0.0,
        output_dropout: Rate | None = None,
        uniform: NotNegative | None = None,
        between: Callable[..., FeedForward] | None = None,
        between_after: Positive = 1,
    ):
        """`size` is that of one direction.  The directions `meet` after every layer, or at the top only.

        `summary` "all": every layer's whole last state, side by side; "backward": what the top layer's backward
        direction said last, at the first token.  `residual`, `dense` and `uniform` are those of `RecurrentStack`;
        residual connections need directions that meet at the top.  `dropout` acts on what enters each layer and on the
        outputs; with an `output_dropout`, that acts on what leaves each layer instead.  What leaves layer
        `between_after` goes through the network `between`, and round it: in each direction for itself, or behind both
        where they meet there.  Raises ValueError for a combination that can't be.
        """
        super().__init__()
        at_the_top = meet == "top" or not bidirectional
        if residual != "none" and not at_the_top:
            raise ValueError("residual connections go along one direction: they need meet: top")
        if summary == "backward" and not bidirectional:
            raise ValueError("summary: backward needs an encoder that reads backwards too: bidirectional: true")
        self.directions, self.summary = 2 if bidirectional else 1, summary
        self.embedding, self.dropout = embedding, Dropout(dropout if output_dropout is None else 0.0)
        self.levels, width = nn.ModuleList(), embedding.size
        for _ in range(1 if at_the_top else layers):
            stacks = [
                RecurrentStack(
                    width,
                    cell=cell,
                    size=size,
                    layers=layers if at_the_top else 1,
                    dropout=dropout,
                    output_dropout=output_dropout or 0.0,
                    residual=residual,
                    dense=dense,
                    uniform=uniform,
                    between=between if at_the_top else None,
                    between_after=between_after,
                )
                for _ in range(self.directions)
            ]
            width = self.directions * stacks[0].output_size
            self.levels.append(nn.ModuleList(stacks))
        behind = between if not at_the_top else None  # else it is in the stacks
        self.between = Between(behind, width, after=between_after, layers=layers) if behind else None
        self.between_after = between_after
        top = stacks[0].output_size
        whole = len(self.levels) * self.directions * stacks[0].state_size
        self.widths = Widths(width, width, {"top": width, "backward": top, "all": whole}[summary])

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        x = self.embedding(source.ids)
        finals: list[Tensor] = []
        penalty: Tensor | float = 0.0
        for read, level in enumerate(self.levels, 1):
            assert isinstance(level, nn.ModuleList)
            sides = [self._read(stack, x, source.mask, backward=d == 1) for d, stack in enumerate(level)]  # type: ignore[arg-type]
            outputs, lasts, states, penalties = zip(*sides, strict=True)
            x, penalty = torch.cat(outputs, -1), sum(penalties, start=penalty)
            # layer by layer and value by value, both directions behind each other, as a decoder of both widths wants it
            finals += [torch.cat(both, -1) for layer in zip(*states, strict=True) for both in zip(*layer, strict=True)]
            if self.between is not None and read == self.between_after:
                x, cost = self.between(x, source.mask)
                penalty = penalty + cost
        x = self.dropout(x)
        said = {"top": list(lasts), "backward": [lasts[-1]], "all": finals}[self.summary]
        return Encoded(x, x, source.mask, torch.cat(said, -1), penalty=penalty, ids=source.ids)

    def _read(
        self, stack: RecurrentStack, x: Tensor, mask: Tensor, *, backward: bool
    ) -> tuple[Tensor, Tensor, States, Tensor | float]:
        """Outputs [B, S, D] in reading order, the last one read [B, D], the states after it, and a penalty."""
        lengths = mask.sum(1)
        outputs, states, penalty = stack(reverse(x, lengths) if backward else x, stack.zeros(x), mask)
        last = at(((outputs,),), lengths - 1)[0][0]
        return reverse(outputs, lengths) if backward else outputs, last, at(states, lengths - 1), penalty
