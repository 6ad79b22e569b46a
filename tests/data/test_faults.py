"""Faults of data files from end to end: each is named exactly, or is data like any other (RELIABILITY.md, R9)."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from seqloom.data import encoding as encoding_module
from seqloom.data import workers as workers_module
from seqloom.data import writer as writer_module
from seqloom.data.corpora import CorpusOptions
from seqloom.data.held_out import valid_share
from seqloom.data.prepared import PreparedCorpus, prepare
from seqloom.errors import DataError
from seqloom.tokenizers import Characters, Tokenizers, Words

MANY, FAULTY = 100_000, 61_803


def words(*lines: str) -> Tokenizers:
    made = Words()
    made.train(lines)
    return Tokenizers(made, made)


def corpus(folder: Path, source: bytes, target: bytes) -> CorpusOptions:
    (folder / "a.src").write_bytes(source)
    (folder / "a.tgt").write_bytes(target)
    return CorpusOptions(source=folder / "a.src", target=folder / "a.tgt")


def sources(made: PreparedCorpus, tokenizers: Tokenizers) -> list[str]:
    return [tokenizers.source.decode(made.source(i).tolist()) for i in range(len(made))]


@pytest.fixture
def one_faulty(tmp_path: Path) -> CorpusOptions:
    """Many lines, of which one is not UTF-8."""
    lines = [b"a b\n"] * MANY
    lines[FAULTY - 1] = b"a \xc3 b\n"
    return corpus(tmp_path, b"".join(lines), b"c\n" * MANY)


def test_one_faulty_line_among_many_is_named(tmp_path: Path, one_faulty: CorpusOptions) -> None:
    with pytest.raises(DataError) as said:
        prepare(one_faulty, words("a b c"), cache=tmp_path, workers=1)
    assert str(said.value) == (
        f"{one_faulty.source}: line {FAULTY} is not UTF-8 (byte 0xc3 at column 3);"
        " convert the file (in training, data.errors: skip or replace will do)"
    )
    assert list((tmp_path / "prepared").iterdir()) == []


def test_one_faulty_line_among_many_is_skipped_or_replaced(tmp_path: Path, one_faulty: CorpusOptions) -> None:
    skipped = prepare(one_faulty, words("a b c"), cache=tmp_path, errors="skip", workers=1)
    assert (len(skipped), skipped.report.skipped) == (MANY - 1, 1)
    replaced = prepare(one_faulty, words("a b c"), cache=tmp_path, errors="replace", workers=1)
    assert (len(replaced), replaced.report.source_unknowns) == (MANY, 1)
    assert replaced.source(FAULTY - 1).tolist() != replaced.source(FAULTY).tolist()


def test_strange_lines_are_lines(tmp_path: Path) -> None:
    """A BOM, CRLF, a NUL, signs at which other programs end lines, and a line of a megabyte."""
    strange = ["a", "b c", "a\u2028b", "a\x0cb", "a\x85b", "a b " * 250_000]
    text = "\ufeffa\r\nb\0c\r\n" + "\n".join(strange[2:])
    characters = Characters()
    characters.train(["".join(strange)])
    both = Tokenizers(characters, characters)
    options = corpus(tmp_path, text.encode(), b"x\n" * len(strange))
    made = prepare(options, both, cache=tmp_path, max_length=2_000_000)
    assert [source.rstrip() for source in sources(made, both)] == [line.rstrip() for line in strange]
    short = prepare(options, both, cache=tmp_path)
    assert (len(short), short.report.too_long) == (len(strange) - 1, 1)


def test_a_block_of_long_lines_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a file of lines of a megabyte is no matter of memory."""
    met: list[int] = []
    real = encoding_module.Encoding.__call__

    def call(self: encoding_module.Encoding, block: encoding_module.Block) -> encoding_module.EncodedBlock:
        met.append(len(block))
        return real(self, block)

    monkeypatch.setattr(encoding_module.Encoding, "__call__", call)
    made = prepare(corpus(tmp_path, (b"a" * 10**6 + b"\n") * 9, b"b\n" * 9), words("b"), cache=tmp_path)
    assert (met, len(made)) == ([4, 4, 1], 9)


def test_a_vocabulary_of_one(tmp_path: Path) -> None:
    tokenizers = words("a")
    made = prepare(corpus(tmp_path, b"a a\na\n", b"a\nb\n"), tokenizers, cache=tmp_path)
    assert sources(made, tokenizers) == ["a a", "a"]
    assert made.report.target_unknowns == 1


def test_looking_for_a_pair_to_hold_out_stops_at_the_first(tmp_path: Path) -> None:
    """Of a few wanted pairs none may be found, which takes reading; but no more of it than to the first."""
    text = "".join(f"{number}\tx\n" for number in range(20_000)).encode()
    (tmp_path / "good.tsv").write_bytes(text)
    share = valid_share([CorpusOptions(tsv=tmp_path / "good.tsv")], lines=40, cache=tmp_path)
    assert share == 40 / 20_000
    (tmp_path / "bad.tsv").write_bytes(text + b"\xff\tx\n")
    assert valid_share([CorpusOptions(tsv=tmp_path / "bad.tsv")], lines=40, cache=tmp_path) == 40 / 20_001


def test_a_disk_that_fills_up_while_several_prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    real = writer_module._Side.write

    def write(self: writer_module._Side, *arrays: object) -> None:
        written.append(1)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, *arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(writer_module._Side, "write", write)
    monkeypatch.setattr(encoding_module, "BLOCK_LINES", 5)
    monkeypatch.setattr(workers_module, "LINES_EACH", 1)
    with pytest.raises(DataError) as said:
        prepare(corpus(tmp_path, b"a\n" * 50, b"b\n" * 50), words("a b"), cache=tmp_path, workers=2)
    assert str(said.value) == (
        f"{tmp_path}/prepared: the disk is full; make room, or name a place for prepared data with data.cache"
        " or $SEQLOOM_CACHE"
    )
    assert list((tmp_path / "prepared").iterdir()) == []
