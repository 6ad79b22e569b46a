"""Dictionaries: what a source token is most likely to become, as word aligners write them down."""

from __future__ import annotations

import math
from pathlib import Path

from seqloom.data.text import read_lines
from seqloom.errors import DataError


def read_dictionary(path: Path | str) -> dict[str, str]:
    """The most probable target of each source in a file of lines "source TAB target" or "source TAB target TAB p".

    Any number will do for p, log-probabilities too; a line without one is certain, and of two that are equally
    probable the first counts.  Empty lines are passed over.  Raises DataError for any other line.
    """
    best: dict[str, tuple[float, str]] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not (line or "").strip():
            continue
        source, target, probability = _entry(line or "", f"{path}: line {number}")
        if source not in best or probability > best[source][0]:
            best[source] = probability, target
    return {source: target for source, (_, target) in best.items()}


def _entry(line: str, where: str) -> tuple[str, str, float]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in (2, 3) or not fields[0]:
        raise DataError(f"{where}: a dictionary has lines like source TAB target, or source TAB target TAB probability")
    return fields[0], fields[1], _number(fields[2], where) if len(fields) == 3 else math.inf


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise DataError(f"{where}: the third column is a probability, got {text!r}")
    return number
