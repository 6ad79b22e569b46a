"""`seqloom vocabulary`: a text's symbols, in the order and the form that google/seq2seq's tool gives them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from seqloom.tokenizers import VocabularyFile

TEXT = "the  cat the\tdog\n\n  a cat \r\nThe é\n".encode()


def listed(seqloom: Any, *arguments: str, text: bytes = TEXT) -> list[tuple[str, int]]:
    result = seqloom("vocabulary", *arguments, input=text)
    assert (result.code, result.err) == (0, "")
    rows = [line.rpartition("\t") for line in result.out.split("\n")[:-1]]
    return [(symbol, int(count)) for symbol, _, count in rows]


def test_the_frequent_come_first_and_then_the_last_by_name(seqloom: Any) -> None:
    assert listed(seqloom) == [("cat", 2), ("é", 1), ("the\tdog", 1), ("the", 1), ("a", 1), ("The", 1)]
    assert listed(seqloom, "--downcase")[:2] == [("the", 2), ("cat", 2)]


@pytest.mark.parametrize("spelling", ["--min-frequency", "--min_frequency"])
def test_more_often_than_the_minimum(seqloom: Any, spelling: str) -> None:
    assert listed(seqloom, spelling, "1") == [("cat", 2)]


@pytest.mark.parametrize("spelling", ["--max-vocab-size", "--max_vocab_size"])
def test_no_more_than_the_most(seqloom: Any, spelling: str) -> None:
    assert listed(seqloom, spelling, "2") == listed(seqloom)[:2]


def test_a_delimiter_and_characters(seqloom: Any) -> None:
    text = b"a|b|a||c d\n"
    assert listed(seqloom, "--delimiter", "|", text=text) == [("a", 2), ("c d", 1), ("b", 1)]
    assert dict(listed(seqloom, "--delimiter", "", text=b" a b\tb \n")) == {"a": 1, " ": 1, "b": 2, "\t": 1}


@pytest.mark.parametrize("delimiter", [" ", ""])
def test_what_it_prints_is_a_tokenizer_s_file(seqloom: Any, toy: Path, delimiter: str) -> None:
    source = toy / "train.source"
    out = seqloom("vocabulary", source, "--delimiter", delimiter).out
    (seqloom.folder / "vocabulary").write_text(out)
    tokenizer = VocabularyFile(path=seqloom.folder / "vocabulary", delimiter=delimiter)
    tokenizer.train([])
    lines = source.read_text().splitlines()
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(lines)] == lines
    counts = Counter("".join(lines) if not delimiter else " ".join(lines).split())
    assert [counts[symbol] for symbol in tokenizer.vocabulary.symbols[3:]] == sorted(counts.values(), reverse=True)


@pytest.mark.parametrize(
    ("arguments", "text", "code", "sentence"),
    [
        (["--min-frequency", "-1"], TEXT, 2, "--min-frequency must be 0 or more, got -1"),
        (["--max-vocab-size", "0"], TEXT, 2, "--max-vocab-size must be at least 1, got 0"),
        (["--min-frequency", "9"], TEXT, 1, "standard input: there is no symbol more than 9 times"),
        ([], b"\n \n", 1, "standard input: there is no text"),
        ([], b"a\n\xff\n", 1, "standard input: line 2 is not UTF-8 (byte 0xff at column 1)"),
        (["txet"], b"", 1, "txet: no such file"),
    ],
)
def test_what_cannot_be_listed_is_a_sentence(
    seqloom: Any, arguments: list[str], text: bytes, code: int, sentence: str
) -> None:
    assert seqloom.refused("vocabulary", *arguments, input=text, code=code) == f"seqloom: {sentence}\n"
