"""Dates as people write them in twenty-nine languages, each with its ISO 8601 form: real data, made on the spot.

The patterns and names are the Unicode CLDR's, from Babel.  Three promises make scores on them mean something:

- No date of one file occurs in another, however it is written.
- A line can be understood.  Where some other language or format would write another date the same way, as with 3/6/26,
  the language stands in front as a tag: `[en-US] 3/6/26`.  A weekday settles nothing, since few readers know the
  calendar by heart, and neither does a leading zero, since many write one where the standard doesn't.
- `unseen.tsv` holds language and format pairs that training never shows, though it shows all of their words.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

LOCALES = tuple(
    "en-US en-GB de fr es it pt nl sv da nb fi pl cs hu tr ro ca vi id ru uk el ar he hi ja zh ko th".split()
)
FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)  # a hundred years, so that two digits name a year
HELD_DAYS = 1_000  # days that occur in one of the smaller sets only
STANDARD = ("full", "long", "medium", "short")
PROBES = tuple(date(2026, month, day) for month in range(1, 13) for day in range(13, 20))  # each month, each weekday

NAMES = ("E", "c", "G")  # fields that are always words: weekdays, and the era that Thai has
LETTER = re.compile(r"[^\W\d_]")

Token = tuple[str, str]  # a CLDR field such as ("MMM", ""), or ("", " de ") for text between fields


class Row(NamedTuple):
    """One line of a data file, and where it comes from."""

    written: str
    iso: str
    locale: str
    format: str


@dataclass(frozen=True)
class DateSets:
    """The files that `generate` wrote: lines of `written<TAB>iso`, and a manifest of `set<TAB>locale<TAB>format`."""

    train: Path
    valid: Path
    test: Path
    unseen: Path
    manifest: Path
    held_out: tuple[tuple[str, str], ...]  # the (locale, format) pairs of `unseen`


def plain(text: str) -> str:
    """`text` as a keyboard gives it: no invisible direction marks, and every space an ordinary one."""
    return re.sub(r"[\u00a0\u202f]", " ", re.sub(r"[\u200e\u200f\u061c]", "", text))


def shape(text: str) -> str:
    """`text` with every number as 0, which finds the formats that could have written it."""
    return re.sub(r"\d+", "0", text)


@dataclass(frozen=True, eq=False)
class Format:
    """One way of writing a date in one language."""

    locale: str
    name: str
    tokens: tuple[Token, ...]
    apply: Callable[[date], str]
    names: dict[str, dict[str, int]]  # by field: "March" -> 3
    regex: re.Pattern[str]

    def write(self, day: date) -> str:
        """The date as this language and format have it."""
        return plain(self.apply(day))

    def read(self, text: str) -> date | None:
        """The date that this format would write as `text`, give or take a leading zero; the weekday isn't compared."""
        match = self.regex.fullmatch(text)
        if not match:
            return None
        number = {f: self.names[f][value] if f in self.names else int(value) for f, value in match.groupdict().items()}
        year, month, day = (next(n for f, n in number.items() if f[0] in letters) for letters in ("y", "ML", "d"))
        try:
            return date(year if year > 99 else year + (1900 if year >= 50 else 2000), month, day)
        except ValueError:
            return None

    def words(self) -> set[Token]:
        """What must be known to read it: the kinds of names, and the words between them."""
        return {
            token for token in self.tokens if token[0][:1] in NAMES or token[0] in self.names or LETTER.search(token[1])
        }

    def says_its_month(self) -> bool:
        """Whether a word tells the month from the day, and the year has four digits."""
        following = dict(zip(self.tokens, self.tokens[1:], strict=False))
        months = [token for token in self.tokens if token[0][:1] in tuple("ML")]
        labelled = all(token[0] in self.names or following[token][1][:1].isalpha() for token in months)
        return labelled and ("yy", "") not in self.tokens


def tokenize(pattern: str) -> tuple[Token, ...]:
    """The fields of a CLDR pattern and the text between them."""
    from babel.dates import tokenize_pattern

    tokens = []
    for _, value in tokenize_pattern(pattern):
        letters = value[0] * value[1] if isinstance(value, tuple) else ""
        text = plain(value) if isinstance(value, str) else ""
        tokens.append(("E" if letters == "EEE" else letters, text))  # CLDR has both for the same
    return tuple(tokens)


def token_regex(token: Token, write: Callable[[str, date], str]) -> str:
    """The regular expression of what `token` can look like; dates and months are named groups."""
    letters, text = token
    if not letters:
        return re.escape(text)
    if letters[0] == "y":
        return rf"(?P<{letters}>\d{{{2 if letters == 'yy' else 4}}})"
    if len(letters) <= 2 and letters[0] in "MLd":
        return f"(?P<{letters}>[0-9]{{1,2}})"
    alternatives = "|".join(sorted({re.escape(write(letters, day)) for day in PROBES}, key=len, reverse=True))
    return f"({'?P<' + letters + '>' if letters[0] in 'ML' else '?:'}{alternatives})"


def make_format(locale: Any, name: str, pattern: str) -> Format:
    """The format with this CLDR pattern, in Babel's `locale`."""
    from babel.dates import parse_pattern

    def write(letters: str, day: date) -> str:
        return plain(parse_pattern(letters).apply(day, locale))

    tokens = tokenize(pattern)
    named = [letters for letters, _ in tokens if letters[:1] in tuple("ML") and len(letters) > 2]
    return Format(
        locale=str(locale).replace("_", "-"),
        name=name,
        tokens=tokens,
        apply=lambda day: parse_pattern(pattern).apply(day, locale),
        names={letters: {write(letters, day): day.month for day in PROBES} for letters in named},
        regex=re.compile("".join(token_regex(token, write) for token in tokens)),
    )


def locale_formats(tag: str) -> list[Format]:
    """Every different way in which the locale writes day, month and year; the standard four come first.

    Skeletons with an era are left out, since nobody writes 2026 AD, unless a standard format has it (Thai).
    """
    from babel import Locale

    locale = Locale.parse(tag, sep="-")
    skeletons: Mapping[str, object] = locale.datetime_skeletons
    wanted = sorted(key for key in skeletons if {"y", "d"} <= set(key) <= set("yMLEcd") and set(key) & {"M", "L"})
    patterns = {str(skeletons[key]): key for key in reversed(wanted)}
    patterns |= {str(locale.date_formats[key]): key for key in reversed(STANDARD)}
    order = (*STANDARD, *wanted)
    formats = [make_format(locale, name, pattern) for pattern, name in patterns.items()]
    return sorted((f for f in formats if reads_back(f)), key=lambda f: order.index(f.name))


def reads_back(form: Format) -> bool:
    """Whether the format's own dates can be read from what it writes."""
    return all(form.read(form.write(day)) == day for day in PROBES)


@cache
def all_formats() -> tuple[Format, ...]:
    """The formats of every locale."""
    return tuple(form for tag in LOCALES for form in locale_formats(tag))


class Reader:
    """Knows every format that could have written a text, and the date that it would mean."""

    def __init__(self, formats: Iterable[Format]):
        self.by_shape: dict[str, list[Format]] = defaultdict(list)
        for form in formats:
            for text in {shape(form.write(day)) for day in PROBES}:
                self.by_shape[text].append(form)

    def readings(self, text: str) -> dict[Format, date]:
        """What `text` means to each of the formats that would write it."""
        read = ((form, form.read(text)) for form in self.by_shape.get(shape(text), ()))
        return {form: day for form, day in read if day is not None}

    def ambiguous(self, text: str, *, locale: str | None = None) -> bool:
        """Whether `text` can mean two dates, to whoever knows only the `locale`'s formats or, with None, all."""
        return len({day for form, day in self.readings(text).items() if locale in (None, form.locale)}) > 1


def possible_to_hold_out(formats: Sequence[Format], reader: Reader) -> list[Format]:
    """The formats of one locale that can be understood by whoever has seen all its other ones.

    Their words (names of months and weekdays in the same grammatical form, and words between) occur in another format
    of the locale; a word says which number is the month; the year has four digits; nothing is ambiguous; and in most
    months no other format, of any locale, writes the same.
    """
    possible = []
    for form in formats:
        known = set().union(*(other.words() for other in formats if other != form))
        texts = [form.write(day) for day in PROBES]
        distinct = sum(len(reader.readings(text)) == 1 for text in texts) > len(texts) / 2
        if form.says_its_month() and form.words() <= known and distinct and not any(map(reader.ambiguous, texts)):
            possible.append(form)
    return possible


def choose_held_out(formats: Sequence[Format], reader: Reader) -> list[Format]:
    """One format of each locale: the n-th locale's n-th possible one, round and round, so that their kinds vary."""
    chosen = []
    for place, locale in enumerate(LOCALES):
        candidates = possible_to_hold_out([form for form in formats if form.locale == locale], reader)
        chosen += candidates[place % len(candidates) :][:1] if candidates else []
    return chosen


def split_days(random: Random, *, sizes: Sequence[int]) -> list[list[date]]:
    """Lists of that many days each, and a last list of all that remain; no day is in two."""
    days = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    random.shuffle(days)
    return [[days.pop() for _ in range(size)] for size in sizes] + [days]


def draw(formats: Iterable[Format], days: Sequence[date], *, reader: Reader, random: Random) -> Iterator[Row]:
    """Lines without end, each locale as often as any other; those that even a tag leaves ambiguous are passed over."""
    by_locale: dict[str, list[Format]] = defaultdict(list)
    for form in formats:
        by_locale[form.locale].append(form)
    locales = list(by_locale)
    while True:
        form = random.choice(by_locale[random.choice(locales)])
        day = random.choice(days)
        text = form.write(day)
        tag = f"[{form.locale}] " if reader.ambiguous(text) else ""
        if not (tag and reader.ambiguous(text, locale=form.locale)):
            yield Row(tag + text, day.isoformat(), form.locale, form.name)


def distinct(rows: Iterable[Row], count: int) -> list[Row]:
    """The first `count` rows that are not written alike.  Raises ValueError if there don't seem to be so many."""
    found: dict[str, Row] = {}
    for row in islice(rows, 20 * count):
        found.setdefault(row.written, row)
        if len(found) == count:
            break
    if len(found) < count:
        raise ValueError(f"there are only about {len(found):,} different lines for a set of {count:,}")
    return list(found.values())


def generate(
    directory: Path, *, seed: int = 1, train: int = 50_000, valid: int = 1_000, test: int = 2_000, unseen: int = 1_000
) -> DateSets:
    """Write the four sets and their manifest into `directory`, which is made; the same for the same seed and Babel.

    Sizes are in lines.  Raises ValueError if there are not so many different lines.
    """
    random, formats = Random(seed), all_formats()
    reader = Reader(formats)
    held_out = choose_held_out(formats, reader)
    seen = [form for form in formats if form not in held_out]
    *few, most = split_days(random, sizes=(HELD_DAYS, HELD_DAYS, HELD_DAYS))

    def never_seen(row: Row) -> bool:
        return all(form in held_out for form in reader.readings(row.written))

    sets = {
        "train": distinct(draw(seen, most, reader=reader, random=random), train),
        "valid": distinct(draw(seen, few[0], reader=reader, random=random), valid),
        "test": distinct(draw(seen, few[1], reader=reader, random=random), test),
        "unseen": distinct(filter(never_seen, draw(held_out, few[2], reader=reader, random=random)), unseen),
    }
    return write_sets(sets, directory, held_out=tuple((form.locale, form.name) for form in held_out))


def write_sets(sets: dict[str, list[Row]], directory: Path, *, held_out: tuple[tuple[str, str], ...]) -> DateSets:
    """Write `<set>.tsv` for each set, and `manifest.tsv`, which says for each of their lines where it comes from."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = {name: directory / f"{name}.tsv" for name in sets}
    for name, rows in sets.items():
        write_lines(paths[name], [f"{row.written}\t{row.iso}" for row in rows])
    manifest = directory / "manifest.tsv"
    write_lines(manifest, [f"{name}\t{row.locale}\t{row.format}" for name, rows in sets.items() for row in rows])
    return DateSets(**paths, manifest=manifest, held_out=held_out)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write UTF-8 lines, each ended by a line feed on every system."""
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
