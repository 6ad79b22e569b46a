"""Options that belong together are fields of one class, and a command takes them as one argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


@dataclass(frozen=True, kw_only=True)
class Group:
    """A dataclass of options, each with a default: a command with a parameter of this type has all of them."""


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer is to see it: with the options of each group in the group's place."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if _is_group(hint)}
    if not groups:
        return command

    @wraps(command)
    def flat(**given: Any) -> None:
        made = {name: _taken(group, given) for name, group in groups.items()}
        command(**given, **made)

    parameters = [one for own in signature(command).parameters.values() for one in _flat(own, hints[own.name])]
    flat.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Group)


def _taken(group: type[Group], given: dict[str, Any]) -> Group:
    return group(**{field.name: given.pop(field.name) for field in fields(group)})


def _flat(own: Parameter, hint: Any) -> Iterator[Parameter]:
    if not _is_group(hint):
        yield own.replace(annotation=hint, kind=Parameter.KEYWORD_ONLY)
        return
    hints = get_type_hints(hint, include_extras=True)
    for field in fields(hint):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
