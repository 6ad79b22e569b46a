"""The demonstration's dates: what makes a score on them mean something."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from itertools import combinations, repeat
from pathlib import Path

import pytest
from babel.dates import format_date, format_skeleton
from hypothesis import given
from hypothesis import strategies as st

from seqloom.demo.dates import (
    FIRST,
    LAST,
    LOCALES,
    STANDARD,
    DateSets,
    Reader,
    Row,
    all_formats,
    distinct,
    generate,
    plain,
)

SIZES = {"train": 4_000, "valid": 300, "test": 300, "unseen": 300}
days = st.dates(FIRST, LAST)
formats = st.sampled_from(all_formats())


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> DateSets:
    return generate(tmp_path_factory.mktemp("dates"), **SIZES)


@pytest.fixture(scope="module")
def rows(sets: DateSets) -> dict[str, list[Row]]:
    """The rows of each set, put together from its file and the manifest."""
    origins = defaultdict(list)
    for line in lines(sets.manifest):
        name, locale, form = line.split("\t")
        origins[name].append((locale, form))
    return {
        name: [
            Row(*line.split("\t"), *origin)
            for line, origin in zip(lines(getattr(sets, name)), origins[name], strict=True)
        ]
        for name in SIZES
    }


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(all_formats())


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def babel_writes(row: Row) -> str:
    """The row's date by Babel's own public functions."""
    locale, day = row.locale.replace("-", "_"), date.fromisoformat(row.iso)
    if row.format in STANDARD:
        return plain(format_date(day, row.format, locale))
    return plain(format_skeleton(row.format, day, locale=locale))


def untagged(text: str) -> str:
    return re.sub(r"^\[[\w-]+\] ", "", text)


def test_every_set_has_its_size_and_writes_nothing_twice(rows: dict[str, list[Row]]) -> None:
    assert {name: len(found) for name, found in rows.items()} == SIZES
    for found in rows.values():
        assert len({row.written for row in found}) == len(found)


def test_every_locale_is_in_training_and_in_the_test(rows: dict[str, list[Row]]) -> None:
    assert len({locale.partition("-")[0] for locale in LOCALES}) == 29
    for name in ("train", "test"):
        assert {row.locale for row in rows[name]} == set(LOCALES)


def test_no_date_is_in_two_sets(rows: dict[str, list[Row]]) -> None:
    for one, other in combinations(SIZES, 2):
        assert not {row.iso for row in rows[one]} & {row.iso for row in rows[other]}


def test_every_line_is_what_babel_writes(rows: dict[str, list[Row]]) -> None:
    for found in rows.values():
        assert [untagged(row.written) for row in found[:300]] == [babel_writes(row) for row in found[:300]]


def test_unseen_pairs_are_nowhere_in_training(sets: DateSets, rows: dict[str, list[Row]], reader: Reader) -> None:
    held_out = set(sets.held_out)
    assert {(row.locale, row.format) for row in rows["unseen"]} == held_out
    assert len(held_out) >= 25
    for name in ("train", "valid", "test"):
        assert not {(row.locale, row.format) for row in rows[name]} & held_out
    for row in rows["unseen"]:
        assert {(form.locale, form.name) for form in reader.readings(row.written)} <= held_out


def words(text: str, locale: str) -> set[str]:
    """The words of `text`; its characters where the language writes no spaces."""
    return set(re.findall(r"[^\W\d_]" if locale in ("ja", "zh") else r"[^\W\d_]+", text))


def test_the_words_of_unseen_lines_are_in_training(sets: DateSets, rows: dict[str, list[Row]]) -> None:
    year = [date(2026, month, day) for month in range(1, 13) for day in range(1, 8)]
    known = defaultdict(set)
    for form in all_formats():
        if (form.locale, form.name) not in sets.held_out:
            known[form.locale] |= words(" ".join(map(form.write, year)), form.locale)
    for row in rows["unseen"]:
        assert words(row.written, row.locale) <= known[row.locale], row


def test_a_line_can_be_understood_and_a_tag_is_there_only_where_needed(
    rows: dict[str, list[Row]], reader: Reader
) -> None:
    for row in rows["train"] + rows["test"]:
        text = untagged(row.written)
        assert (text != row.written) == reader.ambiguous(text), row
        mine = {day for form, day in reader.readings(text).items() if form.locale == row.locale}
        assert mine == {date.fromisoformat(row.iso)}


def test_what_two_countries_read_differently_is_ambiguous(reader: Reader) -> None:
    assert set(reader.readings("3/6/26").values()) == {date(2026, 3, 6), date(2026, 6, 3)}
    assert reader.ambiguous("03/06/2026")
    assert not reader.ambiguous("25/6/26")
    assert not reader.ambiguous("6. März 2026")


@given(formats, days)
def test_every_format_reads_what_it_writes(form, day: date) -> None:
    text = form.write(day)
    assert form.read(text) == day
    assert text == text.strip() and not re.search(r"[\t\n\u00a0\u200e\u200f\u202f]", text)


@given(formats, st.text(max_size=30))
def test_no_text_breaks_a_format(form, text: str) -> None:
    assert form.read(text) is None or isinstance(form.read(text), date)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    small = {"train": 50, "valid": 20, "test": 20, "unseen": 20}
    one, same, other = (generate(tmp_path / str(n), seed=seed, **small) for n, seed in enumerate((3, 3, 4)))
    for name in (*SIZES, "manifest"):
        assert getattr(one, name).read_bytes() == getattr(same, name).read_bytes()
    assert one.train.read_bytes() != other.train.read_bytes()


def test_a_set_larger_than_what_can_be_written_is_refused() -> None:
    row = Row("6. März 2026", "2026-03-06", "de", "long")
    assert distinct(repeat(row), 1) == [row]
    with pytest.raises(ValueError, match=r"^there are only about 1 different lines for a set of 2$"):
        distinct(repeat(row), 2)
