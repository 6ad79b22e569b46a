"""The tokenizer of other toolkits' models: their pieces, their order, their ways to cut."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from seqloom.errors import UsageError
from seqloom.tokenizers import PieceList, Tokenizers, fingerprint, load, save
from seqloom.tokenizers.byte_pairs import BytePairs
from seqloom.tokenizers.piece_list import Pieces
from seqloom.vocabulary import UNK

TEXT = ["the cat sat on the mat", "a cat and a hat", "the hat that sat", "mats, hats and cats that chat"] * 5
CODES = "#version: 0.2\nt h\nth e</w>\na t\nc at\nat s</w>\n"


def model(**options: object) -> bytes:
    written = io.BytesIO()
    options = {"vocab_size": 34, "model_type": "bpe", "minloglevel": 2, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXT), model_writer=written, **options)
    return written.getvalue()


def of_sentencepiece(data: bytes, **parameters: bool) -> PieceList:
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())][3:]
    listed = Pieces(symbols=("<pad>", *reversed(pieces)), silent=("<pad>",), unwritten=("<pad>",), model=data)
    return PieceList.of(listed, cut="sentencepiece", **parameters)


def test_pieces_are_those_of_the_model_under_the_numbers_of_the_list() -> None:
    data = model()
    ours, theirs = of_sentencepiece(data), sentencepiece.SentencePieceProcessor(model_proto=data)
    for text, ids in zip(TEXT, ours.encode(TEXT), strict=True):
        assert ours.tokens(ids) == theirs.encode(text, out_type=str)
        assert ours.decode(ids) == text
    assert ours.encode(["the"]) != [theirs.encode("the")]


def test_bytes_become_the_characters_they_were() -> None:
    ours = of_sentencepiece(model(byte_fallback=True, vocab_size=300))
    assert ours.decode(ours.encode(["the cät ☃"])[0]) == "the cät ☃"


def test_what_stands_for_no_text_is_left_out_and_what_is_unknown_is_shown_or_filled_in() -> None:
    ours = of_sentencepiece(model())
    ids = [*ours.encode(["the"])[0], *ours.vocabulary.ids(["<pad>", "▁"]), UNK]
    assert (ours.decode(ids), ours.filled(ids, ["Q"]), ours.unwritten) == ("the ⁇", "the Q", ("<pad>",))
    assert ours.role("<pad>") == "apart"


def test_merges_are_made_in_the_order_of_the_file() -> None:
    cut = BytePairs(CODES)
    assert cut("the cats chat") == ["the", "cat@@", "s", "c@@", "h@@", "a@@", "t"]  # at and at</w> are two pieces
    assert cut(" hath  x ") == ["h@@", "at@@", "h", "x"]
    assert BytePairs("t h 9\nth e</w> 7\n")("the then") == ["the", "th@@", "e@@", "n"]  # fastBPE counts
    assert BytePairs("t h\nth e\nthe </w>\n")("the then") == ["the", "the@@", "n"]  # before version 0.2


def test_a_merge_whose_result_is_not_listed_is_undone() -> None:
    assert BytePairs(CODES, ["the", "c@@", "at@@", "s"])("the cats") == ["the", "c@@", "at@@", "s"]
    assert BytePairs(CODES, ["t@@", "h@@", "e"])("the") == ["t@@", "h@@", "e"]
    assert BytePairs("t h\nth e\nthe </w>\n", ["th@@", "e@@"])("the") == ["th@@", "e"]


@given(st.text(alphabet="thecasx ", max_size=20))
def test_pieces_put_together_are_the_words(text: str) -> None:
    ours = PieceList.of(Pieces(symbols=tuple(dict.fromkeys(BytePairs(CODES)(text))), model=CODES.encode()), cut="bpe")
    assert ours.decode(ours.encode([text])[0]).split() == text.split()


@pytest.mark.parametrize(
    ("parameters", "text", "pieces", "shown"),
    [
        ({"cut": "blanks", "segmentation": "bpe"}, "ca@@ ts sat", ["ca@@", "ts", "sat"], "cats sat"),
        ({"cut": "blanks"}, "ca@@ ts", ["ca@@", "ts"], "ca@@ ts"),
        ({"cut": "characters", "lowercase": True}, "A b", ["a", "▁", "b"], "a b"),
        ({"cut": "blanks", "tidy": True}, "ﬁne  ,  it’s", ["fine,", "it's"], "fine, it's"),
    ],
)
def test_text_is_cut_and_put_together_again(
    parameters: dict[str, object], text: str, pieces: list[str], shown: str, tmp_path: Path
) -> None:
    ours = PieceList.of(Pieces(symbols=tuple(pieces)), **parameters)
    ids = ours.encode([text])[0]
    assert (ours.tokens(ids), ours.decode(ids)) == (pieces, shown)
    save(ours, tmp_path, "source")
    assert fingerprint(load(tmp_path, "source")) == fingerprint(ours)


def test_a_text_may_begin_with_tags() -> None:
    ours = PieceList.of(Pieces(symbols=(">>de<<", "a", "b"), tags=(">>de<<",)))
    assert [ours.tokens(ids) for ids in ours.encode([">>de<<a b", ">>de<< a", "a >>de<<"])] == [
        [">>de<<", "a", "b"],
        [">>de<<", "a"],
        ["a", ">>de<<"],
    ]
    assert ours.written(">>de<< a b") == [">>de<<", "a", "b"]


def test_two_ways_to_cut_may_share_one_vocabulary(tmp_path: Path) -> None:
    symbols = ("a", "b", "ab")
    source = PieceList.of(Pieces(symbols=symbols, model=b"a b</w>"), cut="bpe", joint=True)
    target = PieceList.of(Pieces(symbols=symbols), joint=True)
    Tokenizers(source, target).save(tmp_path)
    again = Tokenizers.load(tmp_path)
    assert again.joint and again.source is not again.target
    assert not Tokenizers(source, PieceList.of(Pieces(symbols=symbols))).joint
    assert not Tokenizers(source, PieceList.of(Pieces(symbols=("b", "a", "ab")), joint=True)).joint


def test_what_it_can_not_be_is_said() -> None:
    with pytest.raises(UsageError, match="PieceList is not learnt from text"):
        PieceList().train(TEXT)
    with pytest.raises(ValueError, match="cut: bpe is put together as bpe"):
        PieceList(cut="bpe", segmentation="sentencepiece")
    for data, what in (
        (b"[]", "it is not a list of pieces"),
        (b'{"model": "", "x": []}', "it is not a list of pieces"),
    ):
        with pytest.raises(ValueError, match=what):
            PieceList().load(data)
    with pytest.raises(ValueError, match="it is not a sentencepiece model"):
        PieceList.of(Pieces(symbols=("a",), model=b"no"), cut="sentencepiece")
    with pytest.raises(ValueError, match="two pieces in each line"):
        BytePairs("one\n")
