"""Data to be looked at: a folder of files and what a configuration makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest

from seqloom.config.root import read_config
from seqloom.doctor import examine

Pair = tuple[str, str]
Examined = Callable[..., list[str]]


def write(folder: Path, name: str, pairs: Sequence[Pair]) -> None:
    """Two files of lines, NAME.source and NAME.target."""
    for side, lines in zip(("source", "target"), zip(*pairs, strict=True), strict=True):
        (folder / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines), "utf8")


@pytest.fixture
def examined(toy: Path, tmp_path: Path) -> Examined:
    """What is said of the toy's configuration, changed, with these pairs in place of its own."""

    numbers = count()

    def examined(*changes: str, train: Sequence[Pair] = (), valid: Sequence[Pair] = ()) -> list[str]:
        places, folder = [], tmp_path / f"examined-{next(numbers)}"
        folder.mkdir()
        for name, pairs in (("train", train), ("valid", valid)):
            if pairs:
                write(folder, name, pairs)
                files = (f"{side}: {folder / name}.{side}" for side in ("source", "target"))
                places.append(f"data.{name}={{{', '.join(files)}}}")
        config = read_config(toy / "toy.yml", [*places, *changes])
        task = config.make_task()
        task.prepare(folder)
        return [str(finding) for finding in examine(config, task)]

    return examined
