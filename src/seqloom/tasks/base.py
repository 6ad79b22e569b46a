"""What every task does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from seqloom.data.batches import Position
from seqloom.data.corpora import DataOptions
from seqloom.data.prepared import PreparedCorpus
from seqloom.ranks import ALONE, Ranks
from seqloom.search import SearchOptions
from seqloom.structures import Batch, Loss
from seqloom.tokenizers import Tokenizer, Tokenizers
from seqloom.vocabulary import Vocabulary

Example = tuple[str, str, str]  # source, what the model made of it, reference


@dataclass(frozen=True, kw_only=True)
class TokenizerPair:
    """A tokenizer for each side."""

    source: Callable[..., Tokenizer]
    target: Callable[..., Tokenizer]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a task is given: the sections of the configuration that concern it."""

    data: DataOptions
    tokenizer: Callable[..., Tokenizer] | TokenizerPair
    search: SearchOptions
    batch_tokens: int
    batch_sentences: int | None = None  # instead of so many tokens
    label_smoothing: float
    seed: int


@dataclass(frozen=True)
class Evaluation:
    """What a validation found: numbers by name, the signatures of those that have one, and a few examples."""

    values: Mapping[str, float]
    signatures: Mapping[str, str]
    examples: list[Example]


@dataclass(frozen=True)
class Prepared:
    """What a task made ready, for those who look at the data before they are trained on."""

    tokenizers: Tokenizers
    training: Sequence[PreparedCorpus]  # in the order of the configuration's
    validation: Sequence[PreparedCorpus]
    valid_texts: Callable[[], Iterator[tuple[str, str]]]


class Task(ABC):
    """What is learnt from which data, and how well it was learnt."""

    given: ClassVar[tuple[str, ...]] = ("setting",)
    ranks: Ranks = ALONE  # that train together: all of them call what is called, and may share its work
    measures: tuple[str, ...]  # the names of what `evaluate` finds, of which one may decide what is best
    less_is_better: frozenset[str]  # those of them that are to fall

    @abstractmethod
    def prepare(self, directory: Path) -> None:
        """Make the data ready, and keep in `directory` what a trained model will need of them.  Raises DataError."""

    def prepared(self) -> Prepared | None:
        """What `prepare` made ready; None for a task whose data are of another kind."""
        return None

    def rehearse(self, model: nn.Module) -> float | None:
        """Validate on what takes the most memory; the seconds that a whole validation may take, None if unknown."""
        return None

    @abstractmethod
    def symbols(self) -> tuple[int, int]:
        """How many source and target symbols there are, once prepared."""

    @abstractmethod
    def build(self, model: Callable[..., Any]) -> nn.Module:
        """The model, from its factory and what the data say about it."""

    @abstractmethod
    def begin(self, model: nn.Module) -> None:
        """Called once before a training's first step, as `Model.begin` is.  Raises DataError."""

    @abstractmethod
    def batches(self, start: Position) -> Iterator[tuple[Batch, Position]]:
        """Training batches without end, each with the position after it."""

    @abstractmethod
    def epoch(self, position: Position) -> float:
        """How often the data have been gone through at a position."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """What training makes small."""

    @abstractmethod
    def evaluate(self, model: nn.Module) -> Evaluation:
        """How good the model is on the validation data."""

    @abstractmethod
    def show(self, model: nn.Module, count: int) -> list[Example]:
        """What the model makes of the first `count` validation sources, as in use."""

    @abstractmethod
    def tables(self, model: nn.Module) -> dict[str, tuple[Vocabulary, nn.Embedding]]:
        """The symbols of each side, "source" and "target", that has vectors for them, and these vectors."""
