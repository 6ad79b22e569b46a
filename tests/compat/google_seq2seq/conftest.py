"""What a text of theirs becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seqloom.compat.google_seq2seq import Translation, gather, read_file, translate
from seqloom.config.text import Origin
from seqloom.config.tree import Tree
from seqloom.registry import Place

Translate = Callable[..., Translation]
TEXT = {"train_source": ["train.source"], "train_target": ["train.target"]}


def translation(*files: str | dict[str, Any], **flags: Any) -> Translation:
    """Files called 1.yml, 2.yml, ..., given as YAML text or as what it says, and flags, with some text to train on."""
    trees = [_tree(file, f"{number}.yml") for number, file in enumerate(files, 1)]
    options, notices = gather(trees, TEXT | flags)
    result = translate(options)
    result.notices[:0] = notices
    return result


def _tree(file: str | dict[str, Any], name: str) -> Tree:
    if isinstance(file, str):
        return read_file(file, name)
    return Tree(file, dict.fromkeys(_places(file), Origin(name, name, Path.cwd())))


def _places(node: Any, place: Place = ()) -> Iterator[Place]:
    yield place
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in items:
        yield from _places(item, (*place, key))


@pytest.fixture(name="translation", scope="session")
def fixture() -> Translate:
    return translation
