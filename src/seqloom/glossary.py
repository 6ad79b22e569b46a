"""Glossaries: what certain words of a source are to become, found in sentences and looked for in translations.

A word is what stands between blanks, punctuation and symbols; in a script that writes no blanks, each character is one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.data.text import read_lines
from seqloom.errors import DataError, UsageError
from seqloom.search.options import SearchOptions
from seqloom.search.phrases import Borders, Phrase
from seqloom.tokenizers import Tokenizer
from seqloom.tokenizers.borders import is_inner
from seqloom.vocabulary import BOS, EOS, UNK

ENDS = frozenset(".!?:…¡¿„“”\"'»«")  # a sentence may begin behind one of these
UNDECODED = "\ufffd"  # what one byte of a character looks like
REMEMBERED = 1 << 16  # terms
# Scripts without marks that are characters of their own, Latin, Greek and Cyrillic, are read much faster.
UNUSUAL = re.compile("[^\0-\u02ff\u0370-\u0482\u048a-\u052f\u1e00-\u1fff\u2010-\u2027\u2030-\u205e\u20a0-\u20c0]")
USUAL_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")


@dataclass(frozen=True)
class Term:
    """A word or more of the source, and what one of which its translation must have."""

    source: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class TermReport:
    """What became of a term that a sentence has."""

    source: str
    targets: tuple[str, ...]
    found: str | None  # the target that the translation has
    problem: str | None = None  # why it could not be asked for

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        told = {"source": self.source, "targets": list(self.targets), "found": self.found}
        return told if self.problem is None else told | {"problem": self.problem}


class Glossary:
    """Terms, to be found in sentences: the longest first, written the same if possible, else in any case."""

    def __init__(self, terms: Iterable[Term]):
        """Raises ValueError for a term without words, without targets, or given twice."""
        self.terms = tuple(terms)
        self._exact: dict[tuple[str, ...], Term] = {}
        for term in self.terms:
            words = tuple(words_of(term.source))
            if not words or not term.targets or not all(map(words_of, term.targets)):
                raise ValueError(f"a term needs a source and a target, got {term.source!r} and {term.targets!r}")
            if words in self._exact:
                raise ValueError(f"{term.source!r} is there already; a term has all its targets in one place")
            self._exact[words] = term
        self._folded: dict[tuple[str, ...], Term] = {}
        for words, term in self._exact.items():
            self._folded.setdefault(_folded(words), term)
        self._longest = max(map(len, self._exact), default=0)

    @classmethod
    def read(cls, path: Path | str) -> Glossary:
        """The terms in a file of lines SOURCE TAB TARGET, or with more targets behind more tabs: any of them will do.

        Empty lines and those that begin with # are passed over.  Raises DataError, naming the line, for any other.
        """
        terms: dict[tuple[str, ...], Term] = {}
        for number, line in enumerate(read_lines(path), 1):
            if (line or "").strip() and not (line or "").startswith("#"):
                term = _term(line or "", f"{path}: line {number}")
                if terms.setdefault(tuple(words_of(term.source)), term) is not term:
                    raise DataError(
                        f"{path}: line {number}: {term.source!r} is there already; write all targets of a term in one "
                        "line, with tabs between them"
                    )
        if not terms:
            raise DataError(f"{path} has no terms: a glossary has lines like source TAB target")
        return cls(terms.values())

    def find(self, text: str) -> list[Term]:
        """The terms that a text has as whole words, in its order; none overlaps another."""
        words, place, found = words_of(text), 0, []
        while place < len(words):
            term, length = self._at(words, place)
            place += length
            if term:
                found.append(term)
        return found

    def _at(self, words: Sequence[str], place: int) -> tuple[Term | None, int]:
        """The longest term that begins at a place, and how many words to go on by."""
        for length in range(min(self._longest, len(words) - place), 0, -1):
            here = tuple(words[place : place + length])
            if term := self._exact.get(here) or self._folded.get(_folded(here)):
                return term, length
        return None, 1


def words_of(text: str) -> list[str]:
    """The words of a text, and each of its other characters that is no blank."""
    text, found = unicodedata.normalize("NFC", text), []
    if not UNUSUAL.search(text):
        return USUAL_WORD.findall(text)
    for inner, characters in groupby(text, key=is_inner):
        if inner:
            found.append("".join(characters))
        else:
            found += (character for character in characters if not character.isspace())
    return found


def _folded(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.casefold() for word in words)


def _term(line: str, where: str) -> Term:
    source, *targets = [field.strip() for field in line.split("\t")]
    while targets and not targets[-1]:  # tabs at the end of a line, as tables leave them there
        targets.pop()
    if not source or not targets or not all(targets):
        raise DataError(f"{where}: a glossary has lines like source TAB target, or source TAB target TAB target")
    return Term(source, tuple(dict.fromkeys(targets)))


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class _Wording:
    """A term as a model writes it."""

    written: tuple[str, ...]  # the targets that it can write, as it does
    phrase: Phrase | None  # None if it can write none of them
    problem: str | None = None  # why it can't


@dataclass(frozen=True)
class Demand:
    """What one translation must say: the terms of its source, and why some of them can't be asked for."""

    terms: tuple[Term, ...] = ()
    problems: tuple[str | None, ...] = ()  # of each
    written: tuple[tuple[str, ...], ...] = ()  # of each
    phrases: tuple[Phrase, ...] = ()

    def report(self, text: str) -> list[TermReport]:
        """What became of each term; of one that is asked for twice, two must be there."""
        words = words_of(text)
        left = {written: _occurring(written, words) for written in self.written}
        found = (next(left[written], None) for written in self.written)
        return [
            TermReport(term.source, term.targets, here, None if here else problem)
            for term, here, problem in zip(self.terms, found, self.problems, strict=True)
        ]


class Wordings:
    """A glossary in the words of one model."""

    def __init__(self, glossary: Glossary, tokenizer: Tokenizer, borders: Borders, forbidden: Iterable[str] = ()):
        """No target is asked for that has one of the `forbidden` phrases."""
        self.glossary, self.borders, self._tokenizer = glossary, borders, tokenizer
        self._forbidden = [words for words in map(words_of, forbidden) if words]
        self._wording = lru_cache(REMEMBERED)(self._worded)

    def demand(self, source: str, room: int) -> Demand:
        """What the translation of a source must say, if it may have so many symbols."""
        terms = tuple(self.glossary.find(source))
        wordings = [self._wording(term) for term in terms]
        problems: list[str | None] = []
        counts: Counter[Phrase] = Counter()
        for wording in wordings:
            phrase, problem = wording.phrase, wording.problem
            if phrase is not None and phrase.length > room:
                problem = "the translation has no room for it"
            elif phrase is not None:
                room -= phrase.length
                counts[phrase] += 1
            problems.append(problem)
        phrases = tuple(replace(phrase, times=times) for phrase, times in counts.items())
        return Demand(terms, tuple(problems), tuple(wording.written for wording in wordings), phrases)

    def _worded(self, term: Term) -> _Wording:
        ways = {target: tuple(self._ways(target)) for target in term.targets}
        written = tuple(self._tokenizer.decode(found[0]) if found else target for target, found in ways.items())
        alternatives = tuple(dict.fromkeys(way for found in ways.values() for way in found))
        if not alternatives:
            every = all(map(self._is_forbidden, term.targets))
            return _Wording(written, None, "it is forbidden" if every else "the model has no symbols for it")
        initial = dict.fromkeys(way for target in term.targets for way in self._ways(_capitalised(target)))
        return _Wording(written, Phrase(alternatives, tuple(way for way in initial if way not in alternatives)))

    def _ways(self, text: str) -> Iterator[tuple[int, ...]]:
        """The symbols of a text at the beginning, behind a blank and behind a bracket, as far as they differ."""
        if self._is_forbidden(text):
            return
        known = self._tokenizer
        plain, opening, *behind = known.encode([text, "(", f"( {text}", f"({text}"])
        written = known.decode(plain).strip()
        rest = (ids[len(opening) :] for ids in behind if ids[: len(opening)] == opening)  # a bracket may be of a word
        ways = (plain, *(ids for ids in rest if known.decode(ids).strip() == written))
        for way in dict.fromkeys(map(tuple, ways)):
            if way and not self._unwritten & {*way}:
                yield way

    def _is_forbidden(self, text: str) -> bool:
        words = words_of(text)
        return any(
            words[start : start + len(those)] == those for those in self._forbidden for start in range(len(words))
        )

    @cached_property
    def _unwritten(self) -> frozenset[int]:
        known = self._tokenizer
        return frozenset((BOS, EOS, UNK, *known.vocabulary.ids([*known.tags, *known.unwritten])))


def _occurring(targets: Sequence[str], words: Sequence[str]) -> Iterator[str]:
    """Which of the targets the words of a text have, none overlapping another; what ends first counts first."""
    plain = {target: words_of(target) for target in sorted(targets, key=len, reverse=True)}
    initial = {target: words_of(_capitalised(target)) for target in plain}
    taken = 0
    for end in range(1, len(words) + 1):
        for target, those in plain.items():
            start = end - len(those)
            if start < taken or not those:
                continue
            begins = start == 0 or words[start - 1] in ENDS
            if words[start:end] in ([those, initial[target]] if begins else [those]):
                yield target
                taken = end
                break


def check_steerable(options: SearchOptions) -> None:
    """Raises UsageError unless a glossary can steer such a search."""
    if options.sample:
        raise UsageError("a glossary steers beam search, and nothing that is drawn; leave sample out")
    if getattr(options, "diverse_groups", 1) > 1:
        raise UsageError("a glossary steers one beam, not groups of it; leave diverse_groups out")


def borders_of(tokenizer: Tokenizer) -> Borders:
    """Where words begin and end in what a tokenizer's symbols stand for."""
    symbols = tokenizer.vocabulary.symbols
    roles = [tokenizer.role(symbol) for symbol in symbols]
    texts = [tokenizer.decode([i]) if i not in (BOS, EOS, UNK) else "" for i in range(len(symbols))]
    columns = {
        "opens": (role == "opens" for role in roles),
        "continues": (role == "continues" for role in roles),
        "first": (_of_word(text[:1]) for text in texts),
        "last": (_of_word(text[-1:]) for text in texts),
        "starts": (i == BOS or text[-1:] in ENDS for i, text in enumerate(texts)),
    }
    return Borders(**{name: np.fromiter(column, bool, len(symbols)) for name, column in columns.items()})


def _of_word(character: str) -> bool:
    return bool(character) and (character == UNDECODED or is_inner(character))
