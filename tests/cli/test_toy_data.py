"""`seqloom toy-data`: lines to copy or to reverse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def made(seqloom: Any, *arguments: str) -> tuple[list[list[str]], list[list[str]]]:
    result = seqloom("toy-data", "-o", "toy", *arguments)
    assert (result.code, result.out) == (0, "")
    assert result.err == "seqloom: wrote toy/sources.txt and toy/targets.txt\n"
    folder = Path(seqloom.folder) / "toy"
    sources, targets = ((folder / name).read_text("utf8").splitlines() for name in ("sources.txt", "targets.txt"))
    return [line.split(" ") for line in sources], [line.split(" ") for line in targets]


def test_copies_by_default(seqloom: Any) -> None:
    sources, targets = made(seqloom)
    assert sources == targets
    assert len(sources) == 10_000
    assert {len(line) for line in sources} == set(range(5, 41))
    assert {symbol for line in sources for symbol in line} == {*map(str, range(99)), "笑"}


@pytest.mark.parametrize("letter", ["-", "_"])
def test_reversed_and_of_any_size(seqloom: Any, letter: str) -> None:
    options = ("type=reverse", "vocab-size=3", "num-examples=50", "min-len=2", "max-len=4")
    sources, targets = made(seqloom, *(f"--{option.replace('-', letter)}" for option in options))
    assert [line[::-1] for line in sources] == targets
    assert len(sources) == 50
    assert {len(line) for line in sources} == {2, 3, 4}
    assert {symbol for line in sources for symbol in line} == {"0", "1", "笑"}


def test_the_seed_decides_the_lines(seqloom: Any) -> None:
    first = made(seqloom, "--num-examples", "20", "--seed", "5")
    assert made(seqloom, "--num-examples", "20", "--seed", "5") == first
    assert made(seqloom, "--num-examples", "20", "--seed", "6") != first
    assert made(seqloom, "--num-examples", "20", "--seed", "5", "--type", "reverse")[0] == first[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--vocab-size", "0"], "--vocab-size must be at least 1, got 0"),
        (["--num-examples", "0"], "--num-examples must be at least 1, got 0"),
        (["--min-len", "0"], "--min-len must be at least 1, got 0"),
        (["--max-len", "4"], "--max-len must be at least --min-len, got 4 and 5"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(seqloom: Any, arguments: list[str], sentence: str) -> None:
    assert seqloom.refused("toy-data", "-o", "toy", *arguments, code=2) == f"seqloom: {sentence}\n"
    assert not (seqloom.folder / "toy").exists()


def test_a_file_is_no_folder(seqloom: Any) -> None:
    (seqloom.folder / "toy").touch()
    assert seqloom.refused("toy-data", "-o", "toy", code=1) == "seqloom: toy: File exists\n"
