"""Names in a YAML file and the classes they stand for, and how to say what is wrong with such a file."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, TypeVar

from seqloom.errors import UsageError

T = TypeVar("T")
Place = tuple[str | int, ...]
Kind = Literal["key", "value"]
PLUGINS_VARIABLE = "SEQLOOM_PLUGINS"
_names: dict[str, type] = {}


class Problem(NamedTuple):
    """One thing that is wrong in a configuration."""

    place: Place  # the keys and list indices that lead there, such as ("model", "encoder", "size")
    what: str
    kind: Kind = "value"  # whether to point at the key or at its value


class ConfigError(UsageError):
    """A configuration that can't be used; the message has a line for each of its `problems`, in the file's order."""

    def __init__(self, problems: Iterable[Problem], where: Callable[[Place, Kind], str] = lambda place, kind: ""):
        """`where` says in which file, line and column a place is; empty where that is not known."""
        self.problems = tuple(dict.fromkeys(problems))
        lines = [": ".join(filter(None, (where(p.place, p.kind), dotted(p.place), p.what))) for p in self.problems]
        super().__init__("\n".join(sorted(lines, key=_natural)))


def dotted(place: Place) -> str:
    """The way a user writes a place on the command line: `data.train.0.weight`."""
    return ".".join(map(str, place))


def register(*aliases: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: a YAML file may call the class by its own name, its full path or any of `aliases`.

    Raises ValueError if one of these names already stands for another class.
    """

    def decorate(cls: type[T]) -> type[T]:
        names = (cls.__name__, _full_path(cls), *aliases)
        for name in names:
            if _names.get(name, cls) is not cls:
                raise ValueError(f"{name!r} already names {_full_path(_names[name])}")
        _names.update(dict.fromkeys(names, cls))
        return cls

    return decorate


def resolve(name: str, base: type[T]) -> type[T]:
    """The subclass of `base` that goes by this name, alias or full path.

    A class that nobody registered is found by its full path if its module is one of `plugins()`.  No other module is
    ever imported, so a file from a stranger can't run code by naming it.  Raises LookupError with a whole sentence.
    """
    cls: object = _names.get(name) or _from_plugin(name)
    if isinstance(cls, type) and issubclass(cls, base):
        return cls
    if cls is None and "." not in name:
        raise LookupError(f"no {base.__name__} is named {name!r}{suggest(name, _short_names(base))}")
    hint = f"; list modules of your own in {PLUGINS_VARIABLE}" if cls is None else ""
    raise LookupError(f"{name!r} is not {with_article(base.__name__)}{suggest(name, _short_names(base))}{hint}")


def known(base: type[T]) -> list[type[T]]:
    """Every registered subclass of `base`, in the order of their full paths."""
    classes: set[type[T]] = {cls for cls in _names.values() if issubclass(cls, base)}
    return sorted(classes, key=_full_path)


def name_of(cls: type) -> str:
    """The name to write in a YAML file: the short one where it stands for this class, else the full path."""
    return cls.__name__ if _names.get(cls.__name__) is cls else _full_path(cls)


def suggest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about an unknown `name`: `; did you mean 'size'?`, or else `; known: layers, size`."""
    choices = sorted(set(names))
    close = difflib.get_close_matches(name, choices, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(choices)}" if choices else ""


def with_article(noun: str) -> str:
    """`a Decoder`, `an Encoder`."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def plugins() -> Sequence[str]:
    """The modules that the user, and not a file, allows to be imported: the comma-separated $SEQLOOM_PLUGINS."""
    return [name.strip() for name in os.environ.get(PLUGINS_VARIABLE, "").split(",") if name.strip()]


def _from_plugin(name: str) -> object:
    """What `name` stands for once the plugins are imported: registered there, or the full path of something there."""
    modules = {plugin: _imported(plugin) for plugin in plugins()}
    module, _, attribute = name.rpartition(".")
    return _names.get(name) or getattr(modules.get(module), attribute, None)


def _imported(module: str) -> object:
    try:
        return importlib.import_module(module)
    except Exception as error:  # whatever a user's own module does while it is imported
        raise UsageError(f"{PLUGINS_VARIABLE}: the module {module!r} can't be imported: {error}") from error


def _short_names(base: type[object]) -> list[str]:
    return [cls.__name__ for cls in known(base)]


def _full_path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _natural(line: str) -> list[tuple[int, str]]:
    """A sort key that puts line 9 before line 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", line)]
