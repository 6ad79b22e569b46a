"""Which pairs are held out of the training data when the user names no validation set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from seqloom.data.cache import Content, content
from seqloom.data.corpora import CorpusOptions, check_line_counts, read_pairs, read_rows, with_tag
from seqloom.data.named_files import located
from seqloom.data.rows import Pair
from seqloom.data.sifted import Sifted
from seqloom.data.text import Errors

Part = Literal["all", "train", "valid"]
LARGEST_SHARE = 0.05
CERTAIN = 50  # pairs; where so many are expected, none at all does not happen


def valid_share(corpora: Sequence[CorpusOptions], *, lines: int, cache: Path, errors: Errors = "stop") -> float:
    """The share of the corpora to hold out for about `lines` pairs: at most 5 % of them and at least one.

    A pair is held out by its source text alone (`in_part`), so that no held-out sentence is also trained on.
    Raises DataError for a file that can't be read, is empty or doesn't fit its partner.
    """
    total = sum(count_pairs(corpus, cache) for corpus in corpora)
    share = min(lines / total, LARGEST_SHARE)
    if share * total >= CERTAIN:
        return share
    return max(share, _smallest(_places(corpora, errors), enough=share) + 2**-53)


def read_part(
    corpus: CorpusOptions, *, part: Part, valid_share: float, errors: Errors = "stop", sifted: Sifted | None = None
) -> Iterator[Pair]:
    """The pairs of one part of a corpus, as `in_part` divides them; those with an empty side are left out.

    Sources have the corpus's tag before them; those that name files name them from the corpus's folder.
    """
    rows = read_rows(corpus, errors=errors)
    for row in sifted.rows(rows) if sifted else rows:
        if row and row[0].strip() and row[1].strip() and in_part(row[0], part, valid_share):
            yield located(with_tag(row, corpus), corpus)


def in_part(source: str, part: Part, valid_share: float) -> bool:
    """Whether a pair with this source belongs to a part: the same text is always on the same side."""
    return part == "all" or (source_place(source) < valid_share) == (part == "valid")


def source_place(source: str) -> float:
    """A number from 0 up to 1 that depends on the text alone, spread evenly."""
    digest = blake2b(source.strip().encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # 53 bits fit a float exactly


def count_pairs(corpus: CorpusOptions, cache: Path) -> int:
    """How many pairs a corpus has, empty ones too.  Raises DataError as `check_line_counts` does."""
    return sum(contents[0].lines for contents in shard_contents(corpus, cache))


def shard_contents(corpus: CorpusOptions, cache: Path) -> list[list[Content]]:
    """What each file of each shard holds.  Raises DataError as `check_line_counts` does."""
    contents = [[content(path, cache) for path in shard.files] for shard in corpus.shards]
    for shard, found in zip(corpus.shards, contents, strict=True):
        check_line_counts(shard, [one.lines for one in found])
    return contents


def _places(corpora: Iterable[CorpusOptions], errors: Errors) -> Iterator[float]:
    for corpus in corpora:
        for source, target in read_pairs(corpus, errors=errors):
            if source.strip() and target.strip():
                yield source_place(source)


def _smallest(places: Iterable[float], *, enough: float) -> float:
    """The smallest number, or the first below `enough`: of a large corpus not all is read."""
    smallest = 1.0
    for place in places:
        smallest = min(smallest, place)
        if smallest < enough:
            return smallest
    return smallest if smallest < 1 else 0.0
