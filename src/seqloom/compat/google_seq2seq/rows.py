"""The form of a table: a row a key of theirs, with its default and what becomes of it here; a table a class."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seqloom.compat.google_seq2seq.said import Answers, Report, Said
from seqloom.registry import suggest

Part = dict[str, Any]  # of our configuration; its leaves are Said or plain values


@dataclass(frozen=True)
class Row:
    """A key of theirs.

    `ours` is what becomes of it, in the words of the page.  Where there is no such thing here, `refused` is the
    sentence about every value but the default; where the value makes no difference, `notice` is.  Where a class
    can't do without, `needed` says what to write.
    """

    key: str
    default: Any
    ours: str = ""
    type: type | None = None  # where the default is None
    refused: str = ""
    notice: str = ""
    choices: tuple[str, ...] = ()
    least: float = -math.inf
    needed: str = ""


@dataclass(frozen=True)
class Named:
    """A class of theirs: what becomes of it here, its parameters, and the translation; or why there is none."""

    name: str
    ours: str = ""
    rows: tuple[Row, ...] = ()
    make: Callable[[Answers, Report], Any] = lambda answers, report: {}
    refused: str = ""
    notice: str = ""


@dataclass(frozen=True)
class Family:
    """The classes that a key of theirs can name, and the modules that they are in."""

    noun: str
    modules: tuple[str, ...]
    members: tuple[Named, ...]

    def find(self, said: Said, report: Report) -> Named | None:
        """The class that is meant, by its short or full name; None, and a problem, where there is none to use."""
        module, _, short = str(said.value).rpartition(".")
        known = {member.name: member for member in self.members}
        found = known.get(short) if module in ("", *self.modules) else None
        if found is None:
            usable = [member.name for member in self.members if not member.refused]
            what = f"google/seq2seq has no {self.noun} named {said.value!r}{suggest(short, usable)}"
            report.problem(said.place, what)
        elif found.refused:
            report.problem(said.place, f"{found.name}: {found.refused}")
            return None
        elif found.notice:
            report.notice(said, f"{found.name}: {found.notice}")
        return found


def changed(rows: Iterable[Row], defaults: Mapping[str, Any]) -> tuple[Row, ...]:
    """The rows with other defaults for some keys, as a subclass of theirs has them."""
    return tuple(replace(row, default=defaults.get(row.key, row.default)) for row in rows)


def less(rows: Iterable[Row], keys: Iterable[str]) -> tuple[Row, ...]:
    """The rows without those of some keys."""
    return tuple(row for row in rows if row.key not in set(keys))
