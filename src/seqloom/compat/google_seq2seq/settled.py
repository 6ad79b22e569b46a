"""From nested values that know where they come from, to plain ones beside their comments and origins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqloom.compat.google_seq2seq.said import Said
from seqloom.config.text import Origin
from seqloom.config.tree import Tree
from seqloom.registry import Place


def settled(part: Mapping[str, Any], theirs: Tree) -> tuple[Tree, dict[Place, str]]:
    """The plain tree, whose places are those of their files that they come from, and the comments by place.

    Relative paths start from the current directory, as in their program.
    """
    here = Path.cwd()
    origins: dict[Place, Origin] = {(): Origin("google/seq2seq", "google/seq2seq", here)}
    comments: dict[Place, str] = {}
    for place, said in _said(part, ()):
        if said.place:
            origins[place] = Origin(theirs.where(said.place, "key"), theirs.where(said.place), here)
        if said.remark:
            comments[place] = said.remark
    return Tree(_plain(part), origins), comments


def _said(node: Any, place: Place) -> Iterator[tuple[Place, Said]]:
    """Every value that says something of itself; a list of such values is one."""
    if isinstance(node, Said):
        yield place, node
    elif isinstance(node, Mapping):
        for key, item in node.items():
            yield from _said(item, (*place, key))
    elif isinstance(node, list) and any(isinstance(item, Said) for item in node):
        yield place, _together([item for item in node if isinstance(item, Said)])
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _said(item, (*place, index))


def _together(items: list[Said]) -> Said:
    written = next((item.place for item in items if item.place), items[0].place)
    return Said(None, written, next((item.comment for item in items if item.comment), ""))


def _plain(node: Any) -> Any:
    if isinstance(node, Said):
        return _plain(node.value)
    if isinstance(node, Mapping):
        return {key: _plain(item) for key, item in node.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else node
