"""The one way from text to text: sentences in, translations out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.dictionary import read_dictionary
from seqloom.data.lengths import cut
from seqloom.data.rows import tagged
from seqloom.engines.base import Engine, Found, Request
from seqloom.errors import UsageError
from seqloom.glossary import Demand, Glossary, TermReport, Wordings, borders_of, check_steerable
from seqloom.search.hypothesis import Hypothesis
from seqloom.search.options import SearchOptions
from seqloom.search.phrases import Borders, Phrases
from seqloom.search.trace import Trace
from seqloom.tokenizers import Tokenizers
from seqloom.vocabulary import BOS, UNK

WINDOW = 2000  # sentences sorted by length together; memory stays constant however many there are
BATCH_TOKENS = 4096  # source tokens, padding included, decoded together
BATCH_IMAGES = 32  # sources whose length is always the same, as that of images is
WINDOW_TOKENS = 8_000_000  # of such sources
CHARACTERS = 32  # the most that a token stands for; what lies beyond the longest source is not even looked at


@dataclass(frozen=True)
class Alternative:
    """One finished hypothesis as text."""

    text: str
    score: float
    tokens: list[str]
    attention: NDArray[np.float32] | None = field(default=None, repr=False)  # [L, H, T + 1, S + 1], both ends with eos


@dataclass(frozen=True)
class Translation:
    """What became of one source text; `alternatives` are the n best, the best first, and empty for an empty text."""

    source: str
    source_tokens: list[str]
    alternatives: list[Alternative]
    truncated: bool = False  # only the beginning of the source was used
    glossary: list[TermReport] | None = None  # what became of the terms that the source has, if there is a glossary
    trace: Trace | None = field(default=None, repr=False)  # of the search; its tokens are ids of target symbols

    @property
    def text(self) -> str:
        """The best translation."""
        return self.alternatives[0].text if self.alternatives else ""

    @property
    def score(self) -> float:
        """The score of the best translation; 0 for an empty text."""
        return self.alternatives[0].score if self.alternatives else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        ranked = [{"text": a.text, "score": a.score, "tokens": a.tokens} for a in self.alternatives]
        told = {
            "source": self.source,
            "target": self.text,
            "score": self.score,
            "source_tokens": self.source_tokens,
            "alternatives": ranked,
            "truncated": self.truncated,
        }
        return told if self.glossary is None else told | {"glossary": [term.as_dict() for term in self.glossary]}


@dataclass(frozen=True)
class _Asked:
    """What is to be found out about every sentence of a call."""

    options: SearchOptions
    attention: bool
    trace: bool
    dictionary: Mapping[str, str]
    wordings: Wordings | None

    @property
    def copies(self) -> bool:
        return self.options.unknown == "copy"


class Translator:
    """A trained model, whatever engine runs it, with its tokenizers."""

    def __init__(self, engine: Engine, tokenizers: Tokenizers, options: SearchOptions):
        self.engine, self.tokenizers, self.options = engine, tokenizers, options

    @cached_property
    def _borders(self) -> Borders:
        return borders_of(self.tokenizers.target)

    def translate(
        self,
        sentences: Sequence[str],
        options: SearchOptions | None = None,
        *,
        tag: str | None = None,
        glossary: Glossary | None = None,
        attention: bool = False,
        trace: bool = False,
    ) -> list[Translation]:
        """Translate each sentence, whatever the others are; on request keep `attention`, and a `trace` of the search.

        A `tag` is put before each sentence.  Where a sentence has terms of the `glossary`, its translation has what
        they are to become, in every alternative.  Raises DataError for a faulty dictionary, and UsageError if the model
        doesn't know the tag, `unknown: copy` meets a model without attention, or a glossary is to steer something else
        than a plain beam.
        """
        return list(self.stream(sentences, options, tag=tag, glossary=glossary, attention=attention, trace=trace))

    def stream(
        self,
        sentences: Iterable[str],
        options: SearchOptions | None = None,
        *,
        tag: str | None = None,
        glossary: Glossary | None = None,
        attention: bool = False,
        trace: bool = False,
        first: int = 0,
    ) -> Iterator[Translation]:
        """The same for any number of sentences, in constant memory and in their order.

        What is drawn at random for a sentence depends on its number in the text; `first` is that of the first one here.
        """
        self.check_tag(tag)
        remaining, options = (tagged(sentence, tag) for sentence in sentences), options or self.options
        asked = _Asked(
            options,
            attention,
            trace,
            read_dictionary(options.dictionary) if options.dictionary else {},
            self._wordings(glossary, options),
        )
        length = self.tokenizers.source.length
        size = min(WINDOW, max(1, WINDOW_TOKENS // length)) if length else WINDOW
        while window := list(islice(remaining, size)):
            yield from self._window(window, asked, first)
            first += len(window)

    def check_tag(self, tag: str | None) -> None:
        """Raises UsageError unless this is a tag of the training data, or None."""
        known = self.tokenizers.source.tags
        if tag is None or tag in known:
            return
        if not known:
            raise UsageError(f"this model was trained without tags, so it can't be told {tag!r}")
        raise UsageError(f"this model knows no tag {tag!r}; its tags are {', '.join(known)}")

    def _window(self, sentences: list[str], asked: _Asked, first: int) -> list[Translation]:
        limit = self.tokenizers.source.length or asked.options.max_source_length
        encoded = self.tokenizers.source.encode([sentence[: limit * CHARACTERS] for sentence in sentences])
        results = [
            Translation(sentence, [], [], truncated=len(ids) > limit or len(sentence) > limit * CHARACTERS)
            for sentence, ids in zip(sentences, encoded, strict=True)
        ]
        sources = [ids[:limit] for ids in encoded]
        order = np.argsort([len(ids) for ids in sources], kind="stable")
        order = order[[len(sources[i]) > 0 for i in order]]
        if not len(order):
            return results
        for rows in self._batches(order, sources):
            demands = [self._demand(results[i], sources[i], asked) for i in rows]
            founds = self._search([sources[i] for i in rows], asked, demands, (rows + first).tolist())
            for i, found, demand in zip(rows, founds, demands, strict=True):
                done = self._translation(results[i], sources[i], found, asked)
                results[i] = replace(done, glossary=demand.report(done.text)) if asked.wordings else done
        return results

    def _batches(self, order: NDArray[np.int64], sources: list[list[int]]) -> list[NDArray[np.int64]]:
        """Which sources are searched together, given their order by length."""
        if self.engine.makes_batches:
            return [order]
        length = self.tokenizers.source.length
        lengths = np.array([BATCH_TOKENS // BATCH_IMAGES if length else len(sources[i]) + 1 for i in order])
        return np.split(order, cut(lengths, BATCH_TOKENS)[1:-1])

    def _wordings(self, glossary: Glossary | None, options: SearchOptions) -> Wordings | None:
        if glossary is None:
            return None
        check_steerable(options)
        if self.tokenizers.source.of_files:
            raise UsageError("a glossary needs sources of text, and those of this model are files")
        return Wordings(glossary, self.tokenizers.target, self._borders)

    def _demand(self, before: Translation, source: list[int], asked: _Asked) -> Demand:
        if asked.wordings is None:
            return Demand()
        known = self.tokenizers.source
        text = known.decode(source) if before.truncated else known.restore(before.source)
        return asked.wordings.demand(text, asked.options.limit(len(source) + 1) - 1)

    def _search(
        self, sources: list[list[int]], asked: _Asked, demands: list[Demand], numbers: list[int]
    ) -> list[Found]:
        target = self.tokenizers.target
        never = target.vocabulary.ids([*target.tags, *target.unwritten])  # tags are for sources
        request = Request(
            options=asked.options,
            forbidden=(BOS, UNK, *never) if asked.options.unknown == "never" else (BOS, *never),
            attention=asked.attention or asked.copies,
            trace=asked.trace,
            phrases=Phrases([demand.phrases for demand in demands], self._borders) if asked.wordings else None,
            numbers=numbers,
        )
        return self.engine.search(sources, request)

    def _translation(self, before: Translation, source: list[int], found: Found, asked: _Asked) -> Translation:
        written = self._written(before.source, len(source), asked) if asked.copies else []
        tokens = self.tokenizers.source.tokens(source)
        positions = len(self.engine.labels([*tokens, "the end"]))
        alternatives = [self._alternative(one, positions, written, asked) for one in found.hypotheses]
        return replace(before, source_tokens=self.engine.labels(tokens), alternatives=alternatives, trace=found.trace)

    def _written(self, sentence: str, length: int, asked: _Asked) -> list[str]:
        """What each source position may be copied as, [S]."""
        if self.tokenizers.source.of_files:
            raise UsageError("unknown: copy needs a source of text, and this one is of files; choose never or show")
        pieces = self.tokenizers.source.written(sentence[: asked.options.max_source_length * CHARACTERS])[:length]
        words = [piece.strip() or piece for piece in pieces]  # a blank may be a token
        return self.engine.labels([asked.dictionary.get(word, word) for word in words])

    def _alternative(self, found: Hypothesis, positions: int, written: list[str], asked: _Asked) -> Alternative:
        target, weights = self.tokenizers.target, found.attention
        shown = None if weights is None else weights[..., :positions]
        text, tokens = target.decode(found.tokens), target.tokens(found.tokens)
        if asked.copies:
            copies = _copies(found.tokens, shown, written)
            text = target.filled(found.tokens, list(copies.values()))
            tokens = [copies.get(t, token) for t, token in enumerate(tokens)]
        return Alternative(text, found.score, tokens, shown if asked.attention else None)


def _copies(tokens: list[int], attention: NDArray[np.float32] | None, written: list[str]) -> dict[int, str]:
    """What stands in the place of each unknown token, by its position; the weights are [L, H, T + 1, S + 1]."""
    if attention is None:
        raise UsageError("unknown: copy needs attention over the source, and this model has none; choose never or show")
    looked_at = attention.mean((0, 1))[:, : len(written)].argmax(-1)  # [T + 1], never the end sign
    return {t: written[looked_at[t]] for t, token in enumerate(tokens) if token == UNK}
