"""Several models that translate as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqloom.decoders.base import Decoder
from seqloom.models.base import Model
from seqloom.structures import Encoded, Output, Sequences, State


@dataclass(frozen=True)
class EncodedByEach(Encoded):
    """What each member says about the source; the fields of its own are those of the member with the most positions."""

    members: tuple[Encoded, ...] = ()


@dataclass(frozen=True)
class StateOfEach(State):
    """What each member remembers."""

    members: tuple[State, ...]
    positions: int  # S, that of the member with the most: attention over others is not shown


class EnsembleDecoder(Decoder):
    """Several decoders that see the same target: a token's probability is the mean of theirs.

    Its features are already the logarithms of these probabilities, [N, T, V], and projecting them changes nothing.
    Attention is that of each member, layer behind layer; where the numbers of heads differ, the mean over heads.
    """

    def __init__(self, members: Sequence[Decoder]):
        super().__init__()
        self.members, self.readout = nn.ModuleList(members), nn.Identity()

    def start(self, source: Encoded) -> StateOfEach:
        assert isinstance(source, EncodedByEach)
        states = [member.start(own) for member, own in zip(self.members, source.members, strict=True)]  # type: ignore
        return StateOfEach(tuple(states), source.mask.size(1))

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, StateOfEach]:
        assert isinstance(state, StateOfEach)
        said, states, shown = [], [], []
        for member, own in zip(self.members, state.members, strict=True):
            output, after = member(tokens, own, weights=weights)
            said.append(member.project(output.features).float().log_softmax(-1))  # type: ignore[operator]
            states.append(after)
            shown.append(output.attention)
        probability = torch.stack(said).logsumexp(0) - math.log(len(said))  # [N, T, V], the logarithm of the mean
        attention = _side_by_side([one for one in shown if one is not None and one.size(-1) == state.positions])
        return Output(probability, attention), StateOfEach(tuple(states), state.positions)


class Ensemble(Model):
    """Models of any kind that share source and target symbols and translate as one: in use, not in training.

    Probabilities are averaged as in https://arxiv.org/abs/1409.3215, 3.6, at every step of one search.
    """

    def __init__(self, members: Sequence[Model]):
        """Raises ValueError if there are none."""
        if not members:
            raise ValueError("an ensemble needs at least one model")
        super().__init__()
        self.members = nn.ModuleList(members)
        self.decoder = EnsembleDecoder([member.decoder for member in members])

    def encode(self, source: Sequences, *, weights: bool = False) -> EncodedByEach:
        """Source sentences [B, S] -> what each member says of them; `weights` is handed on to each."""
        each = tuple(member.encode(source, weights=weights) for member in self.members)  # type: ignore[operator]
        widest = max(each, key=lambda encoded: encoded.mask.size(1))
        return EncodedByEach(widest.keys, widest.values, widest.mask, widest.summary, members=each)

    def labels(self, tokens: Sequence[str]) -> list[str]:
        """Those of the member with the most positions."""
        return max((member.labels(tokens) for member in self.members), key=len)  # type: ignore


def _side_by_side(shown: Sequence[Tensor]) -> Tensor | None:
    """Attentions [N, L, H, T, S] of several members as one with all their layers; None if there are none."""
    if len({attention.size(2) for attention in shown}) > 1:
        shown = [attention.mean(2, keepdim=True) for attention in shown]
    return torch.cat(list(shown), 1) if shown else None
