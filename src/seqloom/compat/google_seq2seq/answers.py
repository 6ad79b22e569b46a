"""What a user wrote, held against a table: every key known, every value of the default's type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from seqloom.compat.google_seq2seq.rows import Family, Named, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said
from seqloom.config.scalars import expected, got
from seqloom.registry import Place, suggest

YES, NO = ("yes", "on"), ("no", "off")  # true and false in the YAML of their time, text in today's


def answers(said: Said, rows: Sequence[Row], report: Report, *, owner: str) -> Answers:
    """The value of every row, the default where nothing was written; mistakes go to the report.

    Their keys have dots in them, `optimizer.name`.  Nested mappings, which their program refused, mean the same here;
    where both are written, the dotted one counts.  Null asks for the default.
    """
    values = {row.key: Said(row.default) for row in rows}
    if not isinstance(said.value, dict):
        if said.value is not None:
            report.problem(said.place, f"expected a mapping, got {got(said.value)}")
        return values
    by_key = {row.key: row for row in rows}
    written = sorted(_flat(said.value, said.place or (), tuple(by_key), report, owner), key=lambda item: -len(item[1]))
    for key, place, value in written:
        answer = _answer(by_key[key], value, place, report)
        if answer is not None:
            values[key] = answer
    return values


def chosen(said: Said, family: Family, report: Report) -> tuple[Named, Answers] | None:
    """The class that `{class: ..., params: {...}}` names, with its parameters; None, and a problem, where it can't."""
    node = {"class": said.value} if isinstance(said.value, str) else said.value
    place = said.place or ()
    if not isinstance(node, dict) or "class" not in node:
        names = [member.name for member in family.members]
        report.problem(place, f"'class' is missing; write class: and one of {', '.join(names)}")
        return None
    for key in node.keys() - {"class", "params"}:
        report.problem((*place, key), f"expected class and params{suggest(key, ['class', 'params'])}", "key")
    found = family.find(Said(node["class"], (*place, "class")), report)
    if found is None:
        return None
    params = Said(node.get("params"), (*place, "params"))
    given = answers(params, found.rows, report, owner=found.name)
    missing = [row.needed for row in found.rows if row.needed and not given[row.key].place]
    for needed in missing:
        report.problem((*place, "class"), f"{found.name} needs {needed}")
    return None if missing else (found, given)


def listed(said: Said) -> list[Said]:
    """The items of a list, each with its place."""
    return [Said(item, (*(said.place or ()), index)) for index, item in enumerate(said.value)]


def _flat(
    node: dict[str, Any], place: Place, keys: tuple[str, ...], report: Report, owner: str, before: str = ""
) -> Iterator[tuple[str, Place, Any]]:
    """Every key with its place and value, dots and nesting alike."""
    for name, value in node.items():
        key = before + name
        if key in keys:
            yield key, (*place, name), value
        elif any(known.startswith(f"{key}.") for known in keys):
            if isinstance(value, dict):
                yield from _flat(value, (*place, name), keys, report, owner, f"{key}.")
            elif value is not None:
                report.problem((*place, name), f"expected a mapping, got {got(value)}")
        else:
            report.problem(
                (*place, name), f"{owner} of google/seq2seq has no such parameter{suggest(key, keys)}", "key"
            )


def _answer(row: Row, value: Any, place: Place, report: Report) -> Said | None:
    """The value as the row's type, with the row's notice or refusal; None where it must stay the default."""
    if value is None:
        return None
    try:
        said = Said(cast(row, value), place)
    except ValueError as error:
        report.problem(place, str(error))
        return None
    if said.value != row.default and row.refused:
        report.problem(place, row.refused)
    elif said.value != row.default and row.notice:
        report.notice(said, row.notice)
    elif isinstance(said.value, (int, float)) and said.value < row.least:
        report.problem(place, f"expected at least {row.least:g}, got {got(said.value)}")
        return None
    elif row.choices and said.value not in row.choices:
        report.problem(place, f"expected one of {', '.join(row.choices)}, got {got(said.value)}")
        return None
    return said


def cast(row: Row, value: Any) -> Any:
    """The value as the type of the row's default, which is what their program made of it, where that was harmless.

    It read the text "False" as true, and 2.7 as 2: here that is a ValueError.
    """
    wanted = row.type or type(row.default)
    if wanted in (dict, list):
        return _collection(wanted, value)
    if isinstance(value, (dict, list)):
        raise ValueError(f"expected {expected(wanted)}, got {got(value)}")
    if wanted is bool:
        return _truth(value)
    return _number(wanted, value) if wanted in (int, float) else str(value)


def _collection(wanted: type, value: Any) -> Any:
    if wanted is list and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return [str(value)]  # their program would have taken each character for an item
    if not isinstance(value, wanted):
        raise ValueError(f"expected {expected(wanted)}, got {got(value)}")
    return value


def _truth(value: Any) -> bool:
    text = str(value).lower().rstrip(",")
    if isinstance(value, bool) or text in ("true", *YES, *NO, "1", "0"):
        return text in ("true", *YES, "1")
    if text == "false":
        raise ValueError(f"google/seq2seq read the text {value!r} as true; write false, without quotes")
    raise ValueError(f"expected true or false, got {got(value)}")


def _number(wanted: type, value: Any) -> int | float:
    if isinstance(value, bool):
        raise ValueError(f"expected {expected(wanted)}, got {got(value)}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"expected {expected(wanted)}, got {got(value)}") from None
    if wanted is float:
        return number
    if not math.isfinite(number):
        raise ValueError(f"expected an integer, got {got(value)}")
    if not number.is_integer():
        raise ValueError(f"expected an integer, got {got(value)}; google/seq2seq would have cut it to {int(number)}")
    return int(number)
