"""Vectors of words that were learnt elsewhere, to begin with."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqloom.data.text import read_lines
from seqloom.errors import DataError, UsageError
from seqloom.hooks.base import Hook, is_beginning
from seqloom.registry import register
from seqloom.train import Trainer
from seqloom.vocabulary import Vocabulary

log = logging.getLogger(__name__)


@register("pretrained_embeddings")
class PretrainedEmbeddings(Hook):
    """Begins with vectors from a text file, as word2vec and GloVe write them; a run that goes on keeps its own.

    A line is a symbol, exactly as the vocabulary writes it, and its numbers.  Symbols that the file doesn't have keep
    their fresh vectors, and all are trained.  The file may be compressed, and begin with a line of two counts.
    """

    def __init__(self, directory: Path, *, path: Path, side: Literal["source", "target", "both"] = "both"):
        self.directory, self.path, self.side = directory, path, side

    def check(self) -> None:
        Vectors(self.path)

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if is_beginning(metrics):
            vectors, tables = Vectors(self.path), self._tables(trainer)
            for side, (_, table) in tables.items():
                if table.embedding_dim != vectors.size:
                    raise UsageError(
                        f"PretrainedEmbeddings: the vectors in {self.path} have {vectors.size} numbers and the {side} "
                        f"embedding has {table.embedding_dim}; make the embedding as wide, or choose another file"
                    )
            self._fill(vectors, tables)

    def _tables(self, trainer: Trainer) -> dict[str, tuple[Vocabulary, nn.Embedding]]:
        tables = trainer.task.tables(trainer.model)
        wanted = list(tables) if self.side == "both" else [self.side]
        missing = [side for side in wanted if side not in tables]
        if missing:
            raise UsageError(f"PretrainedEmbeddings: this model has no {missing[0]} embedding")
        return {side: tables[side] for side in wanted}

    def _fill(self, vectors: Vectors, tables: Mapping[str, tuple[Vocabulary, nn.Embedding]]) -> None:
        known = {symbol for vocabulary, _ in tables.values() for symbol in vocabulary.symbols}
        found: dict[str, NDArray[np.float32]] = {}
        for word, vector in vectors.read(known):
            found.setdefault(word, vector)
        for side, (vocabulary, table) in tables.items():
            rows = [row for row, symbol in enumerate(vocabulary.symbols) if symbol in found]
            if not rows:
                raise UsageError(
                    f"PretrainedEmbeddings: {self.path} has none of the {side} symbols, such as "
                    f"{', '.join(map(repr, vocabulary.symbols[-3:]))}; is it of another language or segmentation?"
                )
            _set_rows(table.weight, rows, np.stack([found[vocabulary.symbols[row]] for row in rows]))
            log.info("%s has %d of the %d %s symbols", self.path, len(rows), len(vocabulary), side)


class Vectors:
    """A text file of vectors, read one line at a time."""

    def __init__(self, path: Path):
        """Looks at the first line.  Raises DataError if there is none or it isn't one of vectors."""
        self.path = path
        first = next(self._lines(), "").split()
        self._header = len(first) == 2 and all(word.isdecimal() for word in first)
        self.size = int(first[1]) if self._header else len(first) - 1
        if self.size < 1:
            raise DataError(f"{path}: line 1 is not a word and its vector")

    def read(self, wanted: Container[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """The wanted words with their vectors [D], in the order of the file.

        Raises DataError for a vector that isn't `size` finite numbers.
        """
        for number, line in enumerate(self._lines(), 1):
            if (self._header and number == 1) or (line.split(None, 1) or [""])[0] not in wanted:
                continue
            word, *numbers = line.rsplit(None, self.size)  # from the right, since some words have spaces in them
            if word in wanted and not line[0].isspace():  # such a line's word is white space itself
                yield word, self._vector(numbers, number)

    def _vector(self, numbers: list[str], line: int) -> NDArray[np.float32]:
        where = f"{self.path}: line {line}"
        if len(numbers) != self.size:
            raise DataError(f"{where} has {len(numbers)} numbers and the first vector {self.size}; is it cut short?")
        try:
            vector = np.array(numbers, np.float32)
        except ValueError as error:
            raise DataError(f"{where} has something else than numbers behind its word") from error
        if not np.isfinite(vector).all():
            raise DataError(f"{where} has a number that isn't finite")
        return vector

    def _lines(self) -> Iterator[str]:
        # What isn't UTF-8 can't be a symbol, so such a line is passed over like any other that isn't wanted.
        return (line or "" for line in read_lines(self.path, errors="replace"))


def _set_rows(weight: Tensor, rows: list[int], vectors: NDArray[np.float32]) -> None:
    with torch.no_grad():
        weight[rows] = torch.from_numpy(vectors).to(weight)
