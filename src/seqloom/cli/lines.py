"""Lines of standard input, as they arrive."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from seqloom.errors import DataError, UsageError

BOM = b"\xef\xbb\xbf"
GROUP = 2000  # lines of a file


def input_lines(path: Path | None) -> Iterator[str]:
    """The lines of a file, or of standard input; only a line feed ends one.  DataError at one that isn't UTF-8."""
    return chain.from_iterable(input_groups(path))


def input_groups(path: Path | None) -> Iterator[list[str]]:
    """The same lines in groups.  A group of standard input is all that has arrived, so nobody waits for more of it.

    The lines before one that isn't UTF-8 come before the error.  UsageError if there is no standard input.
    """
    if path is not None:
        yield from _groups_of_file(path)
        return
    if sys.stdin is None:
        raise UsageError("there is no standard input: it was closed before the command began")
    number = 0
    for raw in _arriving(sys.stdin.fileno()):
        texts: list[str] = []
        fault: DataError | None = None
        for line in raw:
            number += 1
            try:
                texts.append(_decoded(line.removeprefix(BOM) if number == 1 else line, number))
            except DataError as error:
                fault = error
                break
        if texts:
            yield texts
        if fault:
            raise fault


def _groups_of_file(path: Path) -> Iterator[list[str]]:
    from seqloom.data.text import read_lines

    lines = (line or "" for line in read_lines(path))
    fault: DataError | None = None
    while fault is None:
        group: list[str] = []
        try:
            group.extend(islice(lines, GROUP))  # which keeps what came before a fault
        except DataError as error:
            fault = error
        if group:
            yield group
        elif fault is None:
            return
    raise fault


def _arriving(stream: int) -> Iterator[list[bytes]]:
    """The lines of a file descriptor, without their ends, as they come: what each reading of it finished."""
    rest = b""
    while data := os.read(stream, 2**20):
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def _decoded(raw: bytes, number: int) -> str:
    try:
        return raw.decode().removesuffix("\r").replace("\0", " ")
    except UnicodeDecodeError as error:
        column = len(raw[: error.start].decode()) + 1
        raise DataError(
            f"standard input: line {number} is not UTF-8 (byte 0x{raw[error.start]:02x} at column {column})"
        ) from None


def parallel_lines(source: Path, reference: Path) -> tuple[list[str], list[str]]:
    """The lines of two files that belong together; DataError if one is empty or they differ in length."""
    from seqloom.data.corpora import CorpusOptions, read_pairs

    pairs = list(read_pairs(CorpusOptions(source=source, target=reference)))
    return [line for line, _ in pairs], [line for _, line in pairs]


def one_line(text: str) -> str:
    """The text as one line, whatever the model wrote."""
    return text.replace("\n", " ").replace("\r", " ")
