"""The tables as Markdown, for the page about google/seq2seq: `python -m seqloom.compat.google_seq2seq.page FILE`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seqloom.compat.google_seq2seq.cells import CELLS
from seqloom.compat.google_seq2seq.decoders import ATTENTIONS, BRIDGES, DECODERS
from seqloom.compat.google_seq2seq.encoders import ENCODERS
from seqloom.compat.google_seq2seq.flags import EXTRA, INFER, TRAIN
from seqloom.compat.google_seq2seq.hooks import HOOKS
from seqloom.compat.google_seq2seq.metrics import METRICS
from seqloom.compat.google_seq2seq.models import MODELS
from seqloom.compat.google_seq2seq.optimizers import DECAYS, FOREVER, OPTIMIZERS
from seqloom.compat.google_seq2seq.pipelines import PIPELINES
from seqloom.compat.google_seq2seq.rows import Family, Named, Row
from seqloom.compat.google_seq2seq.tasks import TASKS

FAMILIES = {
    "models": MODELS,
    "encoders": ENCODERS,
    "decoders": DECODERS,
    "attention": ATTENTIONS,
    "bridges": BRIDGES,
    "cells": CELLS,
    "optimizers": OPTIMIZERS,
    "decays": DECAYS,
    "hooks": HOOKS,
    "metrics": METRICS,
    "pipelines": PIPELINES,
    "tasks": TASKS,
}
FLAGS = {"train": TRAIN, "infer": INFER, "extra": EXTRA}
MARKED = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(page: str) -> str:
    """The page with every table between `<!-- table: NAME -->` and `<!-- end -->` as it should be."""
    return MARKED.sub(lambda match: f"<!-- table: {match[1]} -->\n{table(match[1])}\n<!-- end -->", page)


def table(name: str) -> str:
    """One of FAMILIES or FLAGS."""
    if name in FLAGS:
        return "\n".join(_keys("flag", FLAGS[name]))
    return "\n".join(_family(FAMILIES[name]))


def _family(family: Family) -> Iterator[str]:
    """The classes, then the parameters of those that have the same ones."""
    yield f"| {family.noun} | here |"
    yield "|---|---|"
    for member in family.members:
        yield f"| `{member.name}` | {_become(member)} |"
    said: list[Row] = []
    for rows in _distinct(family):
        names = [f"`{member.name}`" for member in family.members if member.rows == rows]
        new = [row for row in rows if row not in said]
        said += new
        if new:
            yield ""
            yield f"{', '.join(names)}{' besides' if len(new) < len(rows) else ''}:"
            yield ""
            yield from _keys("key", new)


def _distinct(family: Family) -> Iterator[tuple[Row, ...]]:
    """The parameters that several classes share, once."""
    seen: list[tuple[Row, ...]] = [()]
    for member in family.members:
        if member.rows not in seen:
            seen.append(member.rows)
            yield member.rows


def _keys(what: str, rows: Sequence[Row]) -> Iterator[str]:
    yield f"| {what} | default | here |"
    yield "|---|---|---|"
    for row in rows:
        yield f"| `{row.key}` | {_default(row.default)} | {_become(row)} |"


def _default(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if value == FOREVER:
        return "none"
    if value == " ":
        return "a space"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _become(item: Row | Named) -> str:
    if item.refused:
        return f"refused: {item.refused}"
    return item.ours.replace("|", "\\|")


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(filled(file.read_text("utf8")), "utf8")
