"""Sources that name files, such as images: where the files are, what they hold, and which line named a faulty one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqloom.data.cache import digest_of, stamp
from seqloom.data.corpora import CorpusOptions, read_rows
from seqloom.data.rows import Pair
from seqloom.data.text import Errors
from seqloom.errors import DataError, UnreadableError


def located(pair: Pair, corpus: CorpusOptions) -> Pair:
    """The pair with its source as a path from the corpus's folder, where it has one."""
    source, target = pair
    return (str(corpus.folder / source.strip()), target) if corpus.folder and source.strip() else pair


def state_of_files(corpus: CorpusOptions, errors: Errors) -> str:
    """A digest that changes when one of the files that the sources name is written.  Raises DataError."""
    stamps = []
    for place, path in _named(corpus, errors):
        try:
            stamps.append(stamp(Path(path)))
        except DataError as error:
            start = "" if Path(path).is_absolute() else _START
            raise DataError(f"{place}: {error}{start}") from error
    return digest_of(stamps)


@contextmanager
def naming_lines(corpus: CorpusOptions, errors: Errors) -> Iterator[None]:
    """Add the line to what is said of a text that can't be read."""
    try:
        yield
    except UnreadableError as error:
        place = next((place for place, path in _named(corpus, errors) if path == error.text), corpus.name)
        raise DataError(f"{place}: {error}") from error


_START = "; relative paths start from the working directory, or from a corpus's folder"


def _named(corpus: CorpusOptions, errors: Errors) -> Iterator[tuple[str, str]]:
    """The places that name a file, such as "train.tsv:7", and the paths that they name."""
    for shard in corpus.shards:
        for number, row in enumerate(read_rows(shard, errors=errors), 1):
            if row is not None and row[0].strip() and row[1].strip():
                yield f"{shard.files[0]}:{number}", located(row, shard)[0]
