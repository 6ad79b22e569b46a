"""Terms are found in sentences, and translations have what they are to become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.small_models import small_model

from seqloom.engines.native import NativeEngine
from seqloom.errors import DataError, UsageError
from seqloom.glossary import Glossary, Term, words_of
from seqloom.search import SearchOptions
from seqloom.tokenizers import Characters, SentencePiece, Tokenizer, Tokenizers, Words
from seqloom.translate import Translator

LINES = ["the cat sat on the mat", "a dog sat on a log .", "two dogs ( of mine ) run", "that is it . the end"]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        (tmp_path / "terms.tsv").write_bytes(text.encode())
        return tmp_path / "terms.tsv"

    return written


def test_a_file_has_terms_and_their_targets(file: Callable[[str], Path]) -> None:
    path = file("\ufeff# animals\r\ndog\tHund\tHunde\t\r\n\r\nNew York \t New York\r\n")
    assert Glossary.read(path).terms == (Term("dog", ("Hund", "Hunde")), Term("New York", ("New York",)))


@pytest.mark.parametrize(
    "text, said",
    [
        ("a\tb\ndog Hund\n", "line 2: a glossary has lines like source TAB target, or source TAB target TAB target"),
        ("\tHund\n", "line 1: a glossary has lines like source TAB target, or source TAB target TAB target"),
        ("dog\t\tHund\n", "line 1: a glossary has lines like source TAB target, or source TAB target TAB target"),
        (
            "dog\tHund\nd og\tb\ndog\tKöter\n",
            "line 3: 'dog' is there already; write all targets of a term in one line, with tabs between them",
        ),
    ],
)
def test_a_fault_is_named_by_its_line(file: Callable[[str], Path], text: str, said: str) -> None:
    path = file(text)
    with pytest.raises(DataError) as error:
        Glossary.read(path)
    assert str(error.value) == f"{path}: {said}"


def test_a_file_without_terms_is_no_glossary(file: Callable[[str], Path]) -> None:
    path = file("# nothing yet\n\n")
    with pytest.raises(DataError) as error:
        Glossary.read(path)
    assert str(error.value) == f"{path} has no terms: a glossary has lines like source TAB target"


@pytest.mark.parametrize(
    "text, words",
    [
        ("The dog's T-shirt.", ["The", "dog", "'", "s", "T", "-", "shirt", "."]),
        ("犬が1匹 dog", ["犬", "が", "1", "匹", "dog"]),
        ("हिन्दी می‌خواهم", ["हिन्दी", "می‌خواهم"]),
        ("cafe\u0301", ["café"]),
        ("  ", []),
        ("3,5 😀😀", ["3", ",", "5", "😀", "😀"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def sources(glossary: Glossary, text: str) -> list[str]:
    return [term.source for term in glossary.find(text)]


def test_the_longest_term_is_found_as_whole_words_in_any_case() -> None:
    names = ["dog", "hot dog", "US", "us", "Straße", "犬", "e.g."]
    glossary = Glossary([Term(name, ("x",)) for name in names])
    assert sources(glossary, "Hot  dog, dog and dogs, hotdog") == ["hot dog", "dog"]
    assert sources(glossary, "the US and us, Us") == ["US", "us", "US"]
    assert sources(glossary, "STRASSE, e. g. 小犬 (dog)dog") == ["Straße", "e.g.", "犬", "dog", "dog"]
    assert sources(glossary, "") == []


@given(st.lists(st.sampled_from(["a", "b", "a b", "b a b", "."]), unique=True), st.text("ab .x", max_size=12))
def test_what_is_found_stands_there_one_behind_the_other(names: list[str], text: str) -> None:
    rest = words_of(text)
    for name in sources(Glossary([Term(name, ("x",)) for name in names]), text):
        those = words_of(name)
        place = next(i for i in range(len(rest)) if rest[i : i + len(those)] == those)
        rest = rest[place + len(those) :]


def trained(tokenizer: Tokenizer, lines: list[str]) -> Tokenizers:
    tokenizer.train(lines)
    return Tokenizers(tokenizer, tokenizer)


def translator(tokenizers: Tokenizers, **search: int) -> Translator:
    """A model that has learnt nothing, and so says nothing that is asked for by itself."""
    model = small_model("transformer", len(tokenizers.source.vocabulary))
    return Translator(NativeEngine(model), tokenizers, SearchOptions(**({"max_length": 40} | search)))  # type: ignore[arg-type]


TRANSLATORS = {
    "words": translator(trained(Words(), LINES)),
    "characters": translator(trained(Characters(), LINES)),
    "sentencepiece": translator(trained(SentencePiece(size=60), LINES)),
    "lowercase": translator(trained(SentencePiece(size=60, normalization="nmt_nfkc_cf"), LINES)),
    "bytes": translator(trained(SentencePiece(size=320, byte_fallback=True), LINES)),
    "cut": translator(trained(Words(segmentation="bpe"), ["a do@@ g s@@ at on l@@ og the@@ n .", "cat mat the end"])),
}
every = pytest.mark.parametrize("name", TRANSLATORS)
terms = st.builds(
    Term,
    st.sampled_from(["dog", "cat", "the end", "on", "log ."]),
    st.lists(st.sampled_from(["cat", "mat", "the end", "on", "a", "a ."]), min_size=1, max_size=2).map(tuple),
)


@every
@settings(max_examples=8, deadline=None)
@given(
    chosen=st.lists(terms, min_size=1, max_size=3, unique_by=lambda term: term.source),
    lines=st.lists(st.lists(st.sampled_from(["dog", "Cat", "the end", "log .", "a"])).map(" ".join), max_size=3),
)
def test_every_term_is_honoured_in_whole_words(name: str, chosen: list[Term], lines: list[str]) -> None:
    glossary = Glossary(chosen)
    room = SearchOptions(beam_size=3, max_length=60, n_best=2)
    for line, made in zip(lines, TRANSLATORS[name].translate(lines, room, glossary=glossary), strict=True):
        assert made.source == line
        assert made.glossary is not None
        assert [report.source for report in made.glossary] == sources(glossary, line)
        for report in made.glossary:
            assert report.problem is None
            assert report.found is not None
            found = words_of(report.found)
            for alternative in made.alternatives:
                words = [word.lower() for word in words_of(alternative.text)]
                assert any(words_of(target)[0] in words for target in report.targets)
            words = [word.lower() for word in words_of(made.text)]
            assert any(words[i : i + len(found)] == found for i in range(len(words)))


@every
def test_sentences_without_terms_are_translated_as_ever(name: str) -> None:
    lines = ["a dog", "the cat", "", "on the mat"]
    plain = TRANSLATORS[name].translate(lines)
    steered = TRANSLATORS[name].translate(lines, glossary=Glossary([Term("dog", ("cat",))]))
    assert [one.text for one in plain][1:] == [one.text for one in steered][1:]
    assert [one.score for one in plain][1:] == pytest.approx([one.score for one in steered][1:], abs=1e-5)
    assert [one.glossary for one in plain] == [None] * 4
    assert [len(one.glossary or []) for one in steered] == [1, 0, 0, 0]


def test_a_report_tells_why_a_term_was_not_asked_for() -> None:
    glossary = Glossary([Term("dog", ("日本",)), Term("cat", ("the the the the the the",)), Term("mat", ("log", "日"))])
    (made,) = TRANSLATORS["words"].translate(["dog cat mat"], SearchOptions(max_length=5), glossary=glossary)
    assert made.as_dict()["glossary"] == [
        {"source": "dog", "targets": ["日本"], "found": None, "problem": "the model has no symbols for it"},
        {
            "source": "cat",
            "targets": ["the the the the the the"],
            "found": None,
            "problem": "the translation has no room for it",
        },
        {"source": "mat", "targets": ["log", "日"], "found": "log"},
    ]


def test_a_term_that_is_forbidden_costs_no_translation() -> None:
    glossary = Glossary([Term("dog", ("cat",))])
    plain, made = (
        TRANSLATORS["words"].translate(
            ["a dog"], SearchOptions(max_length=9, min_length=3, forbid=("cat",)), glossary=one
        )[0]
        for one in (None, glossary)
    )
    assert made.text == plain.text != ""
    assert [(report.found, report.problem) for report in made.glossary or ()] == [(None, "it is forbidden")]


@every
def test_a_forbidden_target_is_not_said_for_a_glossary(name: str) -> None:
    options = SearchOptions(max_length=30, forbid=("cat",))
    terms = Glossary([Term("dog", ("cat", "a cat", "mat")), Term("log", ("the cat",))])
    (made,) = TRANSLATORS[name].translate(["a dog on the log"], options, glossary=terms)
    assert "cat" not in words_of(made.text.lower())
    assert [report.problem for report in made.glossary or ()] == [None, "it is forbidden"]


def test_a_term_twice_is_said_twice() -> None:
    glossary = Glossary([Term("dog", ("cat", "cats"))])
    (made,) = TRANSLATORS["words"].translate(["dog a Dog"], glossary=glossary)
    assert words_of(made.text).count("cat") >= 2
    assert [report.found for report in made.glossary or ()] == ["cat", "cat"]


def test_of_a_source_that_is_too_long_only_the_beginning_is_asked_for() -> None:
    glossary = Glossary([Term("dog", ("cat",)), Term("log", ("mat",))])
    (made,) = TRANSLATORS["words"].translate(
        ["dog a a log"], SearchOptions(max_source_length=3, max_length=9), glossary=glossary
    )
    assert made.truncated
    assert [(report.source, report.found) for report in made.glossary or ()] == [("dog", "cat")]


@pytest.mark.parametrize(
    "options, said",
    [
        (SearchOptions(sample=True), "a glossary steers beam search, and nothing that is drawn; leave sample out"),
        (
            SearchOptions(beam_size=4, diverse_groups=2),
            "a glossary steers one beam, not groups of it; leave diverse_groups out",
        ),
    ],
)
def test_what_a_glossary_can_not_steer_is_refused(options: SearchOptions, said: str) -> None:
    with pytest.raises(UsageError) as error:
        TRANSLATORS["words"].translate(["a"], options, glossary=Glossary([Term("a", ("a",))]))
    assert str(error.value) == said


@pytest.mark.parametrize("terms", [[Term("", ("a",))], [Term("a", ())], [Term("a", (" ",))]])
def test_a_term_needs_words_on_both_sides(terms: list[Term]) -> None:
    with pytest.raises(ValueError, match="a term needs a source and a target"):
        Glossary(terms)


def test_a_source_is_given_once() -> None:
    with pytest.raises(ValueError, match="'a' is there already; a term has all its targets in one place"):
        Glossary([Term("a", ("b",)), Term("a", ("c",))])
