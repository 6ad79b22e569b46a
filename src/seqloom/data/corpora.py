"""Where parallel text comes from: the part of the configuration about data, and the reading of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal

from seqloom.data.filters import Filter
from seqloom.data.mixing import Mixing
from seqloom.data.noise import Noise
from seqloom.data.rows import Pair, columns_of, fields_of, tagged
from seqloom.data.shards import files_of, named, paired
from seqloom.data.text import Errors, count_lines, read_lines
from seqloom.errors import DataError
from seqloom.registry import suggest
from seqloom.vocabulary import SPECIALS

TooLong = Literal["drop", "cut"]
MaxLength = int | tuple[int, int]  # tokens of either side, or of source and target


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """One corpus: two parallel files, or the columns of a TSV file, or the fields of a JSON Lines file.

    Each may be several files, a list or a pattern such as `train.en.*.gz`; those of two sides are paired in order.
    """

    source: Path | list[Path] | None = None
    target: Path | list[Path] | None = None
    tsv: Path | list[Path] | None = None
    columns: tuple[int, int] = (1, 2)  # of source and target, counted from 1
    jsonl: Path | list[Path] | None = None
    fields: tuple[str, str] = ("source", "target")
    tag: str | None = None  # stands before each source, a symbol of its own: what is wanted of it, such as <2de>
    folder: Path | None = None  # where the paths in the source start, if it names files; None: the working directory
    weight: float | None = None  # the corpus's share of the training data; None: its number of pairs
    filters: tuple[Callable[..., Filter], ...] | None = None  # None: those of `data`
    noise: tuple[Callable[..., Noise], ...] | None = None  # None: that of `data`
    upsample: int | None = None  # each epoch holds it exactly so many times; None: once, unless there are weights

    def __post_init__(self) -> None:
        """Raises ValueError unless exactly one kind of file is named, and for other things that can't be meant."""
        named = [name for name in ("source", "target", "tsv", "jsonl") if getattr(self, name) is not None]
        if named not in (["source", "target"], ["tsv"], ["jsonl"]):
            raise ValueError(f"a corpus has source and target, or tsv, or jsonl; got {' and '.join(named) or 'none'}")
        for name in named:
            if getattr(self, name) == []:
                raise ValueError(f"{name} names no file")
        if min(self.columns) < 1:
            raise ValueError(f"columns are counted from 1, got {min(self.columns)}")
        if self.weight is not None and not self.weight > 0:
            raise ValueError(f"weight must be above 0, got {self.weight}")
        if self.upsample is not None and self.upsample < 1:
            raise ValueError(f"upsample must be at least 1, got {self.upsample}")
        if self.tag is not None:
            _check_tag(self.tag, self.folder)

    @property
    def shards(self) -> list[CorpusOptions]:
        """A corpus for each file, or each pair of files, that this one names.  Raises DataError as `paired` does."""
        if self.source is not None and self.target is not None:
            return [replace(self, source=one, target=other) for one, other in paired(self.source, self.target)]
        if self.tsv is not None:
            return [replace(self, tsv=file) for file in files_of(self.tsv)]
        assert self.jsonl is not None
        return [replace(self, jsonl=file) for file in files_of(self.jsonl)]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files to read, the source's before the target's in each shard.  Raises DataError as `paired` does."""
        sides = (path for shard in self.shards for path in (shard.source, shard.target, shard.tsv, shard.jsonl))
        return tuple(path for path in sides if isinstance(path, Path))

    @property
    def name(self) -> str:
        """How messages call this corpus."""
        sides = (self.source, self.target, self.tsv, self.jsonl)
        return " and ".join(named(paths) for paths in sides if paths is not None)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The data of a training run."""

    train: CorpusOptions | list[CorpusOptions]
    valid: CorpusOptions | list[CorpusOptions] | None = None  # None: some of `train` is held out
    temperature: float | None = None  # shares of the corpora are their numbers of pairs ^ (1 / temperature)
    valid_lines: int = 1000  # how many to hold out, but at most 5 % of the corpus
    filters: tuple[Callable[..., Filter], ...] = ()  # what leaves pairs out of the training data, in this order
    noise: tuple[Callable[..., Noise], ...] = ()  # what is done to the words of sources in training, in this order
    subword_sampling: float | tuple[float, float] = 0.0  # of both sides, or of source and target: cut words anew
    errors: Errors = "stop"  # what to do about a line that is not UTF-8
    max_length: MaxLength = 256  # tokens a side, without bos and eos
    too_long: TooLong = "drop"  # a longer pair leaves the training data, or only its first tokens stay
    cache: Path | None = None  # where prepared data are kept; None: $SEQLOOM_CACHE or the user's cache directory
    workers: int | None = None  # the most processes that prepare data; None: one for each core

    def __post_init__(self) -> None:
        """Raises ValueError for what can't be meant."""
        for name, least in (("valid_lines", self.valid_lines), ("max_length", min(both(self.max_length)))):
            if least < 1:
                raise ValueError(f"{name} must be at least 1, got {least}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, or null, got {self.workers}")
        if not self.train_corpora:
            raise ValueError("train names no corpus")
        self._check_mixing()
        if not all(0 <= share < 1 for share in self.sampling):
            raise ValueError(f"subword_sampling is from 0 up to, but not including, 1; got {self.subword_sampling}")
        for corpus in self.valid_corpora:
            for name in ("filters", "noise", "upsample"):
                if getattr(corpus, name) is not None:
                    raise ValueError(f"valid has {name}, which is for training data alone; leave it out")
            if corpus.tag is not None and corpus.tag not in self.tags:
                raise ValueError(f"valid has the tag {corpus.tag!r} and train has not{suggest(corpus.tag, self.tags)}")

    def _check_mixing(self) -> None:
        ways = {"weight": self._any("weight"), "upsample": self._any("upsample"), "temperature": self.temperature}
        chosen = [name for name, value in ways.items() if value]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} are ways to mix corpora of which only one can be chosen")
        if len({corpus.weight is None for corpus in self.train_corpora}) > 1:
            raise ValueError("either every corpus of train has a weight or none has")
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")

    def _any(self, name: str) -> bool:
        return any(getattr(corpus, name) is not None for corpus in self.train_corpora)

    @property
    def train_corpora(self) -> list[CorpusOptions]:
        """The corpora to train on, as a list even if there is one."""
        return self.train if isinstance(self.train, list) else [self.train]

    @property
    def valid_corpora(self) -> list[CorpusOptions]:
        """The corpora to validate on; empty if some of `train` is held out for that."""
        return self.valid if isinstance(self.valid, list) else [self.valid] if self.valid else []

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of `train`'s corpora, each once."""
        return tuple(dict.fromkeys(corpus.tag for corpus in self.train_corpora if corpus.tag is not None))

    @property
    def sampling(self) -> tuple[float, float]:
        """`subword_sampling` of source and target."""
        share = self.subword_sampling
        return share if isinstance(share, tuple) else (share, share)

    @property
    def mixing(self) -> Mixing:
        """How `train`'s corpora are mixed."""
        weights = [corpus.weight for corpus in self.train_corpora if corpus.weight is not None]
        times = [corpus.upsample or 1 for corpus in self.train_corpora] if self._any("upsample") else None
        return Mixing(weights=weights or None, temperature=self.temperature, upsample=times)


def _check_tag(tag: str, folder: Path | None) -> None:
    if len(tag.split()) != 1 or tag != tag.strip():
        raise ValueError(f"a tag is one word without blanks, such as <2de>, got {tag!r}")
    if tag in SPECIALS:
        raise ValueError(f"a tag can't be {tag}, which has a meaning of its own; choose another")
    if folder is not None:
        raise ValueError("a tag stands before text, and the sources of a corpus with a folder are files")


def both(max_length: MaxLength) -> tuple[int, int]:
    """The most tokens of a source and of a target."""
    return (max_length, max_length) if isinstance(max_length, int) else max_length


def read_pairs(corpus: CorpusOptions, *, errors: Errors = "stop") -> Iterator[Pair]:
    """The pairs of a corpus in order, without those that `errors` "skip" leaves out; a side may be empty text.

    Raises DataError for a file that can't be read, is empty, has a faulty line or doesn't fit its partner.
    """
    return (row for row in read_rows(corpus, errors=errors) if row is not None)


def read_rows(corpus: CorpusOptions, *, errors: Errors = "stop") -> Iterator[Pair | None]:
    """As `read_pairs`, with None for each row that `errors` "skip" leaves out."""
    return chain.from_iterable(_read_shard(shard, errors) for shard in corpus.shards)


def _read_shard(shard: CorpusOptions, errors: Errors) -> Iterator[Pair | None]:
    if isinstance(shard.tsv, Path):
        return _read_table(shard.tsv, errors, lambda line: columns_of(line, shard.columns))
    if isinstance(shard.jsonl, Path):
        return _read_table(shard.jsonl, errors, lambda line: fields_of(line, shard.fields))
    return _read_parallel(shard, errors)


def with_tag(pair: Pair, corpus: CorpusOptions) -> Pair:
    """The pair with the corpus's tag before its source, where it has one."""
    return tagged(pair[0], corpus.tag), pair[1]


def check_line_counts(shard: CorpusOptions, counts: list[int]) -> None:
    """Raises DataError if a file of this one shard is empty or its two files differ in length."""
    empty = [str(path) for path, count in zip(shard.files, counts, strict=True) if count == 0]
    if empty:
        raise DataError(f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty")
    if len(set(counts)) > 1:
        (source, target), (one, other) = shard.files, counts
        raise DataError(
            f"{source} has {one} line{'s' * (one != 1)} and {target} has {other}:"
            " line i of one must translate line i of the other"
        )


def _read_parallel(corpus: CorpusOptions, errors: Errors) -> Iterator[Pair | None]:
    end = object()
    sides: Any = (read_lines(path, errors=errors) for path in corpus.files)
    number = 0
    for number, (source, target) in enumerate(zip_longest(*sides, fillvalue=end), 1):  # noqa: B007  counts after the loop
        if source is end or target is end:
            check_line_counts(corpus, [count_lines(path) for path in corpus.files])
        yield None if source is None or target is None else (source, target)
    if number == 0:
        check_line_counts(corpus, [0, 0])


def _read_table(path: Path, errors: Errors, parse: Callable[[str], Pair]) -> Iterator[Pair | None]:
    """The pairs of a file with one pair a line; an empty line is a pair of empty texts."""
    number = 0
    for number, line in enumerate(read_lines(path, errors=errors), 1):
        try:
            yield None if line is None else parse(line) if line.strip() else ("", "")
        except ValueError as error:
            if errors != "skip":
                raise DataError(f"{path}:{number}: {error}") from error
            yield None
    if number == 0:
        raise DataError(f"{path} is empty")
