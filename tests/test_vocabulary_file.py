"""A vocabulary from a file: any text becomes its symbols, and words that were cut into pieces become words again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.prepared import trained
from seqloom.errors import DataError
from seqloom.tokenizers import Tokenizer, VocabularyFile, Words, describe, fingerprint, load, save
from seqloom.tokenizers.vocabulary_file import symbol_of, tokens_of
from seqloom.vocabulary import SPECIALS, UNK

# The subword-nmt and sentencepiece tools turn the first into the others.
TEXT = "the lower newest low"
PIECES = {"bpe": "the lo@@ w@@ er new@@ est lo@@ w", "sentencepiece": "▁the ▁lo w er ▁new est ▁lo w"}


def read(path: Path, text: str, **parameters: Any) -> VocabularyFile:
    path.write_text(text, "utf8")
    tokenizer = VocabularyFile(path=path, **parameters)
    tokenizer.train(["nobody looks at this"])
    return tokenizer


def symbols(tokenizer: Tokenizer) -> list[str]:
    return list(tokenizer.vocabulary.symbols[len(SPECIALS) :])


def test_a_symbol_a_line_in_the_file_s_order(tmp_path: Path) -> None:
    tokenizer = read(tmp_path / "v", "b\t12\na\t3\n笑\t1\nc")
    assert symbols(tokenizer) == ["b", "a", "笑", "c"]
    assert tokenizer.encode(["a  笑 x b ", ""]) == [[4, 5, UNK, 3], []]
    assert tokenizer.decode([4, 5, UNK, 3]) == "a 笑 ⁇ b"


def test_twenty_symbols_make_twenty_three_rows(tmp_path: Path) -> None:
    assert len(read(tmp_path / "v", "".join(f"{i}\n" for i in range(20))).vocabulary) == 23


@pytest.mark.parametrize(
    ("line", "symbol"),
    [
        ("a\t3", "a"),
        ("a\t3.5", "a"),
        ("a", "a"),
        ("3", "3"),
        ("\t\t7", "\t"),
        (" \t7", " "),
        ("a\tb", "a\tb"),
        ("", ""),
    ],
)
def test_a_count_behind_the_last_tab_is_no_symbol(line: str, symbol: str) -> None:
    assert symbol_of(line) == symbol


def test_special_symbols_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    text = "SEQUENCE_START\nSEQUENCE_END\nUNK\n<s>\n</s>\n\na\n<unk>\t3\n<pad>\nb\n\n"
    tokenizer = read(tmp_path / "v", text)
    assert symbols(tokenizer) == ["a", "b"]
    assert tokenizer.encode(["<s> a </s> UNK b"]) == [[UNK, 3, UNK, UNK, 4]]


def test_a_symbol_twice_counts_once_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tokenizer = read(tmp_path / "v", "a\nb\na\na\n")
    assert symbols(tokenizer) == ["a", "b"]
    assert caplog.messages == [f"{tmp_path / 'v'}: 2 of its lines repeat a symbol; the first one counts."]


def test_a_windows_file_is_one_like_any_other(tmp_path: Path) -> None:
    assert symbols(read(tmp_path / "v", "\ufeffa\t1\r\nb\t2\r\n\u2028\t3\r\n")) == ["a", "b", "\u2028"]


def test_characters(tmp_path: Path) -> None:
    tokenizer = read(tmp_path / "v", "a\t5\n \t3\nb\t1\n", delimiter="")
    assert tokenizer.decode(tokenizer.encode([" ab ba "])[0]) == "ab ba"


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=())), max_size=3), delimiter=st.sampled_from(["", " ", "|"])
)
def test_any_text_is_cut_into_tokens_that_are_not_empty(texts: list[str], delimiter: str) -> None:
    for text in texts:
        tokens = tokens_of(text, delimiter)
        assert all(tokens)
        assert "".join(tokens) == (text.strip().replace(delimiter, "") if delimiter else text.strip())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "{path}: no such file or directory"),
        (b"", "{path}: this vocabulary lists no symbol"),
        (b"UNK\n\n", "{path}: this vocabulary lists no symbol"),
        (b"a\n\xff\n", "{path}: line 2 is not UTF-8; convert the file"),
    ],
)
def test_what_is_no_vocabulary_is_a_sentence(tmp_path: Path, data: bytes | None, sentence: str) -> None:
    path = tmp_path / "v"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError) as said:
        VocabularyFile(path=path).train([])
    assert str(said.value) == sentence.format(path=path)


def test_once_saved_the_file_is_needed_no_more(tmp_path: Path) -> None:
    tokenizer = read(tmp_path / "v", "a\nb\n", segmentation="bpe")
    save(tokenizer, tmp_path, "source")
    (tmp_path / "v").unlink()
    again = load(tmp_path, "source")
    assert describe(again) == describe(tokenizer)
    assert (fingerprint(again), again.vocabulary.symbols) == (fingerprint(tokenizer), tokenizer.vocabulary.symbols)


def test_the_cache_knows_a_changed_file(tmp_path: Path) -> None:
    path, cache = tmp_path / "v", tmp_path / "cache"

    def made() -> list[str]:
        return symbols(trained(VocabularyFile(path=path), list, key_parts=[], cache=cache))

    path.write_text("a\nb\n")
    assert made() == ["a", "b"]
    path.write_text("a\nc\n")
    assert made() == ["a", "c"]
    path.write_text("a\nb\n")
    assert made() == ["a", "b"]
    assert len(list(cache.glob("tokenizers/*"))) == 2
    path.rename(tmp_path / "w")
    with pytest.raises(DataError) as said:
        made()
    assert str(said.value) == f"{path}: no such file"


@pytest.mark.parametrize("segmentation", PIECES)
def test_pieces_become_words_again(tmp_path: Path, segmentation: Any) -> None:
    pieces = PIECES[segmentation]
    listed = read(tmp_path / "v", "\n".join(pieces.split()), segmentation=segmentation)
    words = Words(segmentation=segmentation)
    words.train([pieces])
    for tokenizer in (listed, words):
        (ids,) = tokenizer.encode([pieces])
        assert tokenizer.tokens(ids) == pieces.split(), "pictures show the pieces"
        assert tokenizer.decode(ids) == tokenizer.restore(pieces) == TEXT
        assert tokenizer.restore(TEXT) == TEXT, "a reference that was never cut stays whole"


def test_without_segmentation_text_stays_as_it_is(tmp_path: Path) -> None:
    for pieces in PIECES.values():
        tokenizer = read(tmp_path / "v", "\n".join(pieces.split()))
        assert tokenizer.decode(tokenizer.encode([pieces])[0]) == tokenizer.restore(pieces) == pieces


def test_a_piece_without_its_end_is_a_word(tmp_path: Path) -> None:
    assert read(tmp_path / "v", "a\n", segmentation="bpe").restore("lo@@ w lo@@") == "low lo"
