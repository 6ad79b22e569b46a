"""What may be generated."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seqloom.search.options import SearchOptions
from seqloom.vocabulary import EOS


class Rule(ABC):
    """A say in every step of a search."""

    spares: ClassVar[bool] = False  # whether some token is always left

    @abstractmethod
    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        """Log-probabilities [N, V] of what follows tokens [N, t] (bos first) -> those to search with.

        `sentences` [N] says which of the batch's sources each row translates.  What is given may be written to.
        """


class Forbid(Rule):
    """Some symbols never; the end must not be one of them."""

    spares: ClassVar[bool] = True

    def __init__(self, symbols: Sequence[int]):
        self.symbols = torch.tensor(symbols)

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        self.symbols = self.symbols.to(log_probs.device)
        return log_probs.index_fill_(1, self.symbols, -math.inf)


class ForbidPhrases(Rule):
    """Some sequences of symbols never: the last symbol of one is left out wherever the others stand before it."""

    def __init__(self, phrases: Sequence[Sequence[int]]):
        """`phrases` are not empty and have no end sign in them."""
        self.last: dict[int, dict[tuple[int, ...], set[int]]] = defaultdict(lambda: defaultdict(set))
        for *before, last in phrases:
            self.last[len(before)][tuple(before)].add(last)

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        written = tokens[:, 1:].tolist()
        for length, phrases in self.last.items():
            for row, so_far in enumerate(written):
                if len(so_far) >= length and (found := phrases.get(tuple(so_far[len(so_far) - length :]))):
                    log_probs[row, list(found)] = float("-inf")
        return log_probs


@dataclass(frozen=True)
class NoEndBefore(Rule):
    """A target has at least so many tokens, its end included."""

    length: int

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        if tokens.size(1) < self.length:
            log_probs[:, EOS] = float("-inf")
        return log_probs


@dataclass(frozen=True)
class NoRepeat(Rule):
    """No sequence of n tokens comes twice in a target."""

    n: int

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        written = tokens[:, 1:]
        if written.size(1) < self.n:
            return log_probs
        seen = written.unfold(1, self.n, 1)  # [N, how many, n]
        end = written[:, written.size(1) - self.n + 1 :]  # [N, n - 1]
        rows, places = (seen[..., :-1] == end[:, None]).all(-1).nonzero(as_tuple=True)
        log_probs[rows, seen[rows, places, -1]] = float("-inf")
        return log_probs


@dataclass(frozen=True)
class Together(Rule):
    """Rules one after the other; where they leave no token at all, the end."""

    rules: Sequence[Rule]

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        end = None if all(rule.spares for rule in self.rules) else log_probs[:, EOS].clone()
        for rule in self.rules:
            log_probs = rule.apply(log_probs, tokens, sentences)
        if end is not None:
            nothing = log_probs.amax(1) == -torch.inf
            log_probs[:, EOS] = torch.where(nothing, end, log_probs[:, EOS])
        return log_probs


class Forced(Rule):
    """The target of sentence b begins with prefixes[b], whatever the other rules say of that; they hold behind it."""

    def __init__(self, prefixes: Sequence[Sequence[int]], behind: Rule, device: torch.device):
        self.longest, self.behind = max(map(len, prefixes)), behind
        padded = [[*prefix, *[EOS] * (self.longest - len(prefix))] for prefix in prefixes]
        self.prefixes = torch.tensor(padded, device=device)  # [B, T]
        self.lengths = torch.tensor([len(prefix) for prefix in prefixes], device=device)  # [B]

    def apply(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        place = tokens.size(1) - 1
        if place >= self.longest:
            return self.behind.apply(log_probs, tokens, sentences)
        wanted = self.prefixes[sentences, place][:, None]  # [N, 1]
        only = torch.full_like(log_probs, -torch.inf).scatter(1, wanted, log_probs.gather(1, wanted))
        within = (self.lengths[sentences] > place)[:, None]
        return torch.where(within, only, self.behind.apply(log_probs, tokens, sentences))


def rule_of(
    options: SearchOptions, more: Sequence[Rule], prefixes: Sequence[Sequence[int]] | None, device: torch.device
) -> Rule:
    """All that these options, `more` rules and the prefix of each sentence say, as one rule."""
    rules = list(more)
    if options.min_length > 1:
        rules.append(NoEndBefore(options.min_length))
    if options.no_repeat_ngram is not None:
        rules.append(NoRepeat(options.no_repeat_ngram))
    together = Together(rules)
    return Forced(prefixes, together, device) if prefixes and any(prefixes) else together
