"""What of the data is looked at: a bounded part, the same each time, wherever the data are large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from seqloom.data.corpora import CorpusOptions, DataOptions, read_pairs
from seqloom.data.permutation import Integers
from seqloom.data.prepared import PreparedCorpus
from seqloom.data.text import Errors
from seqloom.data.writer import Report
from seqloom.tasks.base import Prepared
from seqloom.tokenizers import Tokenizers

PAIRS = 100_000  # pairs of a corpus whose lengths and ids are looked at
TOKENS = 10_000_000  # of a corpus, about; or TOGETHER pairs
TEXTS = 2_000  # pairs that are looked at as text
TOGETHER = 1_000  # pairs that lie side by side, so that few pages of a large file are read


def windows(count: int, most: int, together: int = TOGETHER) -> Integers:
    """At most `most` of the numbers below `count`, in runs of `together` evenly spaced; all if there are few."""
    if count <= most:
        return np.arange(count)
    together = min(together, most)
    starts = np.linspace(0, count - together, most // together).astype(np.int64)
    return (starts[:, None] + np.arange(together)).reshape(-1)


@dataclass(frozen=True)
class Looked:
    """One corpus as the checks see it."""

    where: str  # its place in the configuration, such as data.train.1
    options: CorpusOptions
    corpus: PreparedCorpus
    tokenizers: Tokenizers

    @property
    def report(self) -> Report:
        """What became of all of its pairs."""
        return self.corpus.report

    @property
    def pairs(self) -> int:
        """How many there are."""
        return len(self.corpus)

    @cached_property
    def indices(self) -> Integers:
        """The pairs that are looked at; fewer where they are long, as images are."""
        long = (self.report.source_tokens + self.report.target_tokens) // self.pairs
        return windows(self.pairs, min(PAIRS, max(TOGETHER, TOKENS // max(long, 1))))

    @cached_property
    def lengths(self) -> tuple[Integers, Integers]:
        """How many source and target tokens each of these has."""
        return self.corpus.lengths(self.indices)

    @property
    def some(self) -> str:
        """Such as " (of 100,000 pairs looked at)" where these aren't all."""
        looked_at = len(self.indices)
        return f" (of {looked_at:,} pairs looked at)" if looked_at < self.pairs else ""

    @property
    def is_text(self) -> bool:
        """Whether its sources are text, and don't name files such as images."""
        return not self.tokenizers.source.of_files

    def decoded(self) -> list[tuple[str, str]]:
        """Some of its pairs as the tokenizers give them back, without the corpus's tag."""
        indices = windows(self.pairs, TEXTS, TOGETHER // 10).tolist()
        return [(self._source(i), self.tokenizers.target.decode(self.corpus.target(i).tolist())) for i in indices]

    def written(self, errors: Errors) -> list[tuple[str, str]]:
        """The first of its pairs as they stand in its files."""
        return list(islice(read_pairs(self.options, errors=errors), TEXTS))

    def _source(self, index: int) -> str:
        text = self.tokenizers.source.decode(self.corpus.source(index).tolist())
        return text.removeprefix(f"{self.options.tag} ") if self.options.tag else text


@dataclass(frozen=True)
class Data:
    """All that is trained and validated on, as the checks see it."""

    options: DataOptions
    training: Sequence[Looked]
    validation: Sequence[Looked]

    @classmethod
    def of(cls, prepared: Prepared, options: DataOptions) -> Data:
        """The data of a task that is prepared."""
        valid, where = options.valid_corpora, "data.valid"
        if not valid:
            valid, where = options.train_corpora, "what is held out of data.train"
        training = _looked("data.train", options.train_corpora, prepared.training, prepared.tokenizers)
        return cls(options, list(training), list(_looked(where, valid, prepared.validation, prepared.tokenizers)))

    @property
    def held_out(self) -> bool:
        """Whether the validation data are a part of the training data's files."""
        return not self.options.valid_corpora


def _looked(
    where: str, named: Sequence[CorpusOptions], corpora: Sequence[PreparedCorpus], tokenizers: Tokenizers
) -> Iterator[Looked]:
    for number, (options, corpus) in enumerate(zip(named, corpora, strict=True)):
        yield Looked(where if len(named) == 1 else f"{where}.{number}", options, corpus, tokenizers)
