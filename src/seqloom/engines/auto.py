"""The fast engine for what it can do, and another for the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np

from seqloom.data.lengths import cut_among
from seqloom.engines.base import Engine, Found, Request

log = logging.getLogger(__name__)


class AutoEngine(Engine):
    """A fast engine with one behind it that can do everything, and is loaded once it is needed."""

    name: ClassVar[str] = "auto"
    makes_batches: ClassVar[bool] = True

    def __init__(self, fast: Engine, load: Callable[[], Engine]):
        """`load` makes the engine that can do everything."""
        self.fast, self._load = fast, load

    @cached_property
    def _other(self) -> Engine:
        return self._load()

    def search(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        return self._searched(sources, request, "The %s engine knows %s; the native engine translates.")

    def search_again(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        again = "What is degenerate is searched for again by the native engine: the %s engine knows %s."
        return self._searched(sources, request, again)

    def _searched(self, sources: Sequence[Sequence[int]], request: Request, notice: str) -> list[Found]:
        reason = self.refusal_of_fast(request)
        if reason is None:
            return self.fast.search(sources, request)
        if "_other" not in vars(self):
            log.warning(notice, self.fast.name, reason)
        return self._by_the_other(sources, request)

    def _by_the_other(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        """The same, in batches that suit the engine which can do everything."""
        lengths = np.array([len(source) + 1 for source in sources])
        ends = cut_among(lengths, self._other.batch_tokens(request.options), self._other.workers)
        parts = [range(*pair) for pair in pairwise(ends.tolist())]

        def search(part: range) -> list[Found]:
            return self._other.search([sources[row] for row in part], request.only(part))

        if request.numbers is None:
            request = replace(request, numbers=range(len(sources)))
        return [found for founds in self._other.at_once(search, parts) for found in founds]

    def score(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[list[float]]:
        return self.fast.score(sources, targets)

    def refusal_of_fast(self, request: Request) -> str | None:
        """Why the fast engine won't do; None where it will."""
        if request.attention and not self.fast.whole_attention:
            return "no attention of all layers and heads"
        return self.fast.refusal(request)

    def fingerprint(self) -> str:
        return self.fast.fingerprint()

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.fast.labels(tokens)
