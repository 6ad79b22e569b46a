"""Their files and flags as one tree, merged in their order."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqloom.compat.google_seq2seq.flags import EXTRA, INFER, TRAIN
from seqloom.compat.google_seq2seq.models import MODELS
from seqloom.compat.google_seq2seq.rows import Row
from seqloom.config.scalars import got
from seqloom.config.text import Origin, parse
from seqloom.config.tree import Tree, read_text
from seqloom.errors import UsageError
from seqloom.registry import Place

FENCE = "```"
FLAGS = {row.key: row for row in (*TRAIN, *INFER, *EXTRA)}
RENAMED = {"model_class": "model"}  # in train_options.json


def read_file(text: str, name: str) -> Tree:
    """The tree that a YAML file of theirs, or a train_options.json, describes.

    The fence of a web page around the text is taken away; `model:` may stand on the fence's own line.
    """
    tree = read_text(unfenced(text), name=name)
    for old, new in RENAMED.items():
        if old in tree.value:
            tree = _renamed(tree, old, new)
    return tree


def is_theirs(text: str, name: str) -> bool:
    """Whether this is visibly a file of theirs: with a model of theirs, or model parameters.

    Raises UsageError for what is no YAML at all.
    """
    value = read_text(unfenced(text), name=name).value
    model = value.get("model")
    named = isinstance(model, str) and model.rpartition(".")[2] in {member.name for member in MODELS.members}
    return named or not value.keys().isdisjoint(("model_params", "model_class"))


def unfenced(text: str) -> str:
    """The text without the back-ticks of a Markdown fence, every line where it was.

    A language's name behind the first ones goes too, as in ```yaml.
    """
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if not lines[first].lstrip().startswith(FENCE):
        return text
    line = lines[first].lstrip()
    opening = line.lstrip("`")
    lines[first] = opening.lstrip() if ":" in opening else ""
    last = max(i for i, line in enumerate(lines) if line.strip() or i == first)
    lines[last] = lines[last].rstrip().removesuffix(line[: len(line) - len(opening)])
    return "\n".join(lines)


def gather(files: Sequence[Tree], flags: Mapping[str, Any]) -> tuple[Tree, list[str]]:
    """What files and command line say together, and what there is to notice.

    Files are merged deeply, later ones win and lists are replaced whole.  Of a flag that is a mapping the command line
    wins key by key; of any other flag the files win.  Names that are no flags are left out.
    """
    said = _merged_all(files)
    given = _merged_all([_flag_tree(FLAGS[name], value) for name, value in flags.items()])
    mappings = [key for key in given.value if isinstance(FLAGS[key].default, dict)]
    together = merged(merged(given, said), _only(given, mappings))
    overruled = list(_overruled(said, given, mappings))
    return _only(together, [key for key in together.value if key in FLAGS]), [*_unknown(said), *overruled]


def _overruled(said: Tree, given: Tree, mappings: Sequence[str]) -> Iterator[str]:
    for key, value in given.value.items():
        if key in said.value and key not in mappings and str(said.value[key]) != str(value):
            where = said.where((key,))
            yield f"--{key}: {where} says {got(said.value[key])}, and in google/seq2seq a file wins"


def _unknown(said: Tree) -> Iterator[str]:
    for key in said.value:
        if key not in FLAGS:
            yield f"{said.where((key,), 'key')}: {key}: Ignoring config flag: there is none of this name{_meant(key)}"


def _meant(key: str) -> str:
    close = difflib.get_close_matches(key, FLAGS, 1, 0.8)  # strict, since other keys hold what anchors refer to
    return f"; did you mean {close[0]!r}?" if close else ""


def merged(first: Tree, second: Tree) -> Tree:
    """`first` changed by `second`: mappings key by key, everything else whole."""
    replaced = list(_replaced(first.value, second.value, ()))
    kept = {p: o for p, o in first.origins.items() if not any(p[: len(place)] == place for place in replaced)}
    added = {p: o for p, o in second.origins.items() if p not in kept}
    return Tree(_merged(first.value, second.value), {**kept, **added})


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    values = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = _merged(values[key], value) if both else value
    return values


def _replaced(first: dict[str, Any], second: dict[str, Any], place: Place) -> Iterator[Place]:
    for key, value in second.items():
        if isinstance(value, dict) and isinstance(first.get(key), dict):
            yield from _replaced(first[key], value, (*place, key))
        else:
            yield (*place, key)


def _merged_all(trees: Sequence[Tree]) -> Tree:
    whole = Tree({}, {(): Origin("google/seq2seq", "google/seq2seq", Path.cwd())})
    for tree in trees:
        whole = merged(whole, tree)
    return whole


def _only(tree: Tree, keys: Sequence[str]) -> Tree:
    origins = {place: origin for place, origin in tree.origins.items() if not place or place[0] in keys}
    return Tree({key: tree.value[key] for key in keys}, origins)


def _flag_tree(row: Row, value: Any) -> Tree:
    """A flag as the command line gives it: YAML where a mapping or a list is wanted, otherwise text."""
    label = f"--{row.key}"
    root: dict[Place, Origin] = {(): Origin(label, label, Path.cwd())}
    if isinstance(row.default, bool) and value.lower() in ("true", "false"):  # in a file it would have quotes
        value = value.lower() == "true"
    if not isinstance(value, str) or not isinstance(row.default, (dict, list)):
        return Tree({row.key: value}, {**root, (row.key,): root[()]})
    parsed, inner = parse(value, lambda line, column: f"{label}:{line}:{column}", Path.cwd())
    if parsed is not None and not isinstance(parsed, type(row.default)):
        what = "a mapping" if isinstance(row.default, dict) else "a list"
        raise UsageError(f"{label}: expected YAML text of {what}, got {got(parsed)}")
    empty = parsed if parsed is not None else type(row.default)()
    return Tree({row.key: empty}, {**root, **{(row.key, *place): origin for place, origin in inner.items()}})


def _renamed(tree: Tree, old: str, new: str) -> Tree:
    value = {new if key == old else key: item for key, item in tree.value.items()}
    origins = {(new, *place[1:]) if place[:1] == (old,) else place: o for place, o in tree.origins.items()}
    return Tree(value, origins)
