"""Lines of standard input, as they arrive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from seqloom.errors import DataError

BOM = b"\xef\xbb\xbf"


def input_lines(path: Path | None) -> Iterator[str]:
    """The lines of a file, or of standard input; only a line feed ends one.  DataError at one that isn't UTF-8."""
    if path is not None:
        from seqloom.data.text import read_lines

        yield from (line or "" for line in read_lines(path))
        return
    for number, raw in enumerate(sys.stdin.buffer, 1):
        raw = raw.removeprefix(BOM) if number == 1 else raw
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode()) + 1
            raise DataError(
                f"standard input: line {number} is not UTF-8 (byte 0x{raw[error.start]:02x} at column {column})"
            ) from None
        yield text.removesuffix("\n").removesuffix("\r").replace("\0", " ")


def parallel_lines(source: Path, reference: Path) -> tuple[list[str], list[str]]:
    """The lines of two files that belong together; DataError if one is empty or they differ in length."""
    from seqloom.data.corpora import CorpusOptions, read_pairs

    pairs = list(read_pairs(CorpusOptions(source=source, target=reference)))
    return [line for line, _ in pairs], [line for _, line in pairs]


def one_line(text: str) -> str:
    """The text as one line, whatever the model wrote."""
    return text.replace("\n", " ").replace("\r", " ")
