"""Lines come out of a file as they went in, and what is wrong with a file is one sentence."""

from __future__ import annotations

import builtins
import gzip
import importlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.text import count_lines, read_lines
from seqloom.errors import DataError


def zstd(data: bytes) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)  # type: ignore[no-any-return]


PACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd}
packed = pytest.mark.parametrize("suffix", PACKERS)


def write(directory: Path, data: bytes, suffix: str = "") -> Path:
    path = directory / f"text{suffix}"
    path.write_bytes(PACKERS[suffix](data))
    return path


def said(path: Path | str) -> str:
    with pytest.raises(DataError) as raised:
        list(read_lines(path))
    return str(raised.value)


@packed
@given(lines=st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\n\ufeff"))))
def test_only_a_newline_ends_a_line(tmp_path_factory: pytest.TempPathFactory, suffix: str, lines: list[str]) -> None:
    path = write(tmp_path_factory.mktemp("text"), "".join(f"{line}\n" for line in lines).encode(), suffix)
    assert list(read_lines(path)) == lines
    assert count_lines(path) == len(lines)


@packed
def test_strange_lines(tmp_path: Path, suffix: str) -> None:
    data = "\ufeffa\u2028b\r\n\x0bc\x85\r\r\n\0d\n\n\ufeffe".encode()
    expected = ["a\u2028b", "\x0bc\x85\r", " d", "", "\ufeffe"]
    assert list(read_lines(write(tmp_path, data, suffix))) == expected


@packed
def test_a_line_of_a_megabyte(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, b"a\n" + b"x" * 1_000_000 + b"\nb\n", suffix)
    assert [len(line or "") for line in read_lines(path)] == [1, 1_000_000, 1]


@packed
def test_an_empty_file_has_no_lines(tmp_path: Path, suffix: str) -> None:
    assert list(read_lines(write(tmp_path, b"", suffix))) == []


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_in_several_parts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(PACKERS[suffix](b"a\nb") + PACKERS[suffix](b"c\nd\n"))
    assert list(read_lines(path)) == ["a", "bc", "d"]


def test_bad_utf8(tmp_path: Path) -> None:
    path = write(tmp_path, b"good\n" * 56 + "ü".encode() + b"a\xffb\n" + b"good\n")
    assert said(path) == (
        f"{path}: line 57 is not UTF-8 (byte 0xff at column 3);"
        " convert the file (in training, data.errors: skip or replace will do)"
    )
    assert list(read_lines(path, errors="skip"))[55:] == ["good", None, "good"]
    assert list(read_lines(path, errors="replace"))[55:] == ["good", "üa\ufffdb", "good"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_cut_short_or_not_compressed_at_all(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, b"".join(b"%d\n" % (i * i * 7919) for i in range(30_000)), suffix)
    path.write_bytes(path.read_bytes()[:-40])
    assert said(path).startswith(f"{path} is damaged or cut short after line ")
    assert said(path).endswith("; decompress it to see more")
    path.write_bytes(b"plain text\n")
    assert said(path) == f"{path} is damaged or cut short after line 0; decompress it to see more"


def test_missing_file(tmp_path: Path) -> None:
    assert said(tmp_path / "train.en") == f"{tmp_path}/train.en: no such file"
    (tmp_path / "train.en.xz").touch()
    assert said(tmp_path / "train.en") == f"{tmp_path}/train.en: no such file; did you mean '{tmp_path}/train.en.xz'?"
    assert said(tmp_path / "no" / "train.en") == f"{tmp_path}/no/train.en: no such file"


def test_directory(tmp_path: Path) -> None:
    assert said(tmp_path) == f"{tmp_path} is a directory, not a file"


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert said(tmp_path / "secret") == f"{tmp_path}/secret: permission denied"


def test_zst_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise builtins.ImportError(name)

    path = tmp_path / "text.zst"
    path.touch()
    monkeypatch.setattr(importlib, "import_module", missing)
    assert said(path) == f"{path}: reading .zst files needs a package: pip install zstandard"
