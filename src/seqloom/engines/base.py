"""What every engine does.  Nothing here needs PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, TypeVar

from seqloom.errors import UsageError
from seqloom.search.hypothesis import Hypothesis
from seqloom.search.options import SearchOptions
from seqloom.search.phrases import Phrases
from seqloom.search.trace import Trace


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be found for some sources, beside the sources themselves."""

    options: SearchOptions
    forbidden: tuple[int, ...] = ()  # symbols that are never written
    forbidden_phrases: Sequence[Sequence[int]] = ()  # nor are these sequences of symbols, of two at least
    prefixes: Sequence[Sequence[int]] | None = None  # what the target of each source begins with
    attention: bool = False
    confidence: bool = False  # whether the log-probability of each token is to be told; an engine may tell it anyway
    trace: bool = False
    glossary: Phrases | None = None  # what the target of each source must say
    numbers: Sequence[int] | None = None  # of the sentences in their text, by which samples differ; by default from 0
    listener: Callable[[Sequence[int]], None] | None = None  # told the best target so far of the only source

    def only(self, rows: Sequence[int]) -> Request:
        """The same for some of the sources only."""
        numbers = None if self.numbers is None else [self.numbers[row] for row in rows]
        prefixes = None if self.prefixes is None else [self.prefixes[row] for row in rows]
        return replace(self, numbers=numbers, prefixes=prefixes, glossary=self.glossary and self.glossary.only(rows))


class Found(NamedTuple):
    """What became of one source: the best hypotheses, the best first, and on request how they were found."""

    hypotheses: list[Hypothesis]
    trace: Trace | None = None


BATCH_TOKENS = 4096
Part = TypeVar("Part")
Result = TypeVar("Result")


class Engine(ABC):
    """A model that is ready to run: sources as ids in, targets as ids out."""

    name: ClassVar[str]
    makes_batches: ClassVar[bool] = False  # whether it cuts what it is given into batches itself
    workers: int = 1  # how many batches it searches side by side
    whole_attention: bool = True  # whether attention, where asked for, is that of all layers and heads

    @abstractmethod
    def search(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        """What is found for each source [S] of ids without an end sign; all of them are one batch.

        Raises UsageError for a wish that this engine can't grant.
        """

    def search_again(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        """The same for what a guard wishes, and not the user."""
        return self.search(sources, request)

    def batch_tokens(self, options: SearchOptions) -> int:
        """How many source tokens, padding included, are best searched together, unless it makes batches itself."""
        return BATCH_TOKENS

    def at_once(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """What `work` makes of each part, in their order; several at a time where that is faster for this engine."""
        return [work(part) for part in parts]

    def score(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probability of each token of each target [T], given its source and those before it: T + 1, eos last.

        They are what a search that finds this target says of it.  All of them are one batch.  Raises UsageError.
        """
        raise UsageError(f"the {self.name} engine can't score given targets; the native engine can")

    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 of all that decides what is found, such as the weights."""

    def refusal(self, request: Request) -> str | None:
        """Which wish this engine can't grant, as "no sample: true"; None where it can grant them all."""
        return None

    def labels(self, tokens: Sequence[str]) -> list[str]:
        """What the positions that attention looks at are called; a source's end may be among its `tokens`, or not."""
        return list(tokens)
