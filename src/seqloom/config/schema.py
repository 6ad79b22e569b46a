"""From plain values to checked objects.  The constructors' signatures are the schema; every mistake is reported."""

from __future__ import annotations

import collections.abc
from dataclasses import is_dataclass
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from seqloom.config import scalars
from seqloom.config.spec import Spec, defaults, parameters
from seqloom.config.tree import Tree
from seqloom.registry import ConfigError, Kind, Place, Problem, dotted, known, name_of, resolve, suggest, with_article

T = TypeVar("T")
_INVALID = object()  # stands for a value that has been reported; nothing is built from it


def build(target: type[T], tree: Tree) -> T:
    """A `target`, usually a dataclass whose fields are the sections of the file, from what `tree` says.

    A parameter annotated `Callable[..., Base]` becomes a `Spec`: the subclass of Base that the file names, with its
    parameters checked.  A dataclass is a section.  Raises ConfigError with everything that is wrong.
    """
    checker = _Checker(tree)
    result = checker.section(target, tree.value, ())
    if checker.problems:
        raise ConfigError(checker.problems, tree.where)
    return cast(T, result)


class _Checker:
    """Walks along a tree and its schema, and collects what doesn't fit."""

    def __init__(self, tree: Tree):
        self.tree = tree
        self.problems: list[Problem] = []

    def report(self, place: Place, what: str, kind: Kind = "value") -> Any:
        self.problems.append(Problem(place, what, kind))
        return _INVALID

    def value(self, hint: Any, node: Any, place: Place) -> Any:
        """`node` as the value that `hint` asks for."""
        origin, arguments = get_origin(hint), get_args(hint)
        if hint is Any:
            return node
        if len(scalars.arms(hint)) > 1:
            return self.union(hint, node, place)
        if origin is Annotated:
            return self.bounded(arguments[0], arguments[1:], node, place)
        if origin is collections.abc.Callable:
            return self.part(arguments[1], node, place)
        if is_dataclass(hint):
            return self.section(cast(type, hint), node, place)
        if _shape(hint) == "list":
            return self.items(hint, node, place)
        if _shape(hint) == "mapping":
            return self.mapping(hint, node, place)
        try:
            return scalars.scalar(hint, node, self.tree.directory(place))
        except ValueError as error:
            return self.report(place, str(error))

    def union(self, hint: Any, node: Any, place: Place) -> Any:
        """`node` as the first of several types that it fits, of those that have its shape."""
        shape = _shape_of(node)
        fitting = [arm for arm in scalars.arms(hint) if shape in _shape(arm)]
        if shape == "mapping" and len(fitting) > 1:  # a part names its class, a section doesn't
            fitting = [arm for arm in fitting if _is_part(arm) == ("class" in node)]
        before = len(self.problems)
        for arm in fitting:
            value = self.value(arm, node, place)
            if value is not _INVALID:
                del self.problems[before:]
                return value
        if len(fitting) != 1:
            del self.problems[before:]
            self.report(place, scalars.unexpected(hint, node))
        return _INVALID

    def bounded(self, hint: Any, bounds: tuple[Any, ...], node: Any, place: Place) -> Any:
        value = self.value(hint, node, place)
        try:
            if value is not _INVALID:
                scalars.check_bounds(bounds, value)
        except ValueError as error:
            return self.report(place, str(error))
        return value

    def items(self, hint: Any, node: Any, place: Place) -> Any:
        """`node` as a list or a tuple."""
        if not isinstance(node, list):
            return self.report(place, scalars.unexpected(hint, node))
        origin, arguments = get_origin(hint) or hint, get_args(hint) or (Any, ...)
        repeated = origin is list or arguments[-1] is ...
        hints = [arguments[0]] * len(node) if repeated else list(arguments)
        if len(hints) != len(node):
            return self.report(place, f"expected a list of {len(hints)}, got {len(node)}")
        values = [self.value(item, part, (*place, i)) for i, (item, part) in enumerate(zip(hints, node, strict=True))]
        return _INVALID if any(item is _INVALID for item in values) else origin(values)

    def mapping(self, hint: Any, node: Any, place: Place) -> Any:
        """`node` as a dict whose keys the user chooses."""
        if not isinstance(node, dict):
            return self.report(place, scalars.unexpected(hint, node))
        _, item = get_args(hint) or (str, Any)
        values = {key: self.value(item, value, (*place, key)) for key, value in node.items()}
        return _INVALID if any(value is _INVALID for value in values.values()) else values

    def section(self, target: type, node: Any, place: Place) -> Any:
        """A `target` built from a mapping; nothing at all is an empty one."""
        if not isinstance(node, dict | None):
            return self.report(place, scalars.unexpected(target, node))
        arguments = self.arguments(target, node or {}, place)
        if arguments is None:
            return _INVALID
        try:
            return target(**arguments)
        except ValueError as error:
            return self.report(place, str(error), "key")

    def part(self, base: type, node: Any, place: Place) -> Any:
        """A Spec of the subclass of `base` that `node` names: `{class: Name, ...}`, or the name alone."""
        node = {"class": node} if isinstance(node, str) else node
        if not isinstance(node, dict):
            return self.report(place, f"expected {with_article(base.__name__)}, got {scalars.got(node)}")
        if "class" not in node:
            return self.report(place, f"'class' is missing{suggest('', map(name_of, known(base)))}", "key")
        target = self.named(base, node["class"], (*place, "class"))
        if target is None:
            return _INVALID
        rest = {key: value for key, value in node.items() if key != "class"}
        arguments = self.arguments(target, rest, place, is_part=True)
        return _INVALID if arguments is None else Spec(target, arguments, place, self.tree.where(place, "key"))

    def named(self, base: type, name: Any, place: Place) -> type | None:
        """The subclass of `base` called `name`; None if there is none."""
        if not isinstance(name, str):
            self.report(place, f"expected the name of {with_article(base.__name__)}, got {scalars.got(name)}")
            return None
        try:
            return cast(type, resolve(name, base))
        except LookupError as error:
            self.report(place, str(error))
            return None

    def arguments(self, target: type, node: dict[str, Any], place: Place, *, is_part: bool = False) -> Any:
        """The checked arguments of a constructor; None if something in them, missing or too many is wrong."""
        before, allowed, hints = len(self.problems), parameters(target), _hints(target)
        values = defaults(target)
        for key, value in node.items():
            if key in allowed:
                values[key] = self.value(hints.get(key, Any), value, (*place, key))
            else:
                self.report((*place, key), _unknown(target, key, place, is_part=is_part), "key")
        for key in allowed:
            if key not in node and key not in values:
                self.report(place, _missing(target, key, place, is_part=is_part), "key")
        return values if len(self.problems) == before else None


def _unknown(target: type, key: str, place: Place, *, is_part: bool) -> str:
    choices = suggest(key, parameters(target))
    if key in getattr(target, "given", ()):
        return f"{target.__name__} is given {key!r} by what stands around it; leave it out"
    if is_part:
        return f"{target.__name__} has no such parameter{choices}"
    return f"{dotted(place)} has no such key{choices}" if place else f"there is no section {key!r}{choices}"


def _missing(target: type, key: str, place: Place, *, is_part: bool) -> str:
    if is_part:
        return f"{target.__name__} needs {key!r}"
    return f"{key!r} is missing" if place else f"the section {key!r} is missing"


def _hints(target: type) -> dict[str, Any]:
    described: Any = target if is_dataclass(target) else target.__init__  # type: ignore[misc]
    return get_type_hints(described, include_extras=True)


def _shape(hint: Any) -> str:
    """Which shapes of node a type may be written as: `scalar`, `list`, `mapping`, or two of them."""
    origin = get_origin(hint) or hint
    if origin is collections.abc.Callable:
        return "scalar or mapping"
    if origin is Annotated:
        return _shape(get_args(hint)[0])
    if origin in (list, tuple):
        return "list"
    return "mapping" if origin is dict or is_dataclass(origin) else "scalar"


def _is_part(hint: Any) -> bool:
    return get_origin(hint) is collections.abc.Callable


def _shape_of(node: Any) -> str:
    return "mapping" if isinstance(node, dict) else "list" if isinstance(node, list) else "scalar"
