"""Marian's two kinds of vocabularies: a SentencePiece model, and lines of YAML, `"symbol": number`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from seqloom.compat.foreign import bytes_of, text_of
from seqloom.errors import DataError
from seqloom.tokenizers.piece_list import pieces_in

END, UNKNOWN = "</s>", "<unk>"


def listed_in(path: Path) -> tuple[list[str], int, int]:
    """The symbols of a vocabulary in their order, and the numbers of the end and the unknown.  Raises DataError."""
    if path.suffix == ".spm":
        try:
            return pieces_in(bytes_of(path))
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None
    known = dict(_entries(path))
    if sorted(known) != list(range(len(known))):
        raise DataError(f"{path}: its numbers don't go from 0 on without a gap")
    listed = [known[number] for number in range(len(known))]
    if {END, UNKNOWN} - {*listed}:
        raise DataError(f"{path}: {END} or {UNKNOWN} is missing")
    return listed, listed.index(END), listed.index(UNKNOWN)


def _entries(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and symbols; a whole YAML parser would take minutes for tens of thousands of lines."""
    asked = ""  # a symbol too long for its line stands in one of its own, behind a question mark
    for number, line in enumerate(text_of(path).split("\n"), 1):
        line = line.rstrip("\r")
        if line.startswith("? "):
            asked = line[2:]
        elif line.strip():
            symbol, colon, value = (asked, ":", line[1:]) if asked else line.rpartition(":")
            asked = ""
            if not colon or not value.strip().isdecimal():
                raise DataError(f"{path}:{number}: this is no symbol with a number")
            yield int(value), _unquoted(symbol, f"{path}:{number}")


def _unquoted(symbol: str, where: str) -> str:
    if symbol.startswith("'"):
        return symbol[1:-1].replace("''", "'")
    if not symbol.startswith('"'):
        return symbol
    try:
        return str(json.loads(symbol.replace("\\x", "\\u00")))  # YAML's short escapes, too
    except ValueError:
        raise DataError(f"{where}: this is no symbol in quotes") from None
