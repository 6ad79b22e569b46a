"""A guard against degenerate translations: it knows them when it sees them, and lets them be searched for again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from seqloom.engines.base import Engine, Found, Request
from seqloom.glossary import words_of
from seqloom.search.hypothesis import Hypothesis
from seqloom.search.options import SearchOptions

Fault = Literal["empty", "copy", "repetition", "length"]
NGRAM = 4  # words that don't come as often as this by chance
OFTEN = 3  # times that words stand in a row, or so many of them anywhere
CYCLE = 30  # words, the longest that is looked for in a row
MARKS, SYLLABLES = 10, 4  # in a row: a full stop many times, a syllable within a word
LONG_WORD = 10  # letters; within shorter ones nothing is looked for
LOOKED_AT = 2000  # letters of a word, or words of a text
ADDRESS = frozenset("/@:.")  # within what blanks divide: of a page, a file, a mailbox
COPIED = 3  # words that are neither names nor numbers
SURE = 1.0  # nats a token that a second translation of what was copied may be less likely
TIMES, MORE = 2.0, 10  # tokens: so much longer than the training data make one expect


@dataclass(frozen=True)
class Guarded:
    """What was found for a source in the end, what was wrong with what was found first, and whether that was it."""

    found: Found
    warnings: tuple[Fault, ...] = ()
    redecoded: bool = False


@dataclass(frozen=True)
class Guard:
    """Looks at the best translation of each sentence.

    - repetition: words stand in a row at least three times, or four words come as often anywhere, or a syllable comes
      four times in a row within a word, or marks ten times; each of them two times more than in the source at least.
    - length: it ends only because it must, `max_length` apart; or, where the `ratio` of target tokens to source tokens
      in the training data is known, it has more than twice as many as that, and ten.
    - copy: its words are the source's, and at least three of these are no names, numbers or addresses.
    - empty: it has no words, and the source has some.

    Then it is searched for once more, without sequences of three tokens that come twice; if that doesn't help, without
    any two.  What was a copy may have no two tokens side by side that it had, and what was empty has at least one.  The
    translation that least is wrong with is kept, of equal ones the first.  A model that copies because it was taught to
    is sure of it: in place of a copy, only what the model finds not much less likely is taken.
    """

    ratio: float | None = None

    def watched(
        self,
        engine: Engine,
        sources: Sequence[Sequence[int]],
        texts: Sequence[str],
        request: Request,
        decode: Callable[[Sequence[int]], str],
    ) -> list[Guarded]:
        """What the engine finds for sources, which stand for these texts, with another search where it must be."""
        looks = [
            _Look(self, text, request.options, len(source) + 1, decode)
            for text, source in zip(texts, sources, strict=True)
        ]
        first = engine.search(sources, request)
        results = [Guarded(found, look(found)) for look, found in zip(looks, first, strict=True)]
        left = [row for row, result in enumerate(results) if result.warnings]
        if request.options.sample or request.trace or not left:
            return results
        for ngram in (3, 2):
            for rows, changed in _again(left, results, request, ngram):
                if engine.refusal(changed):
                    continue
                for row, found in zip(rows, engine.search_again([sources[row] for row in rows], changed), strict=True):
                    results[row] = _better(results[row], found, looks[row])
            left = [row for row in left if looks[row](results[row].found)]
        return results


@dataclass(frozen=True)
class _Look:
    """Says what is wrong with translations of one source."""

    guard: Guard
    source: str
    options: SearchOptions
    length: int  # of the source, its end included
    decode: Callable[[Sequence[int]], str]

    def __call__(self, found: Found) -> tuple[Fault, ...]:
        if not found.hypotheses or self.options.max_length == 1:  # which has room for the end only
            return ()
        tokens = found.hypotheses[0].tokens
        wrong = of_texts(self.source, self.decode(tokens))
        return (*wrong, "length") if self._is_long(len(tokens) + 1) else wrong

    def _is_long(self, length: int) -> bool:
        ratio, limit, least = self.guard.ratio, self.options.limit(self.length), self.options.min_length
        must_end = self.options.max_length is None and length >= limit > least
        return must_end or (ratio is not None and length > TIMES * max(ratio * self.length, least) + MORE)


def of_texts(source: str, target: str) -> tuple[Fault, ...]:
    """What is wrong with a target as text, whatever made it; `source` is empty where it is no text."""
    here, there = _Words.of(source), _Words.of(target)
    if here.words and not there.words:
        return ("empty",)
    found: list[Fault] = []
    if here.words == there.words and _common(target) >= COPIED:
        found.append("copy")
    if there.repeats_more_than(here):
        found.append("repetition")
    return tuple(found)


@dataclass(frozen=True)
class _Words:
    """The words of a text, in lower case, and the marks between them."""

    words: list[str]
    marks: list[str]

    @classmethod
    def of(cls, text: str) -> _Words:
        parts = words_of(text)[:LOOKED_AT]
        words = [part.casefold() for part in parts if part[0].isalnum()]
        return cls(words, [part for part in parts if not part[0].isalnum()])

    def repeats_more_than(self, source: _Words) -> bool:
        """Whether more of it comes again than by chance, or because the source does so."""
        return any(
            (most := measure(self)) >= least and most >= measure(source) + 2
            for measure, least in (
                (_Words._in_a_row, OFTEN),
                (_Words._often, OFTEN),
                (_Words._marks_in_a_row, MARKS),
                (_Words._syllables, SYLLABLES),
            )
        )

    def _in_a_row(self) -> int:
        return in_a_row(self.words, CYCLE) if self._may_repeat() else 1

    def _may_repeat(self) -> bool:
        return len(self.words) - len({*self.words}) > 1  # what stands there three times comes again twice

    def _often(self) -> int:
        if not self._may_repeat():
            return 0
        counts = Counter(zip(*(self.words[start:] for start in range(NGRAM)), strict=False))
        return max(counts.values(), default=0)

    def _marks_in_a_row(self) -> int:
        return in_a_row(self.marks, 2) if len(self.marks) >= MARKS else 0

    def _syllables(self) -> int:
        long = (word[:LOOKED_AT] for word in self.words if len(word) > LONG_WORD and not word.isdigit())
        return max((in_a_row(word, 6, shortest=2) for word in long), default=0)


def _common(text: str) -> int:
    """How many words of a text are neither numbers nor part of an address, nor written as names are."""
    plain = (part for part in text.split() if not ADDRESS.intersection(part[:-1]))
    return sum(word[0].isalpha() and not word[0].isupper() for part in plain for word in words_of(part))


def in_a_row(things: Sequence[str], longest: int, shortest: int = 1) -> int:
    """How often the same things, at most so many of them, stand one behind the other: 3 in "a b a b a b"."""
    most = min(1, len(things))
    for cycle in range(shortest, min(longest, len(things) // 2) + 1):
        run = 0
        for one, other in zip(things, things[cycle:], strict=False):
            run = run + 1 if one == other else 0
            most = max(most, run // cycle + 1)
    return most


def _again(
    rows: Sequence[int], results: Sequence[Guarded], request: Request, ngram: int
) -> list[tuple[list[int], Request]]:
    """Requests for the rows with something wrong; those that are to be unlike what they copied, each by itself."""
    options = request.options
    stricter = replace(options, no_repeat_ngram=min(ngram, options.no_repeat_ngram or ngram))
    if stricter.max_length is None or stricter.max_length > 1:
        stricter = replace(stricter, min_length=max(options.min_length, 2))
    copies = [row for row in rows if "copy" in results[row].warnings]
    others = [row for row in rows if row not in copies]
    requests = [(others, replace(request.only(others), options=stricter))] if others else []
    for row in copies if ngram == 3 else ():
        tokens = results[row].found.hypotheses[0].tokens
        forbidden = [*request.forbidden_phrases, *map(list, pairwise(tokens))]
        requests.append(([row], replace(request.only([row]), options=stricter, forbidden_phrases=forbidden)))
    return requests


def _better(before: Guarded, found: Found, look: _Look) -> Guarded:
    """What is kept of two translations."""
    if not found.hypotheses or len(look(found)) >= len(look(before.found)):
        return before
    if "copy" in before.warnings and _likely(found.hypotheses[0]) < _likely(before.found.hypotheses[0]) - SURE:
        return before
    return replace(before, found=found, redecoded=True)


def _likely(hypothesis: Hypothesis) -> float:
    """The mean log-probability of its tokens, the end included."""
    return hypothesis.log_prob / (len(hypothesis.tokens) + 1)
