"""How a search goes on from all possible next tokens: what it looks at, what may end, and what it keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqloom.search import sampling
from seqloom.search.largest import Extensions
from seqloom.search.options import SearchOptions
from seqloom.structures import Rows, State


@dataclass(frozen=True)
class UnderWay(Rows):
    """The hypotheses under way: K rows a sentence, N in all."""

    state: State
    tokens: Tensor  # [N, t], bos first
    log_probs: Tensor  # [N]
    token_log_probs: Tensor  # [N, t - 1] of each token, given those before it
    attention: Tensor | None  # [N, L, H, t - 1, S]
    covered: Tensor | None = None  # [N, S] the attention that each source position got so far
    carried: Any = None  # what the chooser remembers of each row: tensors with N rows


@dataclass(frozen=True)
class Candidates:
    """Extensions of each of B sentences' rows, the most likely first, [B, C] each."""

    log_probs: Tensor  # of the hypothesis as a whole; -inf where there is no candidate
    parents: Tensor  # which of its sentence's K rows is extended
    tokens: Tensor
    may_end: Tensor  # where an eos is a hypothesis found; others that end are dropped


class Chooser(ABC):
    """One way to choose.  It holds nothing of a search under way: what it must remember of a row, it carries.

    Where there are several `groups` of rows, each is a beam of its own: one result after the other is taken of each.
    """

    groups: int = 1

    def __init__(self, options: SearchOptions):
        self.options, self.width = options, options.width

    @property
    def group_width(self) -> int:
        """How many of a sentence's rows belong to one group; row k belongs to group k // group_width."""
        return self.width // self.groups

    def enough(self, sentence: int) -> float:
        """How many hypotheses found by a group of rows end its search, in this sentence of the batch."""
        return self.options.enough(self.group_width)

    def start(self, sentences: Tensor) -> Any:
        """What is carried for each first row, N = B * K in all; `sentences` [B] are their numbers in the text."""
        return None

    def first(self, sentences: int, device: torch.device) -> Tensor:
        """The log-probabilities of the first rows, [B, K]: all but one impossible, since they are the same."""
        log_probs = torch.full((sentences, self.width), -torch.inf, device=device)
        log_probs[:, 0] = 0
        return log_probs

    @abstractmethod
    def candidates(self, beam: UnderWay, log_probs: Tensor) -> Candidates:
        """What is looked at, given the log-probabilities [N, V] of every next token."""

    def keep(self, candidates: Candidates, live: Tensor) -> Tensor:
        """Which K candidates go on, [B, K]; `live` [B, C] are their log-probabilities, -inf where one has ended."""
        return live.topk(self.width)[1]

    def carry(self, carried: Any, tokens: Tensor) -> Any:
        """What is carried on, given what was carried for the rows' parents and the tokens [N] that follow them."""
        return carried


class Likeliest(Chooser):
    """Beam search: the 2K likeliest extensions, so that even if K of them end here, K go on."""

    def candidates(self, beam: UnderWay, log_probs: Tensor) -> Candidates:
        K, V = self.width, log_probs.size(1)
        best, index = Extensions(log_probs).best(beam.log_probs, rows=K, count=2 * K)
        may_end = (torch.arange(best.size(1), device=best.device) < K).expand_as(best)
        return Candidates(best, index // V, index % V, may_end)


class Drawn(Chooser):
    """One extension of each row, drawn at random; what a draw follows from is carried, a key for each row."""

    def start(self, sentences: Tensor) -> Tensor:
        return sampling.keys(self.options.seed, sentences, self.width)

    def first(self, sentences: int, device: torch.device) -> Tensor:
        """Every row is a sample."""
        return torch.zeros(sentences, self.width, device=device)

    def candidates(self, beam: UnderWay, log_probs: Tensor) -> Candidates:
        likely = sampling.tempered(log_probs, self.options.temperature, self.options.top_k, self.options.top_p)
        tokens = sampling.draw(likely, beam.carried, beam.tokens.size(1))  # [N]
        totals = beam.log_probs + log_probs.gather(1, tokens[:, None])[:, 0]
        best, parents = totals.view(-1, self.width).sort(descending=True, stable=True)
        tokens = tokens.view(-1, self.width).gather(1, parents)
        return Candidates(best, parents, tokens, torch.ones_like(best, dtype=torch.bool))


def chooser_of(options: SearchOptions) -> Chooser:
    """The one that these options ask for."""
    from seqloom.search.diverse import Groups  # which is a Chooser itself

    if options.sample:
        return Drawn(options)
    return Groups(options) if options.diverse_groups > 1 else Likeliest(options)
