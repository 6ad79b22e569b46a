"""A decoder with fewer symbols: all it is told and all it says is about some of another's, numbered anew.

So a search that is to look at a shortlist only is a search as ever, with a smaller vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.decoders.base import Decoder
from seqloom.search.hypothesis import Hypothesis
from seqloom.search.phrases import Borders, Phrase, Phrases
from seqloom.search.trace import Trace
from seqloom.structures import Encoded, Output, State


class NarrowedDecoder(Decoder):
    """Another decoder, of whose symbols only these [V'] exist; those of its weights that say nothing else are left out.

    It is made for a batch and holds copies of weights: nothing to train.
    """

    def __init__(self, decoder: Decoder, symbols: Tensor):
        super().__init__()
        self.decoder, self.symbols = decoder, symbols
        self.readout = narrowed(decoder.readout, symbols)

    def start(self, source: Encoded) -> State:
        return self.decoder.start(source)

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, State]:
        said: tuple[Output, State] = self.decoder(self.symbols[tokens], state, weights=weights)
        return said


def narrowed(readout: nn.Module, symbols: Tensor) -> nn.Module:
    """What makes the logits of these symbols [V']; of a linear layer at the end only their rows are used."""
    if isinstance(readout, nn.Linear):
        return _Rows(readout.weight[symbols], None if readout.bias is None else readout.bias[symbols])
    if isinstance(readout, nn.Sequential) and len(readout):
        *before, last = readout
        return nn.Sequential(*before, narrowed(last, symbols))
    return nn.Sequential(readout, _Picked(symbols))


class _Rows(nn.Module):
    """Some rows of a linear layer."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight, requires_grad=False), bias

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight, self.bias)


class _Picked(nn.Module):
    """Some of all logits."""

    def __init__(self, symbols: Tensor):
        super().__init__()
        self.symbols = symbols

    def forward(self, logits: Tensor) -> Tensor:
        return logits[..., self.symbols]


@dataclass(frozen=True)
class Numbering:
    """Some symbols of a vocabulary, rising, numbered from 0."""

    symbols: NDArray[np.int64]  # [V']

    def inside(self, ids: Sequence[int]) -> list[int]:
        """The new numbers of these symbols; ValueError for one that isn't among them."""
        wanted = np.asarray(ids, np.int64)
        places = np.searchsorted(self.symbols, wanted)
        if len(wanted) and not np.array_equal(self.symbols[np.minimum(places, len(self.symbols) - 1)], wanted):
            raise ValueError("a symbol is none of those that were chosen")
        return places.tolist()  # type: ignore[no-any-return]

    def outside(self, ids: Sequence[int]) -> list[int]:
        """The symbols that have these numbers."""
        return self.symbols[np.asarray(ids, np.int64)].tolist()  # type: ignore[no-any-return]

    def has(self, ids: Sequence[int]) -> bool:
        """Whether all of these symbols are among them."""
        return bool(np.isin(np.asarray(ids, np.int64), self.symbols).all())

    def phrases(self, phrases: Phrases) -> Phrases:
        """The same phrases in new numbers."""
        borders = {name: self._kept(flags) for name, flags in vars(phrases.borders).items()}
        of = [[self._phrase(phrase) for phrase in row] for row in phrases.of]
        return Phrases(of, Borders(**borders))

    def _phrase(self, phrase: Phrase) -> Phrase:
        alternatives, initial = (
            tuple(tuple(self.inside(words)) for words in each) for each in (phrase.alternatives, phrase.initial)
        )
        return replace(phrase, alternatives=alternatives, initial=initial)

    def _kept(self, flags: Any) -> Any:
        return flags[torch.from_numpy(self.symbols) if isinstance(flags, Tensor) else self.symbols]

    def hypothesis(self, found: Hypothesis) -> Hypothesis:
        """What was found, in the vocabulary's own symbols."""
        return replace(found, tokens=self.outside(found.tokens))

    def trace(self, trace: Trace | None) -> Trace | None:
        """The same of a trace."""
        if trace is None:
            return None
        symbols = self.symbols.tolist()
        return Trace(tuple(tuple(replace(c, token=symbols[c.token]) for c in step) for step in trace.steps))
