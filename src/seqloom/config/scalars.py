"""Single values, and the words in which messages speak of them and of the types they should have."""

from __future__ import annotations

import collections.abc
import math
import os
import re
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from seqloom.registry import suggest, with_article

_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path", NoneType: "null"}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>\w+)|\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\})", re.ASCII)


def scalar(hint: Any, node: Any, directory: Path) -> Any:
    """`node` as the single value that `hint` asks for.  Raises ValueError with what is wrong.

    An integer is a number, but true is no integer and "3" is no number.
    """
    if get_origin(hint) is Literal and any(type(node) is type(item) and node == item for item in get_args(hint)):
        return node
    if hint is float and type(node) in (int, float) and not math.isnan(node):
        return _number(node)
    if hint is Path and isinstance(node, str):
        return path(node, directory)
    if hint is NoneType and node is None:
        return None
    if isinstance(hint, type) and type(node) is hint and hint is not float:
        return node
    raise ValueError(unexpected(hint, node))


def path(text: str, directory: Path) -> Path:
    """The path that `text` stands for: `~`, `$NAME`, `${NAME}` and `${NAME:-otherwise}` are replaced, `$$` is a `$`.

    A relative one starts from `directory`.  Raises ValueError for a variable that is not set.
    """
    if not text or "\0" in text:
        raise ValueError(f"expected a path, got {text!r}")
    return directory / os.path.expanduser(_VARIABLE.sub(_variable, text))


def check_bounds(bounds: tuple[Any, ...], value: Any) -> None:
    """Hold `value` against what stands behind the type in `Annotated[int, Ge(1)]`.  Raises ValueError."""
    compare = {"ge": "__ge__", "gt": "__gt__", "le": "__le__", "lt": "__lt__"}
    for bound in bounds:
        for name, words in _BOUNDS.items():
            limit = getattr(bound, name, None)
            if limit is not None and getattr(value, compare[name])(limit) is not True:
                raise ValueError(f"expected {words} {limit}, got {got(value)}")


def unexpected(hint: Any, node: Any) -> str:
    """`expected one of gru, lstm, got 'lst'; did you mean 'lstm'?`"""
    choices = [str(choice) for arm in arms(hint) if get_origin(arm) is Literal for choice in get_args(arm)]
    hint_text = suggest(node, choices) if isinstance(node, str) else ""
    return f"expected {expected(hint)}, got {got(node)}{hint_text if 'did you mean' in hint_text else ''}"


def expected(hint: Any) -> str:
    """What a type is called in a message: `an integer`, `one of gru, lstm`, `a path or null`."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(expected, arms(hint))))
    if origin is Annotated:
        return expected(get_args(hint)[0])
    if origin is Literal:
        choices = [got(choice) if not isinstance(choice, str) else choice for choice in get_args(hint)]
        return f"one of {', '.join(dict.fromkeys(choices))}" if len(choices) > 1 else choices[0]
    if origin is collections.abc.Callable:
        return with_article(get_args(hint)[1].__name__)
    if origin in (list, tuple) or hint in (list, tuple):
        return "a list"
    if origin is dict or hint is dict or is_dataclass(hint):
        return "a mapping"
    return _NAMES.get(hint) or with_article(getattr(hint, "__name__", str(hint)))


def got(node: Any) -> str:
    """How a message quotes what it found."""
    if isinstance(node, (dict, list)):
        return "a mapping" if isinstance(node, dict) else "a list"
    if node is None or isinstance(node, bool):
        return {None: "null", True: "true", False: "false"}[node]
    text = repr(node)
    return text if len(text) <= 60 else f"{text[:57]}..."


def arms(hint: Any) -> tuple[Any, ...]:
    """The types of a union; of anything else, itself alone."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _number(node: int | float) -> float:
    try:
        return float(node)
    except OverflowError:
        raise ValueError(f"expected a number below 1.8e308, got {got(node)}") from None


def _variable(match: re.Match[str]) -> str:
    if match["dollar"]:
        return "$"
    name = match["name"] or match["braced"]
    value = os.environ.get(name, match["default"])
    if value is None:
        raise ValueError(f"the variable {name} is not set; export {name}=...")
    return value
