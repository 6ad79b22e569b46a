"""Going through a corpus with its filters, once: what they say of each row is kept beside the prepared data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.cache import digest_of, open_or_build, stamp
from seqloom.data.corpora import CorpusOptions, read_rows
from seqloom.data.filters import Filter
from seqloom.data.held_out import Part, count_pairs, in_part, shard_contents
from seqloom.data.pace import Pace
from seqloom.data.rows import Pair
from seqloom.data.sifted import Sifted
from seqloom.data.text import Errors
from seqloom.errors import DataError

FORMAT = 1  # raise this when a filter's judgement changes
ROWS = 10_000  # judged before they are written
COMPARED = 1 << 20  # hashes looked at together, which take about 40 MB; more are divided by their remainders
KEPT, APART = 254, 255  # no filter's number: nothing against it, or not asked about
Verdicts = NDArray[np.uint8]
Hashes = NDArray[np.uint64]


def sift(
    corpus: CorpusOptions,
    filters: Sequence[Filter],
    *,
    cache: Path,
    part: Part = "all",
    valid_share: float = 0.0,
    errors: Errors = "stop",
    progress: Callable[[int], None] | None = None,
) -> Sifted:
    """What the filters leave of one part of a corpus, found now unless `cache` has it.

    The first filter that objects to a pair is the one that counts it.  Pairs with an empty side are not asked about.
    It takes a byte of disk for each row, and while it is made 8 more for each filter that compares pairs.
    Raises DataError for faulty data, and if the cache can't be written.
    """
    before = [stamp(path) for path in corpus.files]
    hashes = [found.sha256 for shard in shard_contents(corpus, cache) for found in shard]
    read_as = [corpus.columns if corpus.tsv else None, corpus.fields if corpus.jsonl else None, errors]
    divided = [part, valid_share if part != "all" else 0]
    key = digest_of([FORMAT, hashes, read_as, divided, [one.described() for one in filters]])

    def build(directory: Path) -> None:
        asked = (_if_asked(row, part, valid_share) for row in read_rows(corpus, errors=errors))
        with Pace("filtering", count_pairs(corpus, cache)) as pace:
            _judge(asked, filters, directory, progress or pace)
        for number in _comparing(filters):
            _compare(directory, number)
        if before != [stamp(path) for path in corpus.files]:
            raise DataError(f"{corpus.name} changed while being read; start again when nothing writes to it")
        _finish(directory, filters)

    return open_or_build(cache / "filtered" / key, _read, build)


def _if_asked(row: Pair | None, part: Part, valid_share: float) -> Pair | None:
    return row if row and row[0].strip() and row[1].strip() and in_part(row[0], part, valid_share) else None


def _comparing(filters: Sequence[Filter]) -> list[int]:
    return [number for number, part in enumerate(filters) if part.compares]


def _judge(
    rows: Iterator[Pair | None], filters: Sequence[Filter], directory: Path, progress: Callable[[int], None]
) -> None:
    """Write each row's verdict, and the hashes of what the comparing filters compare."""
    comparing, done = _comparing(filters), 0
    with ExitStack() as stack:
        verdicts = stack.enter_context((directory / "verdicts").open("wb"))
        hashes = [stack.enter_context(_hashes_of(directory, number).open("wb")) for number in comparing]
        for block in _blocks(rows):
            verdicts.write(bytes(_verdict(filters, row) for row in block))
            for number, file in zip(comparing, hashes, strict=True):
                file.write(b"".join(_hash(filters[number], row) for row in block))
            done += len(block)
            progress(done)


def _blocks(rows: Iterator[Pair | None]) -> Iterator[list[Pair | None]]:
    block: list[Pair | None] = []
    for row in rows:
        block.append(row)
        if len(block) == ROWS:
            yield block
            block = []
    yield block


def _verdict(filters: Sequence[Filter], row: Pair | None) -> int:
    """The number of the first filter that objects to the row by itself."""
    if row is None:
        return APART
    return next((number for number, part in enumerate(filters) if part.objects(*row)), KEPT)


def _hash(part: Filter, row: Pair | None) -> bytes:
    return blake2b(part.sameness(*row).encode("utf-8", "surrogatepass"), digest_size=8).digest() if row else bytes(8)


def _compare(directory: Path, number: int) -> None:
    """Let a filter object to rows that are as one before, of those to which no filter before it objects."""
    verdicts: Verdicts = np.memmap(directory / "verdicts", np.uint8, "r+")
    hashes: Hashes = np.memmap(_hashes_of(directory, number), np.uint64, "r").view(np.ndarray)
    parts = -(-len(hashes) // COMPARED)
    for part in range(parts):
        places = np.concatenate(list(_asked(verdicts, hashes, number, part, parts)))
        found = hashes[places]
        order = np.argsort(found, kind="stable")
        repeated = found[order][1:] == found[order][:-1]
        verdicts[places[order][1:][repeated]] = number
    _hashes_of(directory, number).unlink()


def _asked(verdicts: Verdicts, hashes: Hashes, number: int, part: int, parts: int) -> Iterator[NDArray[np.int64]]:
    """The rows whose hash leaves the remainder `part`, and which come as far as this filter."""
    for start in range(0, len(hashes), COMPARED):
        rows = slice(start, start + COMPARED)
        reach = (verdicts[rows] > number) & (verdicts[rows] != APART) & (hashes[rows] % np.uint64(parts) == part)
        yield start + np.flatnonzero(reach)


def _hashes_of(directory: Path, number: int) -> Path:
    return directory / f"hashes-{number}"


def _finish(directory: Path, filters: Sequence[Filter]) -> None:
    """Write which rows stay, how many don't and why, and, last, what makes all this usable."""
    digest, counts = hashlib.sha256(), np.zeros(256, np.int64)
    verdicts: Verdicts = np.memmap(directory / "verdicts", np.uint8, "r").view(np.ndarray)
    with (directory / "kept").open("wb") as file:
        for start in range(0, len(verdicts), COMPARED):
            block = verdicts[start : start + COMPARED]
            counts += np.bincount(block, minlength=256)
            kept = (block >= KEPT).tobytes()
            digest.update(kept)
            file.write(kept)
    (directory / "verdicts").unlink()
    left_out: Counter[str] = Counter()
    for part, count in zip(filters, counts.tolist(), strict=False):
        left_out[part.reason] += count
    header = {"key": digest.hexdigest(), "rows": len(verdicts), "left_out": left_out}
    (directory / "header.json").write_text(json.dumps(header, indent=2))


def _read(directory: Path) -> Sifted:
    header: dict[str, Any] = json.loads((directory / "header.json").read_bytes())
    kept = np.memmap(directory / "kept", np.bool_, "r").view(np.ndarray)
    if len(kept) != header["rows"]:
        raise ValueError(f"kept has not {header['rows']} rows")
    return Sifted(header["key"], kept, header["left_out"])
