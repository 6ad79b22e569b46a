"""A configuration as plain values that know where they were written: in a file, or on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqloom.config.text import Origin, parse
from seqloom.errors import UsageError
from seqloom.registry import Kind, Place, suggest

MAX_BYTES = 2**20


@dataclass(frozen=True)
class Tree:
    """What a file says, changed by what the command line says."""

    value: dict[str, Any]
    origins: Mapping[Place, Origin]

    def where(self, place: Place, kind: Kind = "value") -> str:
        """`FILE:LINE:COLUMN` of the key or the value at `place`, or `KEY=VALUE (command line)`.

        Where nothing was written at `place`, the nearest value around it counts.
        """
        if place in self.origins:
            return self.origins[place].key if kind == "key" else self.origins[place].value
        return self._nearest(place).value

    def directory(self, place: Place) -> Path:
        """The directory that a relative path at `place` starts from."""
        return self._nearest(place).directory

    def override(self, text: str) -> Tree:
        """This tree with one value changed or added, as in `train.steps=60` or `data.train.0.weight=2`.

        Raises UsageError if `text` is something else, or leads to where no value can be.
        """
        name, equals, value = text.partition("=")
        keys = [key.strip() for key in name.split(".")]
        if not equals or not all(keys):
            raise UsageError(f"{text!r} (command line): expected KEY=VALUE, such as train.steps=1000")
        label = f"{_shortened(text)} (command line)"
        new, origins = parse(value, lambda line, column: label, Path.cwd())
        place, changed = _changed(self.value, keys, new, (), label)
        kept = {old: origin for old, origin in self.origins.items() if old[: len(place)] != place}
        added = {(*place, *inner): origin for inner, origin in origins.items()}
        return Tree(changed, {**kept, place: Origin(label, label, Path.cwd()), **added})

    def _nearest(self, place: Place) -> Origin:
        while place and place not in self.origins:
            place = place[:-1]
        return self.origins[place]


def read(path: Path, overrides: Sequence[str] = ()) -> Tree:
    """The tree that a YAML file describes.  Raises UsageError for a file that can't be read as one."""
    return read_text(text_of(path), overrides, name=str(path), directory=path.parent)


def text_of(path: Path) -> str:
    """The text of a configuration file.  Raises UsageError for a file that can't be read or is no text."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: this file can't be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: this file is larger than a configuration may be, which is 1 MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: this line is not UTF-8; save the file as UTF-8") from error


def read_text(text: str, overrides: Sequence[str] = (), *, name: str = "text", directory: Path | None = None) -> Tree:
    """The tree that YAML text describes; `name` is what messages call it, and relative paths start in `directory`."""
    base = (directory or Path()).absolute()
    value, origins = parse(text, lambda line, column: f"{name}:{line}:{column}", base)
    if value is None:
        raise UsageError(f"{name}: this file is empty")
    if not isinstance(value, dict):
        raise UsageError(f"{origins[()].value}: a configuration starts with the name of a section, such as 'model:'")
    tree = Tree(value, origins)
    for override in overrides:
        tree = tree.override(override)
    return tree


def dump(value: Mapping[str, Any], *, comments: Mapping[Place, str] | None = None) -> str:
    """YAML text that reads back as `value`; lists of plain values are written on one line.

    `comments` stand behind the values, or the keys, at their places.
    """
    from io import StringIO

    from ruamel.yaml import YAML

    yaml, stream = YAML(), StringIO()
    yaml.width = 2**20  # never fold a line
    yaml.dump(_laid_out(value, comments or {}, ()), stream)
    return stream.getvalue()


def _laid_out(value: Any, comments: Mapping[Place, str], place: Place) -> Any:
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, Mapping):
        parts = CommentedMap()
        for key, item in value.items():
            name = _laid_out(key, {}, ())
            parts[name] = _laid_out(item, comments, (*place, key))
            if (*place, key) in comments:
                parts.yaml_add_eol_comment(comments[*place, key], name, column=0)
        return parts
    if isinstance(value, str) and not value.isprintable():
        return DoubleQuotedScalarString(value)  # the other styles fold unusual line ends
    if not isinstance(value, list):
        return value
    items = CommentedSeq(_laid_out(item, comments, (*place, index)) for index, item in enumerate(value))
    if not any(isinstance(item, (dict, list)) for item in value):
        items.fa.set_flow_style()
    return items


def _changed(node: Any, keys: Sequence[str], new: Any, place: Place, label: str) -> tuple[Place, Any]:
    """The place that `keys` lead to, and a copy of `node` with the value `new` there."""
    if not keys:
        return place, new
    if isinstance(node, list):
        index = _index(node, keys[0], place, label)
        found, item = _changed(node[index], keys[1:], new, (*place, index), label)
        return found, [*node[:index], item, *node[index + 1 :]]
    parts = _parts(node, place, label)
    found, item = _changed(parts.get(keys[0]), keys[1:], new, (*place, keys[0]), label)
    return found, {**parts, keys[0]: item}


def _index(items: list[Any], key: str, place: Place, label: str) -> int:
    if key.isascii() and key.isdecimal() and int(key[:9]) < len(items):
        return int(key[:9])
    name = ".".join(map(str, place))
    raise UsageError(f"{label}: {name} is a list{suggest(key, map(str, range(len(items))))}")


def _parts(node: Any, place: Place, label: str) -> dict[str, Any]:
    """What the value at `place` consists of: a name alone, such as RNNDecoder, is short for `{class: RNNDecoder}`."""
    if node is None:
        return {}
    if isinstance(node, str):
        return {"class": node}
    if isinstance(node, dict):
        return node
    raise UsageError(f"{label}: {'.'.join(map(str, place))} is {node!r}, which has no parts")


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
