"""Filters leave out what they say, count it, and leave the rest as it was."""

from __future__ import annotations

import importlib.util
import lzma
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data import filters as filters_module
from seqloom.data import sifting
from seqloom.data.corpora import CorpusOptions, read_pairs
from seqloom.data.filters import CopiedSource, Duplicates, Filter, Language, Length, Mojibake, Ratio
from seqloom.data.sifting import sift
from seqloom.errors import UsageError

HAS_LANGUAGES = importlib.util.find_spec("py3langid") is not None
needs_languages = pytest.mark.skipif(not HAS_LANGUAGES, reason="py3langid is not installed")
LINE = st.sampled_from(["", "a", "b", "a b", "b a c", "a  b c d"])
CHOICES = [
    Duplicates(),
    Duplicates(of="source"),
    Duplicates(of="target"),
    Length(most=2),
    Ratio(most=2),
    CopiedSource(),
]


def write(directory: Path, pairs: list[tuple[str, str]]) -> CorpusOptions:
    path = directory / "corpus.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), "utf8")
    return CorpusOptions(tsv=path)


def left_by(filters: list[Filter], corpus: CorpusOptions, cache: Path) -> tuple[list[Any], dict[str, int]]:
    sifted = sift(corpus, filters, cache=cache)
    return list(sifted.rows(read_pairs(corpus))), dict(sifted.left_out)


def one_by_one(filters: list[Filter], pairs: list[tuple[str, str]]) -> tuple[list[Any], dict[str, int]]:
    """What is left, and the counts, when each pair goes from filter to filter and those that compare have a memory."""
    seen: list[set[str]] = [set() for _ in filters]
    kept, counts = [], {one.reason: 0 for one in filters}
    for pair in pairs:
        for one, memory in zip(filters, seen, strict=True):
            if not (pair[0] and pair[1]):
                continue
            if one.objects(*pair) or (one.compares and one.sameness(*pair) in memory):
                counts[one.reason] += 1
                break
            if one.compares:
                memory.add(one.sameness(*pair))
        else:
            kept.append(pair)
    return kept, counts


@given(
    pairs=st.lists(st.tuples(LINE, LINE), min_size=1, max_size=40),
    filters=st.lists(st.sampled_from(CHOICES), min_size=1, max_size=4),
    rows=st.integers(1, 5),
    compared=st.integers(1, 9),
)
def test_the_first_that_objects_counts_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str]],
    filters: list[Filter],
    rows: int,
    compared: int,
) -> None:
    folder = tmp_path_factory.mktemp("filtered")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sifting, "ROWS", rows)
        patch.setattr(sifting, "COMPARED", compared)
        found = left_by(filters, write(folder, pairs), folder)
    assert found == one_by_one(filters, pairs)
    assert not list(folder.glob("filtered/*/hashes*")) and not list(folder.glob("filtered/*/verdicts"))


@pytest.mark.parametrize(
    ("part", "pair", "objects"),
    [
        (Length(least=2, most=3), ("a b", "a b c"), False),
        (Length(least=2, most=3), ("a b", "a"), True),
        (Length(least=2, most=3), ("a b c d", "a b"), True),
        (Length(most=3, unit="characters"), (" abc ", "abcd"), True),
        (Ratio(), ("a b", "a b c"), False),
        (Ratio(), ("a b c d", "a b"), True),
        (Ratio(most=2, unit="characters"), ("a b c d", "a b"), True),
        (Ratio(most=2, unit="characters"), ("a b c", "a b"), False),
        (CopiedSource(), ("Das ist gut.", "das ist gut"), True),
        (CopiedSource(), ("Das ist gut.", "das ist good"), False),
        (CopiedSource(overlap=0.5), ("Das ist gut.", "das ist good"), True),
        (CopiedSource(), ("1984, 12:30", "1984, 12:30"), False),
        (Mojibake(), ("für", "for"), False),
        (Mojibake(), ("fÃ¼r", "for"), True),
        (Mojibake(), ("for", "gut â€“ besser"), True),
        (Mojibake(), ("for", "f\ufffdr"), True),
        (Mojibake(), ("À « vous », DÉJÀ…", "„Spaß“ – “Fuß”"), False),
    ],
)
def test_what_each_objects_to(part: Filter, pair: tuple[str, str], objects: bool) -> None:
    assert part.objects(*pair) is objects


@given(
    text=st.text(st.sampled_from("äöüßéèêçàœÄÖÜÉ€–„“’ñø"), min_size=1), encoding=st.sampled_from(["latin-1", "cp1252"])
)
def test_what_was_read_in_the_wrong_encoding_is_found(text: str, encoding: str) -> None:
    raw = text.encode()
    garbled = "".join(_character(byte, encoding) for byte in raw)
    assert Mojibake().objects("a", f"a {garbled} b")


def _character(byte: int, encoding: str) -> str:
    try:
        return bytes([byte]).decode(encoding)
    except UnicodeDecodeError:
        return chr(byte)


@needs_languages
def test_language() -> None:
    german, english = "Ein Hund läuft schnell über die Wiese.", "A dog runs fast across the meadow."
    part = Language(source="en", target="de")
    assert not part.objects(english, german)
    assert part.objects(german, english) and part.objects(english, english) and part.objects(german, german)
    assert not Language(source="de").objects(german, german) and not part.objects("Ok.", "1984")


@pytest.mark.data("mt/multi30k", "mt/newstest-en-de", "mt/newstest-en-fr")
def test_good_text_stays(seqloom_data: Path) -> None:
    """Of the real pairs of a test set nearly all pass; of the same pairs swapped, nearly none."""
    folder = seqloom_data / "mt" / "multi30k"
    sides = [(folder / f"test_2016_flickr.{language}").read_text("utf8").splitlines() for language in ("en", "de")]
    pairs = list(zip(*sides, strict=True))
    assert sum(Ratio(most=2).objects(*pair) for pair in pairs) < 0.01 * len(pairs)
    assert not any(part.objects(*pair) for part in (Length(), CopiedSource()) for pair in pairs)
    if HAS_LANGUAGES:
        part = Language(source="en", target="de")
        some = pairs[::5]
        assert sum(part.objects(*pair) for pair in some) <= 0.005 * len(some)
        assert sum(part.objects(target, source) for source, target in some) >= 0.99 * len(some)
    lines = [
        line
        for language in ("de", "fr")
        for line in (seqloom_data / f"mt/newstest-en-{language}/newstest2014.{language}").read_text("utf8").split("\n")
    ]
    objected = [line for line in lines if Mojibake().objects(line, "")]
    assert all(any("\x80" <= character <= "\x9f" for character in line) for line in objected), "controls are no text"
    assert len(objected) <= 1 < 5000 < len(lines)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Length(least=5, most=4), "least is from 0 to most; got least 5 and most 4"),
        (lambda: Ratio(most=0.5), "most must be at least 1, got 0.5"),
        (lambda: CopiedSource(overlap=0.0), "overlap must be above 0 and at most 1, got 0.0"),
        (lambda: Language(), "source or target must name a language, such as de"),
        (lambda: Language(source="de", sure=2), "sure must be above 0 and at most 1, got 2"),
    ],
)
def test_bad_parameters_are_sentences(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        make()
    assert str(said.value) == sentence


@needs_languages
def test_an_unknown_language_is_a_sentence() -> None:
    with pytest.raises(ValueError) as said:
        Language(target="eng")
    assert str(said.value).startswith("target: no language has the code 'eng'; did you mean 'en'?")


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    filters_module._identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid", None)
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(UsageError) as said:
        Language(source="de")
    assert str(said.value) == "the filter Language needs a package: pip install 'seqloom[filters]'"


def test_a_corpus_is_gone_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = write(tmp_path, [("a", "b"), ("a", "b"), ("c", "d e f g")])
    first = sift(corpus, [Duplicates(), Ratio()], cache=tmp_path)
    assert (first.kept.tolist(), first.left_out) == ([True, False, False], {"duplicated": 1, "of unequal lengths": 1})
    with monkeypatch.context() as patch:
        patch.setattr(sifting, "_judge", None)
        again = sift(corpus, [Duplicates(), Ratio()], cache=tmp_path)
        assert np.array_equal(again.kept, first.kept) and again == type(again)(first.key, again.kept, first.left_out)
    # Other filters that leave the same rows have the same key, so what was prepared of them stays good.
    same = sift(corpus, [Ratio(most=2), Duplicates(of="source")], cache=tmp_path)
    assert same.key == first.key
    assert sift(corpus, [Ratio()], cache=tmp_path).key != first.key
    (tmp_path / "corpus.tsv").write_text("a\tb\n")
    assert sift(corpus, [Duplicates()], cache=tmp_path).kept.tolist() == [True]


def test_a_damaged_result_is_made_again(tmp_path: Path) -> None:
    corpus = write(tmp_path, [("a", "b"), ("a", "b")])
    sift(corpus, [Duplicates()], cache=tmp_path)
    (kept,) = tmp_path.glob("filtered/*/kept")
    kept.write_bytes(b"\1")
    assert sift(corpus, [Duplicates()], cache=tmp_path).kept.tolist() == [True, False]


def test_only_rows_of_the_part_are_judged(tmp_path: Path) -> None:
    pairs = [(source, "x") for source, _ in product("abcdefghij", range(2))]
    whole = sift(write(tmp_path, pairs), [Duplicates()], cache=tmp_path)
    part = sift(write(tmp_path, pairs), [Duplicates()], cache=tmp_path, part="train", valid_share=0.5)
    assert (whole.left_out, len(part.kept)) == ({"duplicated": 10}, 20)
    assert 0 < part.left_out["duplicated"] < 10


@pytest.mark.data("mt/multi30k")
def test_real_text(seqloom_data: Path, tmp_path: Path) -> None:
    """The duplicates of Multi30k are those that a set finds."""
    folder = seqloom_data / "mt" / "multi30k"
    corpus = CorpusOptions(source=folder / "train.en.xz", target=folder / "train.de.xz")
    sifted = sift(corpus, [Duplicates(), CopiedSource(), Mojibake()], cache=tmp_path)
    with lzma.open(folder / "train.en.xz", "rt", encoding="utf8") as one, lzma.open(corpus.target, "rt") as other:
        different = {(a.strip(), b.strip()) for a, b in zip(one, other, strict=True)}
    assert sifted.left_out["duplicated"] == 29_000 - len(different)
    assert int(sifted.kept.sum()) == 29_000 - sum(sifted.left_out.values()) > 28_900
