"""YAML 1.2 text to plain values, each with the place it was written at.  Nothing in the text is ever run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from seqloom.errors import UsageError
from seqloom.registry import Place, dotted

MAX_ALIASES, MAX_DEPTH, MAX_VALUES = 100, 50, 20_000
TAG = "tag:yaml.org,2002:"
At = Callable[[int, int], str]  # (line, column), both from 1 -> what to call that position


@dataclass(frozen=True)
class Origin:
    """Where a value was written, in words, and the directory that relative paths in it start from."""

    key: str
    value: str
    directory: Path


def parse(text: str, at: At, directory: Path) -> tuple[Any, dict[Place, Origin]]:
    """The plain value that `text` describes (None for no text), and the origin of everything inside it.

    Plain means dict with str keys, list, str, int, float, bool and None.  `no` is a string, `1e-4` a number and
    `100_000` an integer.  Raises UsageError for what is no YAML, for tags, for a key that is there twice and for
    text that would grow beyond reason: too deep, or too many aliases or values.
    """
    try:
        _check_events(text, at)
        node = _composed(text)
    except UsageError:
        raise
    except Exception as error:  # ruamel.yaml answers odd input with ValueError, OverflowError and others, too
        raise UsageError(_sentence(error, text, at)) from error
    reader = _Reader(at, directory)
    return reader.value(node, ()) if node else None, reader.origins


def _check_events(text: str, at: At) -> None:
    """Look through the text without building anything, since a small text can describe something huge."""
    aliases = depth = 0
    for count, event in enumerate(_events(text)):
        kind = type(event).__name__
        here = at(event.start_mark.line + 1, event.start_mark.column + 1)
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        aliases += kind == "AliasEvent"
        if depth > MAX_DEPTH + 2:  # the stream and the document are levels, too
            raise UsageError(f"{here}: this is nested more than {MAX_DEPTH} levels deep")
        if aliases > MAX_ALIASES:
            raise UsageError(f"{here}: there are more than {MAX_ALIASES} aliases (*name)")
        if count > MAX_VALUES:
            raise UsageError(f"{here}: there are more than {MAX_VALUES:,} values")
        if getattr(event, "tag", None):
            raise UsageError(f"{here}: a tag such as {event.tag.replace(TAG, '!!')!r} has no meaning here")
        if getattr(event, "version", None) not in (None, (1, 2)):
            raise UsageError(f"{here}: this is YAML {'.'.join(map(str, event.version))}, but only YAML 1.2 is read")


def _events(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML

    return iter(YAML(typ="safe", pure=True).parse(text))


def _composed(text: str) -> Any:
    from ruamel.yaml import YAML

    with warnings.catch_warnings():  # that an anchor's name is used twice: YAML allows it
        warnings.simplefilter("ignore")
        return YAML(typ="safe", pure=True).compose(text)


def _sentence(error: Exception, text: str, at: At) -> str:
    """What is wrong with the syntax, in a line."""
    mark, position = getattr(error, "problem_mark", None), getattr(error, "position", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = getattr(error, "problem", None) or str(error)
    if position is not None:
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
        what = f"the character U+{ord(text[position]):04X} is not allowed"
    return f"{at(line, column)}: this is not YAML: {' '.join(what.split())}"


class _Reader:
    """Turns nodes into values and notes where each came from."""

    def __init__(self, at: At, directory: Path):
        self.at = at
        self.directory = directory
        self.origins: dict[Place, Origin] = {}
        self.count = 0

    def value(self, node: Any, place: Place) -> Any:
        """The value of `node`; aliases are written out, so that each copy can be changed alone."""
        self.origins.setdefault(place, self.origin(node, node))
        if isinstance(node.value, str):
            return self.scalar(node, place)
        self.limit(node, place)
        if node.id == "sequence":
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        values = {}
        for key, (key_node, value_node) in self.entries(node, place).items():
            self.origins[(*place, key)] = self.origin(key_node, value_node)
            values[key] = self.value(value_node, (*place, key))
        return values

    def entries(self, node: Any, place: Place) -> dict[str, tuple[Any, Any]]:
        """A mapping's keys with the nodes of key and value: its own, then those it merges in (`<<: *name`)."""
        own: dict[str, tuple[Any, Any]] = {}
        merged: dict[str, tuple[Any, Any]] = {}
        for key, value in node.value:
            if key.tag == f"{TAG}merge":
                merged = self.merged(value, (*place, "<<")) | merged
                continue
            if not isinstance(key.value, str):
                self.fault(key, place, "a key must be a word, not a list or a mapping")
            if key.value in own:
                first = own[key.value][0].start_mark.line + 1
                self.fault(key, (*place, key.value), f"this key is here twice, first in line {first}")
            own[self.scalar(key, place, as_text=True)] = key, value
        return own | {key: pair for key, pair in merged.items() if key not in own}

    def merged(self, node: Any, place: Place) -> dict[str, tuple[Any, Any]]:
        """What a merge key brings: of a mapping, or of a list of mappings, the first of which wins."""
        self.limit(node, place)
        if node.id == "mapping":
            return self.entries(node, place)
        if node.id != "sequence":
            self.fault(node, place, "only a mapping can be merged")
        entries: dict[str, tuple[Any, Any]] = {}
        for index, item in enumerate(node.value):
            entries = self.merged(item, (*place, index)) | entries
        return entries

    def scalar(self, node: Any, place: Place, *, as_text: bool = False) -> Any:
        """A scalar's value; UTF-16 halves, which an escape can smuggle in, could never be printed or saved."""
        if re.search("[\ud800-\udfff]", node.value):
            self.fault(node, place, f"this text is not Unicode: {node.value!r}")
        return node.value if as_text else _scalar(node.tag.removeprefix(TAG), node.value)

    def limit(self, node: Any, place: Place) -> None:
        """Stop where aliases within aliases (or within themselves) would write out more than anybody means."""
        self.count += 1 + len(node.value)
        if len(place) >= MAX_DEPTH:
            self.fault(node, (), f"this is nested more than {MAX_DEPTH} levels deep")
        if self.count > MAX_VALUES:
            self.fault(node, (), f"with its aliases written out, this has more than {MAX_VALUES:,} values")

    def origin(self, key: Any, value: Any) -> Origin:
        return Origin(self.position(key), self.position(value), self.directory)

    def position(self, node: Any) -> str:
        return self.at(node.start_mark.line + 1, node.start_mark.column + 1)

    def fault(self, node: Any, place: Place, what: str) -> NoReturn:
        raise UsageError(": ".join(filter(None, (self.position(node), dotted(place), what))))


def _scalar(kind: str, text: str) -> Any:
    """The value of a scalar that looks like `kind`.  What looks like a date stays text."""
    plain = text.replace("_", "").lower()
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return plain == "true"
        if kind == "int":
            return int(plain, 0 if re.match("[-+]?0[box]", plain) else 10)
        return float(plain.replace(".inf", "inf").replace(".nan", "nan")) if kind == "float" else text
    except ValueError:  # such as 0x_ or more digits than Python converts
        return text
