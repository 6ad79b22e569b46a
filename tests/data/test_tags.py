"""A tag before a corpus's sources is one symbol of any tokenizer, and nothing that depends on it is ever stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.corpora import CorpusOptions, DataOptions
from seqloom.data.held_out import read_part
from seqloom.data.prepared import prepare
from seqloom.errors import UsageError
from seqloom.tokenizers import (
    Characters,
    Pixels,
    SentencePiece,
    Tagged,
    Tokenizer,
    Tokenizers,
    VocabularyFile,
    Words,
    fingerprint,
    load,
    save,
)
from seqloom.vocabulary import BOS, EOS, UNK

LINES = ["the cat sat on the mat", "a dog sat on a log", "<2de> the end", "the \u2047 <2fr> end"] * 3
TAGS = ("<2de>", "<2FR>", "zu")


def learnt(plain: Tokenizer) -> Tagged:
    tokenizer = Tagged(plain, TAGS)
    tokenizer.train(LINES)
    return tokenizer


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tags") / "words.txt"
    path.write_text("\n".join(dict.fromkeys(" ".join(LINES).split())) + "\n")
    return path


@pytest.fixture(
    scope="module",
    params=[
        lambda path: SentencePiece(size=60),
        lambda path: SentencePiece(size=60, model="unigram"),
        lambda path: Words(),
        lambda path: Words(lowercase=True, min_frequency=4),
        lambda path: Characters(),
        lambda path: VocabularyFile(path=path),
    ],
    ids=["bpe", "unigram", "words", "few-words", "characters", "file"],
)
def tokenizer(request: Any, listed: Path) -> Tagged:
    return learnt(request.param(listed))


def test_a_tag_is_one_symbol_before_the_ids_of_the_text(tokenizer: Tagged) -> None:
    (plain,) = tokenizer.plain.encode(["the mat"])
    for tag in TAGS:
        ((first, *rest),) = tokenizer.encode([f"{tag} the mat"])
        assert (tokenizer.tokens([first]), rest) == ([tag], plain)
        assert tokenizer.decode([BOS, first, *rest, EOS]) == " ".join([tag, tokenizer.plain.decode(plain)])
        assert tokenizer.written(f"{tag} the mat") == [tag, *tokenizer.plain.written("the mat")]
    (two,) = tokenizer.encode(["zu  <2de> the mat"])
    assert (tokenizer.tokens(two[:2]), two[2:]) == (["zu", "<2de>"], plain)


def test_a_text_without_a_tag_in_front_is_as_ever(tokenizer: Tagged) -> None:
    texts = ["the cat", "the <2de> cat", "<2de>the cat", "<2es> the cat", "", " "]
    assert tokenizer.encode(texts) == tokenizer.plain.encode(texts)
    assert tokenizer.encode(["<2de>", " <2de>  "]) == [[], []], "nothing is asked of nothing"


@given(text=st.text(st.characters(exclude_categories=())), ids=st.lists(st.integers(0, 20), max_size=6))
def test_any_text_and_any_ids(tokenizer: Tagged, text: str, ids: list[int]) -> None:
    for row in tokenizer.encode([text, f"zu {text}"]):
        assert all(UNK <= i < len(tokenizer.vocabulary) for i in row)
        assert len(tokenizer.tokens(row)) == len(row)
    assert isinstance(tokenizer.decode([i % len(tokenizer.vocabulary) for i in ids]), str)


def test_a_tag_amid_generated_ids_stands_for_nothing(tokenizer: Tagged) -> None:
    tag = tokenizer.vocabulary.ids(["<2FR>"])
    ids = tokenizer.plain.encode(["the the"])[0]
    assert tokenizer.decode([*ids, *tag]) == tokenizer.plain.decode(ids)
    assert tokenizer.filled([*tag, *ids, *tag, UNK], ["x"]) == f"<2FR> {tokenizer.plain.filled([*ids, UNK], ['x'])}"


def test_it_comes_back_from_a_directory(tokenizer: Tagged, tmp_path: Path) -> None:
    save(tokenizer, tmp_path, "source")
    again = load(tmp_path, "source")
    assert (again.tags, fingerprint(again)) == (TAGS, fingerprint(tokenizer))
    assert again.encode(["zu the mat"]) == tokenizer.encode(["zu the mat"])
    others = [tokenizer.plain, Tagged(tokenizer.plain, TAGS[:2]), Tagged(tokenizer.plain, TAGS[::-1])]
    assert fingerprint(tokenizer) not in map(fingerprint, others)


def test_files_have_no_tags() -> None:
    with pytest.raises(UsageError, match="a tag stands before text, and the sources of Pixels are files"):
        Tagged(Pixels(), TAGS)


# Corpora


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[[str | None], CorpusOptions]:
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"{line}\tx y\n" for line in (*LINES[:2], " ")))
    return lambda tag: CorpusOptions(tsv=path, tag=tag)


def test_pairs_have_the_tag_of_their_corpus(corpus: Callable[[str | None], CorpusOptions]) -> None:
    pairs = list(read_part(corpus("<2de>"), part="all", valid_share=0))
    assert pairs == [(f"<2de> {line}", "x y") for line in LINES[:2]], "what is empty is left out all the same"


def test_another_tag_is_another_cache_entry(
    corpus: Callable[[str | None], CorpusOptions], tokenizer: Tagged, tmp_path: Path
) -> None:
    both = Tokenizers(tokenizer, tokenizer)
    keys = set()
    for tag in (None, "<2de>", "zu"):
        prepared = prepare(corpus(tag), both, cache=tmp_path / "cache")
        wanted = tokenizer.vocabulary.ids([tag]) if tag else []
        for row in range(2):
            assert prepared.source(row).tolist() == wanted + tokenizer.plain.encode([LINES[row]])[0]
            assert prepared.target(row).tolist() == tokenizer.plain.encode(["x y"])[0]
        keys.add(prepared.key)
    assert len(keys) == 3


@pytest.mark.parametrize("part", ["train", "valid"])
def test_a_text_is_held_out_under_every_tag(corpus: Callable[[str | None], CorpusOptions], part: Any) -> None:
    rows = [list(read_part(corpus(tag), part=part, valid_share=0.5)) for tag in (None, "<2de>", "zu")]
    assert [source.removeprefix("<2de> ") for source, _ in rows[1]] == [source for source, _ in rows[0]]
    assert len(rows[2]) == len(rows[0])


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        ("", "a tag is one word without blanks, such as <2de>, got ''"),
        ("to German", "a tag is one word without blanks, such as <2de>, got 'to German'"),
        ("</s>", "a tag can't be </s>, which has a meaning of its own; choose another"),
    ],
)
def test_what_can_be_no_tag_is_a_sentence(tag: str, sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        CorpusOptions(tsv=Path("a"), tag=tag)
    assert str(said.value) == sentence


def test_images_and_unknown_tags_are_sentences() -> None:
    with pytest.raises(ValueError, match="the sources of a corpus with a folder are files"):
        CorpusOptions(tsv=Path("a"), tag="<2de>", folder=Path())
    train = [CorpusOptions(tsv=Path("a"), tag=tag) for tag in ("<2de>", "<2fr>", "<2de>", None)]
    assert DataOptions(train=train).tags == ("<2de>", "<2fr>")
    with pytest.raises(ValueError, match="valid has the tag '<2dd>' and train has not; did you mean '<2de>'"):
        DataOptions(train=train, valid=CorpusOptions(tsv=Path("a"), tag="<2dd>"))
