"""A source and a target out of one line of text."""

from __future__ import annotations

import json
from typing import Any

Pair = tuple[str, str]


def tagged(text: str, tag: str | None) -> str:
    """The text with a tag before it, if there is one; what is empty stays empty."""
    return f"{tag} {text}" if tag and text.strip() else text


def columns_of(line: str, wanted: tuple[int, int]) -> Pair:
    """The two wanted cells of a line of TSV; columns are counted from 1.  Raises ValueError with half a sentence."""
    cells = line.split("\t")
    if len(cells) < max(wanted):
        found = f"{len(cells)} column{'s' * (len(cells) != 1)}"
        raise ValueError(f"{found}, but columns {wanted[0]} and {wanted[1]} are wanted")
    return cells[wanted[0] - 1], cells[wanted[1] - 1]


def fields_of(line: str, wanted: tuple[str, str]) -> Pair:
    """The two wanted texts of a line of JSON.  Raises ValueError with half a sentence."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON that can be read") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return _field(row, wanted[0]), _field(row, wanted[1])


def _field(row: dict[str, Any], name: str) -> str:
    if name not in row:
        raise ValueError(f"no field {name!r}; it has {', '.join(map(repr, row)) or 'none'}")
    if not isinstance(row[name], str):
        raise ValueError(f"field {name!r} must be text, got {json.dumps(row[name])[:40]}")
    return _one_line(row[name])


def _one_line(text: str) -> str:
    r"""The text as a line of a file could hold it: \n, \r and NUL become spaces, a lone surrogate U+FFFD."""
    text = text.translate({0: " ", 10: " ", 13: " "})
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
