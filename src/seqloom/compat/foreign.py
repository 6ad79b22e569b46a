"""What every reader of another toolkit's model returns, and what it reads with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqloom.config.text import parse
from seqloom.errors import DataError, UsageError
from seqloom.tokenizers import Tokenizers

SHOWN = 3  # names in a sentence, before "and 9 more"


@dataclass(frozen=True)
class Foreign:
    """Another toolkit's model as ours: sections of a configuration, weights by our names, and what cuts text."""

    model: dict[str, Any]
    search: dict[str, Any]
    weights: dict[str, Tensor]
    tokenizers: Tokenizers
    notes: tuple[str, ...] = ()  # what a user should know, a sentence each


@dataclass
class Tensors:
    """Another toolkit's weights by its names; those that nobody took are found out in the end."""

    where: Path
    named: Mapping[str, Tensor]
    taken: set[str] = field(default_factory=set)

    def take(self, name: str) -> Tensor:
        """The weight of this name in float32.  Raises DataError if there is none."""
        found = self.maybe(name)
        if found is None:
            raise DataError(f"{self.where}: the weight {name} is missing")
        return found

    def maybe(self, name: str) -> Tensor | None:
        """The same, or None."""
        self.taken.add(name)
        found = self.named.get(name)
        return found if found is None else found.float()

    def leave(self, *names: str) -> None:
        """These need not be taken: they say what is known already."""
        self.taken.update(names)

    def check_all_taken(self) -> None:
        """Raises UsageError if there is a weight that nothing here has a place for."""
        left = sorted(self.named.keys() - self.taken)
        if left:
            shown = ", ".join(left[:SHOWN]) + (f" and {len(left) - SHOWN} more" if len(left) > SHOWN else "")
            raise UsageError(f"{self.where}: it has weights that no model of Seqloom has a place for: {shown}")


@dataclass(frozen=True)
class Options:
    """What another toolkit's configuration says, or ours for it, as far as it is looked at."""

    where: Path
    values: Mapping[str, Any]
    by: str = "Seqloom"  # who is to express them

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an option; `default` where nothing, or null, is said."""
        value = self.values.get(name)
        return default if value is None else value

    def need(self, name: str) -> Any:
        """Raises DataError where nothing is said."""
        if self.values.get(name) is None:
            raise DataError(f"{self.where}: {name} is missing")
        return self.values[name]

    def refuse(self, name: str, *, unless: Iterable[Any], default: Any = None) -> None:
        """Raises UsageError for a value of an option that can't be expressed."""
        value, allowed = self.get(name, default), list(unless)
        if value not in allowed:
            known = " or ".join(dict.fromkeys(_said(choice) for choice in allowed))
            raise UsageError(f"{self.where}: {name} is {_said(value)}, which {self.by} can't express; it knows {known}")

    def choose(self, name: str, choices: Mapping[Any, Any], default: Any = None) -> Any:
        """What a value of an option is here; UsageError as `refuse` raises it."""
        self.refuse(name, unless=choices, default=default)
        return choices[self.get(name, default)]

    def under(self, name: str) -> Options:
        """The options of a section; none where it isn't there."""
        section = self.get(name, {})
        if not isinstance(section, Mapping):
            raise DataError(f"{self.where}: {name} is no section")
        return Options(self.where, section, self.by)


def _said(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, default=str)


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file.  Raises DataError if there is none."""
    try:
        value = json.loads(bytes_of(path))
    except ValueError as error:
        raise DataError(f"{path}: this is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: this holds no names and values")
    return value


def read_yaml(path: Path, text: str | None = None) -> dict[str, Any]:
    """The mapping in a YAML file, or in `text` from it.  Raises DataError if there is none."""
    text = text_of(path) if text is None else text
    try:
        value, _ = parse(text, lambda line, column: f"{path}:{line}:{column}", path.parent)
    except UsageError as error:
        raise DataError(str(error)) from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: this holds no names and values")
    return value


def bytes_of(path: Path) -> bytes:
    """What is in a file.  Raises DataError if it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def text_of(path: Path) -> str:
    """The same as text.  Raises DataError if it isn't UTF-8."""
    try:
        return bytes_of(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: this is not UTF-8") from None


def one_of(directory: Path, what: str, *patterns: str) -> Path:
    """The file in a directory that the first of these patterns with any match has; DataError unless it is one."""
    for pattern in patterns:
        found = sorted(directory.glob(pattern))
        if len(found) > 1:
            raise DataError(f"{directory}: there are several that could be {what}: {', '.join(p.name for p in found)}")
        if found:
            return found[0]
    raise DataError(f"{directory}: {what} is missing; it would be called {' or '.join(patterns)}")


def checked(make: Callable[[], Tokenizers], where: Path) -> Tokenizers:
    """What `make` makes; DataError where the files hold no tokenizer."""
    try:
        return make()
    except ValueError as error:
        raise DataError(f"{where}: its text can't be cut as it was in training: {error}") from None


def zeros(like: Tensor) -> Tensor:
    """As many zeros as a matrix has rows."""
    return torch.zeros(len(like))
