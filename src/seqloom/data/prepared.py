"""Corpora as ids in files, made once for each content and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.cache import content, digest_of, open_or_build, stamp
from seqloom.data.corpora import CorpusOptions, MaxLength, TooLong, both, read_rows, with_tag
from seqloom.data.encoding import Encoding, blocks
from seqloom.data.held_out import Part, count_pairs, in_part, shard_contents
from seqloom.data.named_files import located, naming_lines, state_of_files
from seqloom.data.pace import Pace
from seqloom.data.rows import Pair
from seqloom.data.sifted import Sifted
from seqloom.data.stored import StoredSide
from seqloom.data.text import Errors
from seqloom.data.workers import encoded, workers_for
from seqloom.data.writer import FORMAT, Report, Writer
from seqloom.errors import DataError, UsageError
from seqloom.tokenizers import Tokenizer, Tokenizers, describe, fingerprint, load, save

SIDES = ("source", "target")
Ids = NDArray[np.integer]  # uint16, or uint32 for a large vocabulary


class PreparedCorpus:
    """A corpus as ids, in files of which only what is asked for is read; ids have neither bos nor eos."""

    def __init__(self, directory: Path):
        """Raises OSError, ValueError, KeyError or TypeError if the files are not as `prepare` wrote them."""
        header = json.loads((directory / "header.json").read_bytes())
        for name, size in header["sizes"].items():
            if (directory / name).stat().st_size != size:
                raise ValueError(f"{name} is not {size} bytes long")
        self.report = Report(**header["report"])
        self.key: str = header["key"]
        self._source, self._target = (StoredSide(directory, side, header["types"][side]) for side in SIDES)

    def __len__(self) -> int:
        return self.report.kept

    def source(self, index: int) -> Ids:
        """The source ids of a pair, [S]."""
        return self._source.sentence(index)

    def target(self, index: int) -> Ids:
        """The target ids of a pair, [T]."""
        return self._target.sentence(index)

    def lengths(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many source and target tokens each of these pairs has."""
        return self._source.lengths(indices), self._target.lengths(indices)


def prepare(
    corpus: CorpusOptions,
    tokenizers: Tokenizers,
    *,
    cache: Path,
    part: Part = "all",
    valid_share: float = 0.0,
    max_length: MaxLength = 256,
    too_long: TooLong = "drop",
    errors: Errors = "stop",
    sifted: Sifted | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> PreparedCorpus:
    """The ids of a corpus, or of one part of it, made now unless `cache` has them.

    So many `workers` make them, by default one for each core; that changes nothing about the result.  `progress` hears
    how many rows have been read; without it the log says so every now and then.

    `max_length` counts tokens a side; longer pairs are left out, or cut to that, and those with an empty side are left
    out; the report counts both.
    Raises DataError for faulty data, if no pair is left, or if the cache can't be written.
    """
    preparing = _Preparing(
        corpus=corpus,
        stamps=[stamp(path) for path in corpus.files],
        tokenizers=tokenizers,
        cache=cache,
        part=part,
        valid_share=valid_share if part != "all" else 0,
        max_length=both(max_length),
        too_long=too_long,
        errors=errors,
        sifted=sifted,
        workers=workers,
        progress=progress,
    )
    return open_or_build(cache / "prepared" / preparing.key, PreparedCorpus, preparing.build)


@dataclass(frozen=True, kw_only=True)
class _Preparing:
    """What is to be prepared, and how; the arguments of `prepare`."""

    corpus: CorpusOptions
    stamps: list[list[Any]]  # of its files, before anything of them was read
    tokenizers: Tokenizers
    cache: Path
    part: Part
    valid_share: float
    max_length: tuple[int, int]
    too_long: TooLong
    errors: Errors
    sifted: Sifted | None
    workers: int | None
    progress: Callable[[int], None] | None

    @cached_property
    def key(self) -> str:
        """A name for all that the result depends on."""
        sides = [fingerprint(self.tokenizers.source), fingerprint(self.tokenizers.target)]
        return digest_of([identity(self.corpus, self.cache), *sides, [*self._choices()]])

    def _choices(self) -> Iterator[Any]:
        yield from (self.part, self.valid_share, self.max_length, self.too_long, self.errors)
        if self.corpus.tag:
            yield ["tag", self.corpus.tag]
        if self.sifted:
            yield ["filters", self.sifted.key]
        if self.tokenizers.source.of_files:
            yield state_of_files(self.corpus, self.errors)
        elif self.corpus.folder:
            name = self.corpus.name
            raise UsageError(f"{name}: folder is for sources that name files, and this tokenizer reads their text")

    def build(self, directory: Path) -> None:
        """Write the ids into a directory, and last what makes it usable."""
        encoding = Encoding(self.tokenizers, self.max_length, self.too_long == "cut")
        with Writer(directory, encoding.types) as writer:
            self._write(writer, encoding, directory)
        if self.stamps != [stamp(path) for path in self.corpus.files]:
            raise DataError(f"{self.corpus.name} changed while being read; start again when nothing writes to it")
        report = writer.finish(self.key, filtered=self.sifted.left_out if self.sifted else {})
        if not report.kept:
            most = " and ".join(str(length) for length in dict.fromkeys(self.max_length))
            raise DataError(f"{self.corpus.name}: no pair is usable (max_length is {most} tokens): {report}")

    def _write(self, writer: Writer, encoding: Encoding, scratch: Path) -> None:
        lines, read = count_pairs(self.corpus, self.cache), _Counted(read_rows(self.corpus, errors=self.errors))
        texts = blocks(self._wanted(read), tokens_each=self.tokenizers.source.length or 0)
        made = encoded(encoding, texts, workers=workers_for(lines, self.workers), directory=scratch)
        with naming_lines(self.corpus, self.errors), closing(made), Pace("preparing", lines) as pace:
            for block in made:
                writer.append(block)
                (self.progress or pace)(read.count)

    def _wanted(self, rows: Iterator[Pair | None]) -> Iterator[Pair | None]:
        """The rows that filters leave of the part that is asked for, as their tokenizer is to read them."""
        left = self.sifted.rows(rows) if self.sifted else rows
        wanted = (row for row in left if row is None or in_part(row[0], self.part, self.valid_share))
        return (row and located(with_tag(row, self.corpus), self.corpus) for row in wanted)


def trained(
    tokenizer: Tokenizer, texts: Callable[[], Iterable[str]], *, key_parts: Sequence[str], cache: Path
) -> Tokenizer:
    """This tokenizer, trained on `texts()` now unless `cache` has it; `key_parts` say what `texts` depends on.

    Raises DataError if there is no text, a file that the tokenizer reads is missing, or the cache can't be written.
    """
    read = [content(path, cache).sha256 for path in tokenizer.files]
    key = digest_of([FORMAT, describe(tokenizer), read, list(key_parts)])

    def build(directory: Path) -> None:
        tokenizer.train(texts())
        save(tokenizer, directory, "tokenizer")

    return open_or_build(cache / "tokenizers" / key, lambda place: load(place, "tokenizer"), build)


class _Counted:
    """Hands rows on and counts them."""

    def __init__(self, rows: Iterator[Pair | None]):
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Pair | None]:
        return self

    def __next__(self) -> Pair | None:
        row = next(self._rows)
        self.count += 1
        return row


def identity(corpus: CorpusOptions, cache: Path) -> list[Any]:
    """What the pairs of a corpus depend on: the contents of its files and how they are read, but not their names."""
    contents = [found for shard in shard_contents(corpus, cache) for found in shard]
    kind = ["tsv", corpus.columns] if corpus.tsv else ["jsonl", corpus.fields] if corpus.jsonl else ["parallel"]
    return [FORMAT, kind, [found.sha256 for found in contents]]
