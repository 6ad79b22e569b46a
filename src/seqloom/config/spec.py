"""What a checked YAML file becomes: classes with their parameters bound, and the way back to plain values."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from seqloom.registry import ConfigError, Place, Problem, name_of

T = TypeVar("T")


@dataclass(frozen=True)
class Spec(Generic[T]):
    """A factory: a class with the parameters that a user chose, to be called with what only the caller knows.

    A parameter that is a part itself, such as a decoder's attention, is a Spec again, and is handed on as a factory.
    `parameters` holds every default that the user left alone, so that a Spec says all that a run depends on.
    """

    target: type[T]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    place: Place = field(default=(), compare=False)
    where: str = field(default="", compare=False)  # FILE:LINE:COLUMN, where the Spec comes from a file

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", {**defaults(self.target), **self.parameters})

    def __call__(self, **given: Any) -> T:
        """Build the part.  A ValueError of its constructor becomes a ConfigError that says which part of the file."""
        try:
            return self.target(**self.parameters, **given)
        except ValueError as error:
            what = str(error) if self.place else f"{name_of(self.target)}: {error}"
            raise ConfigError([Problem(self.place, what)], lambda place, kind: self.where) from error

    def described(self) -> dict[str, Any]:
        """The YAML mapping that describes this part, with every default filled in."""
        return {"class": name_of(self.target), **{name: describe(item) for name, item in self.parameters.items()}}


def describe(value: Any) -> Any:
    """The plain value that a configuration, or something inside it, is written as in YAML, with every default.

    Raises TypeError for what no file can say.
    """
    value = as_spec(value)
    if isinstance(value, Spec):
        return value.described()
    if is_dataclass(value):
        return {item.name: describe(getattr(value, item.name)) for item in fields(value) if item.init}
    if isinstance(value, Mapping):
        return {key: describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if isinstance(value, Path):
        return str(value).replace("$", "$$")
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"a YAML file can't say {value!r}")


def parameters(target: type) -> dict[str, inspect.Parameter]:
    """The parameters of a constructor that a file may set: those with a name, less those its caller gives."""
    given = getattr(target, "given", ())
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    signature = inspect.signature(target)
    return {name: p for name, p in signature.parameters.items() if p.kind in named and name not in given}


def defaults(target: type) -> dict[str, Any]:
    """The values of those parameters that a file may leave out."""
    made = {item.name: item.default_factory for item in fields(target)} if is_dataclass(target) else {}
    values = {}
    for name, parameter in parameters(target).items():
        factory = made.get(name, MISSING)
        if factory is not MISSING:
            values[name] = factory()
        elif parameter.default is not parameter.empty:
            values[name] = as_spec(parameter.default)
    return values


def as_spec(value: Any) -> Any:
    """A Spec for a class, or for a class with parameters bound by functools.partial, as a default may be.

    A tuple, or a dataclass, is the same with its items or fields looked at like this; anything else stays as it is.
    """
    if isinstance(value, type):
        return Spec(value)
    if isinstance(value, partial) and isinstance(value.func, type) and not value.args:
        return Spec(value.func, value.keywords)
    if isinstance(value, tuple):
        specs = tuple(map(as_spec, value))
        return value if all(one is other for one, other in zip(specs, value, strict=True)) else specs
    if is_dataclass(value) and not isinstance(value, Spec):
        items = {item.name: getattr(value, item.name) for item in fields(value) if item.init}
        changes = {name: as_spec(item) for name, item in items.items() if as_spec(item) is not item}
        return replace(cast(Any, value), **changes) if changes else value
    return value
