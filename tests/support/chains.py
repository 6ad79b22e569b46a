"""Decoders that are tables: what they say can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from seqloom.decoders import Decoder
from seqloom.structures import Encoded, Output, State


@dataclass(frozen=True)
class Tables(State):
    """What each row goes by."""

    tables: Tensor  # [N, V, V]


class Chain(Decoder):
    """The next token depends on the last one alone, by a table [V, V] of log-probabilities for each sentence."""

    def __init__(self, tables: np.ndarray):
        super().__init__()
        self.tables = torch.as_tensor(tables).float()  # [B, V, V]
        self.readout = nn.Identity()

    def start(self, source: Encoded) -> Tables:
        return Tables(self.tables[source.summary[:, 0].long()])

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, Tables]:
        assert isinstance(state, Tables)
        return Output(state.tables.gather(1, tokens[..., None].expand(-1, -1, state.tables.size(2)))), state


def random_chain(seed: int, sentences: int, symbols: int) -> Chain:
    """Tables drawn at random, sharp or flat."""
    numbers = np.random.default_rng(seed)
    sharpness = numbers.choice([0.2, 1.0, 5.0])
    tables = numbers.dirichlet(np.full(symbols, sharpness), (sentences, symbols)) + 1e-6
    return Chain(np.log(tables / tables.sum(-1, keepdims=True)))


def numbered(sentences: int) -> Encoded:
    """Sources of one token whose summary is their own number."""
    keys = torch.zeros(sentences, 1, 1)
    return Encoded(keys, keys, torch.ones(sentences, 1, dtype=torch.bool), torch.arange(sentences)[:, None].float())
