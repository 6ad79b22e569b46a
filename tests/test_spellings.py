"""The ways to write a phrase are those that a text can have it in."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.tokenizers import SentencePiece, Tokenizer, Words
from seqloom.tokenizers.borders import is_border
from seqloom.tokenizers.piece_list import PieceList, Pieces
from seqloom.tokenizers.spellings import GLUED, MOST, Spellings

LINES = ["der Hut, ein (Hut) und „Hut“. Hutmacher; Strohhut-Hut!", "die Hüte sitzen auf Hut."] * 3


def is_in(ways: list[list[int]], ids: list[int]) -> bool:
    return any(ids[start : start + len(way)] == way for way in ways for start in range(len(ids)))


@given(
    pieces=st.sets(st.text("ab.▁", min_size=1, max_size=3), max_size=12),
    phrase=st.text("ab.▁", min_size=1, max_size=3).filter(lambda text: text.strip("▁") == text),
    data=st.data(),
)
def test_a_text_has_a_phrase_if_it_has_one_of_its_spellings(pieces: set[str], phrase: str, data: st.DataObject) -> None:
    symbols = sorted({"▁", *pieces})
    written = ["▁", *data.draw(st.lists(st.sampled_from(symbols), max_size=8))]
    text, ends = "".join(written), {*accumulate(map(len, written))}
    places = (place for place in range(1, len(text)) if text.startswith(phrase, place))
    there = any(
        is_border(text[place - 1], phrase[0]) and (end in ends or is_border(phrase[-1], text[end]))
        for place in places
        if (end := place + len(phrase))
    )
    ways = Spellings({symbol: i for i, symbol in enumerate(symbols)}).of(f"▁{phrase}")
    assert is_in(ways, [symbols.index(piece) for piece in written]) == there


@given(text=st.text("abc", min_size=1, max_size=9), pieces=st.sets(st.text("abc", min_size=1, max_size=3), max_size=12))
def test_every_way_to_cut_a_text_is_found_the_shortest_first(text: str, pieces: set[str]) -> None:
    ids = {piece: i for i, piece in enumerate(sorted(pieces))}

    def every_cut(rest: str) -> list[list[int]]:
        return (
            [[]]
            if not rest
            else [[ids[p], *more] for p in ids if rest.startswith(p) for more in every_cut(rest[len(p) :])]
        )

    found = Spellings(ids).of(text)
    assert sorted(found) == sorted(every_cut(text))
    assert [len(cut) for cut in found] == sorted(len(cut) for cut in found)


def test_a_long_word_has_only_so_many_spellings() -> None:
    pieces = {"a" * n: n for n in range(1, 30)} | {f"▁{'a' * n}": 30 + n for n in range(30)} | {".": 90, "(": 91}
    assert len(Spellings(pieces).of("▁" + "a" * 29)) == MOST + 2 * GLUED


def imported() -> Tokenizer:
    """A tokenizer as `seqloom import` makes it, with a SentencePiece model."""
    learnt = SentencePiece(size=60)
    learnt.train(LINES)
    pieces = Pieces(symbols=learnt.vocabulary.symbols[3:], model=learnt.dump())
    return PieceList.of(pieces, cut="sentencepiece")


def trained(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.train(LINES)
    return tokenizer


TRAINED = {
    "bpe": trained(SentencePiece(size=80)),
    "unigram": trained(SentencePiece(size=60, model="unigram")),
    "words": trained(Words()),
    "imported": imported(),
}


@pytest.mark.parametrize("tokenizer", TRAINED.values(), ids=TRAINED)
def test_a_word_is_spelt_behind_punctuation_too_and_not_within_a_longer_one(tokenizer: Tokenizer) -> None:
    ways = tokenizer.spellings("Hut")
    for text in ("der Hut,", "(Hut)", "und „Hut“.", "Strohhut-Hut!", "auf Hut."):
        words = text.split() if isinstance(tokenizer, Words) else [text]
        assert any(is_in(ways, ids) for ids in tokenizer.encode(words)), text
    assert not any(is_in(ways, ids) for ids in tokenizer.encode(["Strohhut", "die Hüte", "StrohHut", "der"]))


@pytest.mark.parametrize("name", ["bpe", "unigram", "imported"])
def test_a_mark_is_spelt_where_it_is_glued_to_a_word(name: str) -> None:
    ways = TRAINED[name].spellings(".")
    assert is_in(ways, TRAINED[name].encode(["sitzen auf Hut."])[0])
    assert not is_in(ways, TRAINED[name].encode(["sitzen auf Hut"])[0])
