"""Decoders that are tables of their own for each step, with attention; and search written as plainly as it can be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqloom.decoders import Decoder
from seqloom.search import SearchOptions
from seqloom.search.options import LEAST_SEEN
from seqloom.structures import Encoded, Output, State
from seqloom.vocabulary import BOS, EOS

POSITIONS = 3  # of a source


@dataclass(frozen=True)
class Place(State):
    """Which tables each row goes by, and at which step it stands."""

    tables: Tensor  # [N, T, V, V]
    looks: Tensor  # [N, T, V, S]
    step: int = 0


class Timed(Decoder):
    """What follows depends on the last token and on the step, so that no two targets are equally likely."""

    def __init__(self, tables: NDArray[np.float64], looks: NDArray[np.float64]):
        """Log-probabilities [B, T, V, V] and attention [B, T, V, S], by step and last token."""
        super().__init__()
        self.tables, self.looks, self.readout = torch.tensor(tables).float(), torch.tensor(looks).float(), nn.Identity()

    def start(self, source: Encoded) -> Place:
        rows = source.summary[:, 0].long()
        return Place(self.tables[rows], self.looks[rows])

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, Place]:
        assert isinstance(state, Place) and tokens.size(1) == 1
        rows, last = torch.arange(len(tokens)), tokens[:, 0]
        said, seen = state.tables[rows, state.step, last], state.looks[rows, state.step, last]
        attention = seen[:, None, None, None] if weights else None
        return Output(said[:, None], attention), Place(state.tables, state.looks, state.step + 1)


def drawn(seed: int, sentences: int, *, steps: int, symbols: int) -> Timed:
    """Tables drawn at random, sharp or flat."""
    numbers = np.random.default_rng(seed)
    sharpness = numbers.choice([0.3, 1.0, 5.0])
    tables = numbers.dirichlet(np.full(symbols, sharpness), (sentences, steps, symbols)) + 1e-6
    looks = numbers.dirichlet(np.full(POSITIONS, 0.5), (sentences, steps, symbols))
    return Timed(np.log(tables / tables.sum(-1, keepdims=True)), looks)


def numbered(sentences: int) -> Encoded:
    """Sources of some tokens whose summary is their own number."""
    keys, mask = torch.zeros(sentences, POSITIONS, 1), torch.ones(sentences, POSITIONS, dtype=torch.bool)
    return Encoded(keys, keys, mask, torch.arange(sentences)[:, None].float())


@dataclass(frozen=True)
class Path:
    """A target on its way."""

    tokens: tuple[int, ...] = ()
    log_prob: float = 0.0
    seen: NDArray[np.float64] = field(default_factory=lambda: np.zeros(POSITIONS))

    @property
    def ended(self) -> bool:
        return self.tokens[-1:] == (EOS,)


@dataclass(frozen=True)
class Plain:
    """The same search, one step at a time for one sentence, that never stops before there is nothing left."""

    decoder: Timed
    sentence: int
    options: SearchOptions
    limit: int
    prefix: Sequence[int] = ()
    phrases: Sequence[Sequence[int]] = ()

    def allowed(self, tokens: tuple[int, ...]) -> dict[int, float]:
        """What may follow, and its log-probability."""
        said = self.decoder.tables[self.sentence, len(tokens), (BOS, *tokens)[-1]].log_softmax(-1).tolist()
        if len(tokens) < len(self.prefix):
            return {self.prefix[len(tokens)]: said[self.prefix[len(tokens)]]}
        left = {token: p for token, p in enumerate(said) if not self._forbidden((*tokens, token))} or {EOS: said[EOS]}
        return {token: p for token, p in left.items() if token == EOS or len(tokens) + 1 < self.limit}

    def _forbidden(self, tokens: tuple[int, ...]) -> bool:
        if tokens[-1] == EOS:
            return len(tokens) < self.options.min_length
        if any(tokens[-len(phrase) :] == tuple(phrase) for phrase in self.phrases):
            return True
        n = self.options.no_repeat_ngram
        before = [] if n is None else [tokens[start : start + n] for start in range(len(tokens) - n)]
        return n is not None and tokens[-n:] in before

    def follow(self, path: Path) -> Iterator[Path]:
        """The path with one more token."""
        look = self.decoder.looks[self.sentence, len(path.tokens), (BOS, *path.tokens)[-1]].double().numpy()
        for token, log_prob in self.allowed(path.tokens).items():
            yield Path((*path.tokens, token), path.log_prob + log_prob, path.seen + look)

    def score(self, path: Path) -> float:
        """By the formulas of the papers."""
        kind, alpha, n = self.options.length_penalty_kind, self.options.length_penalty, len(path.tokens)
        divisor = {"gnmt": (5 + n) ** alpha / 6**alpha, "average": n**alpha, "none": 1.0}[kind]
        coverage = sum(math.log(max(min(share, 1.0), LEAST_SEEN)) for share in path.seen)
        return path.log_prob / divisor + self.options.coverage_penalty * coverage

    def everything(self, path: Path = Path()) -> Iterator[Path]:  # noqa: B008 - frozen
        """Every target there is."""
        for longer in self.follow(path):
            yield from [longer] if longer.ended else self.everything(longer)

    def groups(self) -> list[list[Path]]:
        """What each group of a beam finds, the best first."""
        G, k = self.options.diverse_groups, self.options.beam_size // self.options.diverse_groups
        alive, found = [[Path()] for _ in range(G)], [list[Path]() for _ in range(G)]
        for _ in range(self.limit):
            used: Counter[int] = Counter()
            for group in range(G):
                longer = [path for before in alive[group] for path in self.follow(before)]
                longer.sort(key=lambda path: used[path.tokens[-1]] * self.options.diversity - path.log_prob)
                found[group] += [path for path in longer[:k] if path.ended]
                alive[group] = [path for path in longer[: 2 * k] if not path.ended][:k]
                used.update(path.tokens[-1] for path in alive[group])
            found = [paths[:1] if k == 1 else paths for paths in found]  # greedy search takes the first end
        return [sorted(paths, key=lambda path: -self.score(path)) for paths in found]
