"""Standard input is read as it comes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqloom.cli.lines import GROUP, input_groups, input_lines
from seqloom.errors import DataError


@pytest.fixture
def arrives(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes | None], None]]:
    """A function that lets bytes arrive at standard input, and with None its end."""
    there, here = os.pipe()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: there))
    ended = []

    def arrive(data: bytes | None) -> None:
        if data is None:
            ended.append(os.close(here))
        else:
            os.write(here, data)

    yield arrive
    os.close(there)
    if not ended:
        os.close(here)


def test_a_line_is_there_as_soon_as_it_ends(arrives: Callable[[bytes | None], None]) -> None:
    groups = input_groups(None)
    arrives(b"one\ntwo\nthr")
    assert next(groups) == ["one", "two"]
    arrives("ee\r\n\nfünf".encode())
    assert next(groups) == ["three", ""]
    arrives(None)
    assert list(groups) == [["fünf"]]


def test_a_sign_at_the_beginning_is_no_text_and_a_zero_a_blank(arrives: Callable[[bytes | None], None]) -> None:
    arrives("\ufeffa\0b\n\ufeffc\n".encode())
    arrives(None)
    assert list(input_lines(None)) == ["a b", "\ufeffc"]


def test_what_came_before_a_fault_comes_before_its_sentence(arrives: Callable[[bytes | None], None]) -> None:
    groups = input_groups(None)
    arrives("gut\nü\xff\n".encode("latin-1").replace(b"\xfc", "ü".encode()))
    assert next(groups) == ["gut"]
    with pytest.raises(DataError) as said:
        next(groups)
    assert str(said.value) == "standard input: line 2 is not UTF-8 (byte 0xff at column 2)"


def test_what_comes_before_a_fault_of_a_file_comes_before_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"one\ntwo\nth\xff\nfour\n")
    groups = input_groups(tmp_path / "text")
    assert next(groups) == ["one", "two"]
    with pytest.raises(DataError, match="line 3 is not UTF-8"):
        next(groups)


@pytest.mark.parametrize("lines", [0, 1, GROUP, GROUP + 1])
def test_a_file_comes_in_groups(tmp_path: Path, lines: int) -> None:
    (tmp_path / "text").write_text("a\n" * lines)
    groups = list(input_groups(tmp_path / "text"))
    assert sum(groups, []) == ["a"] * lines and len(groups) == -(-lines // GROUP)
