"""Every tokenizer takes any text, and comes back from a directory as it went in."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.errors import CheckpointError, DataError, UsageError
from seqloom.tokenizers import Characters, SentencePiece, Tokenizer, Tokenizers, Words, fingerprint, load, save
from seqloom.vocabulary import BOS, EOS, SPECIALS, UNK

LINES = [
    "the cat sat on the mat",
    "a dog sat on a log",
    "Zwei Hunde laufen über die Wiese .",
    "the end",
    "😀 日本 مرحبا",
] * 3
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates, NUL, all of it


def trained(tokenizer: Tokenizer, lines: list[str] = LINES) -> Tokenizer:
    tokenizer.train(lines)
    return tokenizer


TRAINED = {
    "bpe": trained(SentencePiece(size=80)),
    "unigram": trained(SentencePiece(size=60, model="unigram")),
    "bytes": trained(SentencePiece(size=320, byte_fallback=True, normalization="identity")),
    "words": trained(Words()),
    "characters": trained(Characters()),
}
every = pytest.mark.parametrize("tokenizer", TRAINED.values(), ids=TRAINED)


@every
def test_vocabulary_starts_with_the_specials(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocabulary.symbols[: len(SPECIALS)] == SPECIALS


@every
def test_text_it_was_trained_on_comes_back(tokenizer: Tokenizer) -> None:
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(LINES)] == LINES


@every
@given(texts=st.lists(ANY_TEXT, max_size=4))
def test_any_text_can_be_encoded(tokenizer: Tokenizer, texts: list[str]) -> None:
    rows = tokenizer.encode(texts)
    assert len(rows) == len(texts)
    for ids in rows:
        assert all(UNK <= i < len(tokenizer.vocabulary) for i in ids)
        assert len(tokenizer.tokens(ids)) == len(ids)
        assert isinstance(tokenizer.decode(ids), str)


@every
@given(texts=st.lists(ANY_TEXT, max_size=4))
def test_a_text_has_the_same_ids_in_any_company(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert tokenizer.encode(texts) == [tokenizer.encode([text])[0] for text in texts]


@every
def test_names_of_specials_in_a_text_are_only_text(tokenizer: Tokenizer) -> None:
    for ids in tokenizer.encode(list(SPECIALS[:2])):
        assert not {BOS, EOS} & set(ids)


@every
def test_specials_are_left_out_of_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(["the cat"])[0]
    assert tokenizer.decode([BOS, *ids, EOS, EOS]) == "the cat"
    assert tokenizer.decode([UNK]) == "⁇"
    assert tokenizer.decode([]) == ""


@every
def test_saved_and_loaded_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save(tokenizer, tmp_path, "source")
    again = load(tmp_path, "source")
    assert type(again) is type(tokenizer)
    assert fingerprint(again) == fingerprint(tokenizer)
    assert again.encode(LINES) == tokenizer.encode(LINES)
    assert again.vocabulary.symbols == tokenizer.vocabulary.symbols


@every
def test_training_is_a_function_of_the_text(tokenizer: Tokenizer) -> None:
    parameters = {name: value for name, value in vars(tokenizer).items() if not name.startswith("_")}
    assert fingerprint(trained(type(tokenizer)(**parameters))) == fingerprint(tokenizer)


@every
def test_no_text_to_train_on_is_a_sentence(tokenizer: Tokenizer) -> None:
    name = type(tokenizer).__name__
    with pytest.raises(DataError) as said:
        type(tokenizer)().train(["", ""])
    assert str(said.value) == f"there is no text to train {name} on"


def test_fingerprints_differ() -> None:
    assert len({fingerprint(tokenizer) for tokenizer in TRAINED.values()}) == len(TRAINED)
    assert fingerprint(trained(Words())) != fingerprint(trained(Words(lowercase=True)))


@pytest.mark.parametrize("tokenizer", [SentencePiece(), Words(), Characters()])
def test_untrained_says_so(tokenizer: Tokenizer) -> None:
    for use in (lambda: tokenizer.vocabulary, lambda: tokenizer.encode(["a"]), lambda: tokenizer.decode([3])):
        with pytest.raises(ValueError, match=f"^this {type(tokenizer).__name__} has not been trained yet$"):
            use()


def test_too_large_a_size_shrinks_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tokenizer = trained(SentencePiece(size=8000))
    found = len(tokenizer.vocabulary)
    assert caplog.messages == [f"SentencePiece found {found} pieces in these data, not the 8000 asked for."]


def test_too_small_a_size_is_a_sentence() -> None:
    with pytest.raises(UsageError) as said:
        SentencePiece(size=5).train(["abc"])
    assert str(said.value) == (
        "SentencePiece's size 5 has no room for all characters of these data: it needs at least 7;"
        " raise size, or lower character_coverage"
    )


def test_a_failure_of_the_reader_stays_what_it_is() -> None:
    def lines() -> Iterator[str]:
        yield "a b"
        raise DataError("line 2 is bad")

    with pytest.raises(DataError, match="^line 2 is bad$"):
        SentencePiece().train(lines())


def test_long_lines_take_part_in_training() -> None:
    tokenizer = trained(SentencePiece(size=20), ["q" * 100_000, "word " * 5000])
    assert {"q", "w"} <= set("".join(tokenizer.vocabulary.symbols[3:]))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: SentencePiece(size=3), "size must be at least 4, got 3"),
        (
            lambda: SentencePiece(character_coverage=0.0),
            "character_coverage must be above 0 and at most 1, got 0.0",
        ),
        (lambda: Words(size=3), "size must be at least 4, got 3"),
        (lambda: Words(min_frequency=0), "min_frequency must be at least 1, got 0"),
        (lambda: Characters(min_frequency=0), "min_frequency must be at least 1, got 0"),
    ],
)
def test_bad_parameters_are_sentences(call: object, sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        call()  # type: ignore[operator]
    assert str(said.value) == sentence


@given(order=st.randoms())
def test_frequent_symbols_first_then_by_name(order: random.Random) -> None:
    lines = ["b a", "c a", "b d", "a"]
    order.shuffle(lines)
    assert trained(Words(), lines).vocabulary.symbols[3:] == ("a", "b", "c", "d")
    assert trained(Words(size=5), lines).vocabulary.symbols[3:] == ("a", "b")
    assert trained(Words(min_frequency=2), lines).vocabulary.symbols[3:] == ("a", "b")


def test_words_lower_case_and_characters_show_spaces() -> None:
    assert trained(Words(lowercase=True), ["A a"]).vocabulary.symbols[3:] == ("a",)
    characters = trained(Characters(), ["a b"])
    assert characters.tokens(characters.encode(["b a"])[0]) == ["b", "␣", "a"]


def test_a_pair_is_saved_once_if_it_is_one(tmp_path: Path) -> None:
    words, characters = TRAINED["words"], TRAINED["characters"]
    Tokenizers(words, words).save(tmp_path / "one")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["joint.json", "joint.model"]
    assert Tokenizers.load(tmp_path / "one").joint
    Tokenizers(words, characters).save(tmp_path / "two")
    two = Tokenizers.load(tmp_path / "two")
    assert not two.joint
    assert (type(two.source), type(two.target)) == (Words, Characters)


def test_damage_is_named(tmp_path: Path) -> None:
    save(TRAINED["words"], tmp_path, "joint")
    header, model = tmp_path / "joint.json", tmp_path / "joint.model"
    good, fields = header.read_text(), json.loads(header.read_text())

    def said() -> str:
        with pytest.raises(CheckpointError) as raised:
            load(tmp_path, "joint")
        return str(raised.value)

    header.write_text(good[:20])
    assert said() == f"{header} is damaged: it does not describe a tokenizer"
    header.write_text(json.dumps({**fields, "format": 99}))
    assert said() == f"{header} has format 99; this version of Seqloom reads 2"
    header.write_text(json.dumps({**fields, "class": "os.system"}))
    assert said().startswith(f"{header}: 'os.system' is not a Tokenizer")
    header.write_text(good)
    model.write_bytes(model.read_bytes()[:-3])
    assert said() == f"{model} is damaged: its SHA-256 is not the one in joint.json"
    model.unlink()
    assert said() == f"{model}: no such file"
    header.unlink()
    assert said() == f"{header}: no such file"


# --- What stands in the place of unknown symbols ----------------------------------------------------------------------


@every
@given(text=ANY_TEXT)
def test_every_symbol_of_a_text_is_written_somehow(tokenizer: Tokenizer, text: str) -> None:
    assert len(tokenizer.written(text)) == len(tokenizer.encode([text])[0])


def test_unknown_symbols_are_written_as_in_the_text() -> None:
    assert TRAINED["words"].written("the  Žižek\tcat") == ["the", "Žižek", "cat"]
    assert trained(Words(lowercase=True)).written("The ŽIŽEK cat") == ["The", "ŽIŽEK", "cat"]
    assert TRAINED["characters"].written("a Ž") == ["a", " ", "Ž"]
    pieces = TRAINED["bpe"].written("the Ž cat")
    assert "".join(pieces).strip() == "the Ž cat" and [piece.strip() for piece in pieces].count("Ž") == 1


@every
def test_unknown_symbols_are_filled_in_turn(tokenizer: Tokenizer) -> None:
    cat, dog = tokenizer.encode(["cat", "dog"])
    ids = [*cat, UNK, *dog, UNK]
    assert tokenizer.filled(ids, ["one", "⁇"]) == tokenizer.decode(ids).replace("⁇", "one", 1)
    assert tokenizer.filled(cat, []) == tokenizer.decode(cat)


def test_a_sign_that_the_text_has_itself_is_left() -> None:
    signs = trained(SentencePiece(size=80, normalization="identity"), ["⁇ the cat sat on ⁇ the mat"] * 9)
    (ids,) = signs.encode(["⁇ the"])
    assert signs.filled([*ids, UNK, *ids], ["Žižek"]).replace(" ", "") == "⁇theŽižek⁇the"


def test_pieces_are_put_together_after_they_are_filled_in() -> None:
    pieces = trained(Words(segmentation="bpe"), ["the c@@ at sat"])
    assert pieces.filled([*pieces.encode(["the"])[0], UNK, *pieces.encode(["at sat"])[0]], ["b@@"]) == "the bat sat"
