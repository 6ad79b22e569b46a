"""Texts of parts and words with factors become ids and come back; what lacks something is said in one sentence."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.corpora import CorpusOptions
from seqloom.data.prepared import prepare
from seqloom.errors import DataError, UnreadableError
from seqloom.tokenizers import (
    Characters,
    Factors,
    Parts,
    Pixels,
    SentencePiece,
    Tokenizer,
    Tokenizers,
    Words,
    describe,
    fingerprint,
    load,
    save,
)
from seqloom.vocabulary import BOS, EOS, UNK

LINES = ["the cat ||| die Katze", "a dog sat ||| ein Hund", "the end ||| das Ende"] * 3
TAGGED = ["the|DT dogs|NNS", "dogs|NNS bark|VBP", "a|b|SYM"]


def trained(tokenizer: Tokenizer, lines: list[str]) -> Tokenizer:
    tokenizer.train(lines)
    return tokenizer


PARTS = {
    "words": trained(Parts(tokenizer=Words), LINES),
    "characters": trained(Parts(tokenizer=Characters), LINES),
    "pieces": trained(Parts(tokenizer=partial(SentencePiece, size=60)), LINES),
}
FACTORS = trained(Factors(), TAGGED)
every = pytest.mark.parametrize("tokenizer", PARTS.values(), ids=PARTS)


@every
def test_parts_have_an_eos_between_them(tokenizer: Parts) -> None:
    (ids,) = tokenizer.encode(["the cat ||| die Katze"])
    first, second = tokenizer.tokenizer.encode(["the cat", "die Katze"])
    assert ids == [*first, EOS, *second]
    assert tokenizer.tokens(ids)[len(first)] == "|||" == tokenizer.written("the cat ||| die Katze")[len(first)]
    assert len(tokenizer.tokens(ids)) == len(tokenizer.written("the cat ||| die Katze")) == len(ids)


@every
def test_parts_come_back(tokenizer: Parts) -> None:
    assert [tokenizer.decode([BOS, *ids, EOS, EOS]) for ids in tokenizer.encode(LINES)] == LINES
    assert [tokenizer.restore(line) for line in LINES] == LINES


@every
@given(texts=st.lists(st.text(st.sampled_from("ab |\n"), max_size=12), max_size=3))
def test_any_number_of_parts_can_be_encoded(tokenizer: Parts, texts: list[str]) -> None:
    rows = tokenizer.encode(texts)
    assert rows == [tokenizer.encode([text])[0] for text in texts]
    for text, ids in zip(texts, rows, strict=True):
        assert not ids or ids.count(EOS) == text.count("|||")
        assert isinstance(tokenizer.decode(ids), str)


@pytest.mark.parametrize("tokenizer", [*PARTS.values(), FACTORS], ids=[*PARTS, "factors"])
def test_it_comes_back_from_a_directory(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save(tokenizer, tmp_path, "source")
    again = load(tmp_path, "source")
    assert fingerprint(again) == fingerprint(tokenizer) and describe(again) == describe(tokenizer)
    assert again.encode(TAGGED) == tokenizer.encode(TAGGED)


def test_fingerprints_differ_with_the_inner_tokenizer() -> None:
    kinds = [
        Parts(tokenizer=Words),
        Parts(tokenizer=partial(Words, lowercase=True)),
        Parts(tokenizer=Words, separator="#"),
    ]
    assert len({fingerprint(trained(kind, ["a"])) for kind in kinds}) == 3


def test_words_and_factors_take_turns() -> None:
    (ids,) = FACTORS.encode(["the|DT dogs|NNS"])
    assert FACTORS.vocabulary.lookup(ids) == ["the", "|DT", "dogs", "|NNS"]
    assert [FACTORS.decode(ids) for ids in FACTORS.encode(TAGGED)] == TAGGED
    unknown = FACTORS.encode(["new|NNS"])[0]
    assert unknown[0] == UNK and FACTORS.decode(unknown) == "⁇|NNS" and FACTORS.filled(unknown, ["new"]) == "new|NNS"


def test_there_may_be_more_factors_than_one() -> None:
    three = trained(Factors(factors=3), ["dogs|NNS|dog bark|VBP|bark"])
    (ids,) = three.encode(["dogs|NNS|dog bark|VBP|bark"])
    assert three.vocabulary.lookup(ids) == ["dogs", "|NNS", "||dog", "bark", "|VBP", "||bark"]
    assert three.decode(ids) == "dogs|NNS|dog bark|VBP|bark"


@pytest.mark.parametrize(
    ("tokenizer", "text", "sentence"),
    [
        (Parts(tokenizer=Words, parts=2), "a b", "2 parts are wanted, with ||| between them, and there is 1 part: a b"),
        (Factors(factors=3), "a|b|c d|e", "each token must be word|factor|factor, and one of them is 'd|e'"),
    ],
    ids=["parts", "factors"],
)
def test_what_is_missing_is_said_with_its_line(tokenizer: Tokenizer, text: str, sentence: str, tmp_path: Path) -> None:
    whole = "a|b|c" if isinstance(tokenizer, Factors) else "a ||| b"
    trained(tokenizer, [whole, text])
    with pytest.raises(UnreadableError) as said:
        tokenizer.encode([text])
    assert str(said.value) == sentence
    assert tokenizer.encode([" "]) == [[]]
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text(f"{whole}\n{text}\n")
    target.write_text("x\nx\n")
    tokenizers = Tokenizers(tokenizer, trained(Words(), ["x"]))
    with pytest.raises(DataError) as said:
        prepare(CorpusOptions(source=source, target=target), tokenizers, cache=tmp_path / "cache")
    assert str(said.value) == f"{source}:2: {sentence}"


def test_text_without_any_factor_says_so_at_once() -> None:
    with pytest.raises(UnreadableError, match="one of them is 'the'"):
        Factors().train(["the dogs", "bark"])
    with pytest.raises(DataError, match="no text"):
        Factors().train(["", " "])


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="joint tokenizer reads targets too"):
        Parts(tokenizer=partial(Words, joint=True), parts=2)
    with pytest.raises(ValueError, match="sources of Pixels are files"):
        Parts(tokenizer=Pixels)
    with pytest.raises(ValueError, match="no blank"):
        Parts(tokenizer=Words, separator=" ")
    with pytest.raises(ValueError, match="other than blanks"):
        Factors(separator="a b")
    with pytest.raises(ValueError, match="at least 4"):
        Factors(size=3)
