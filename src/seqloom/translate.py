"""The one way from text to text: sentences in, translations out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, repeat, zip_longest

import numpy as np
from numpy.typing import NDArray

from seqloom.data.dictionary import read_dictionary
from seqloom.data.lengths import cut_among
from seqloom.data.phrases import read_phrases
from seqloom.data.rows import tagged
from seqloom.data.text import cannot_read
from seqloom.engines.base import Engine, Request
from seqloom.engines.listening import overheard
from seqloom.errors import UsageError
from seqloom.glossary import Demand, Glossary, Wordings, borders_of, check_steerable
from seqloom.guard import Guard, Guarded
from seqloom.rendering import CHARACTERS, Asked, Renderer
from seqloom.scoring import Scored, Scorer
from seqloom.search.options import SearchOptions
from seqloom.search.phrases import Borders, Phrases
from seqloom.tokenizers import Tokenizers
from seqloom.translation import Alternative as Alternative
from seqloom.translation import Translation as Translation
from seqloom.vocabulary import BOS, UNK

WINDOW = 2000  # sentences sorted by length together; memory stays constant however many there are
BATCH_IMAGES = 32  # sources whose length is always the same, as that of images is
WINDOW_TOKENS = 8_000_000  # of such sources
HALF = "\ufffd"  # what a character is shown as while some of its bytes are still to come


@dataclass(frozen=True, kw_only=True)
class _Asked(Asked):
    """What is to be found out about every sentence of a call."""

    forbidden: list[list[int]]  # symbols and sequences of symbols
    wordings: Wordings | None
    trace: bool = False
    listener: Callable[[Sequence[int]], None] | None = None  # told how the only sentence goes on
    guard: Guard | None = None


class Translator:
    """A trained model, whatever engine runs it, with its tokenizers."""

    def __init__(self, engine: Engine, tokenizers: Tokenizers, options: SearchOptions):
        self.engine, self.tokenizers, self.options = engine, tokenizers, options

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer(self.engine, self.tokenizers)

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
        prefixes: Sequence[str] | None = None,
        guard: Guard | None = None,
        attention: bool = False,
        trace: bool = False,
        words: bool = False,
    ) -> list[Translation]:
        """Translate each sentence, whatever the others are.

        On request keep `attention` and a `trace` of the search, and find the `words` of both sides.  A `tag` is put
        before each sentence.  The translation of each begins with its prefix, where there are `prefixes`, except that
        what is empty stays empty.  Where a sentence has terms of the `glossary`, its translation has what
        they are to become, in every alternative.  Raises DataError for a faulty dictionary, and UsageError if the model
        doesn't know the tag, `unknown: copy` meets a model without attention, or a glossary is to steer something else
        than a plain beam.  A `guard` looks for degenerate translations and has them searched for again.  Raises
        ValueError for another number of prefixes than of sentences, and TypeError for a string in place of several.
        """
        asked = {"attention": attention, "trace": trace, "words": words}
        wishes = self.stream(sentences, options, tag=tag, glossary=glossary, prefixes=prefixes, guard=guard, **asked)
        return list(wishes)

    def stream(
        self,
        sentences: Iterable[str],
        options: SearchOptions | None = None,
        *,
        tag: str | None = None,
        glossary: Glossary | None = None,
        prefixes: Iterable[str] | None = None,
        guard: Guard | None = None,
        attention: bool = False,
        trace: bool = False,
        words: bool = False,
        first: int = 0,
    ) -> Iterator[Translation]:
        """The same for any number of sentences, in constant memory and in their order.

        What is drawn at random for a sentence depends on its number in the text; `first` is that of the first one here.
        """
        self.check_tag(tag)
        remaining = ((tagged(text, tag), begun) for text, begun in _begun(sentences, prefixes))
        asked = self._asked(options or self.options, glossary)
        asked = replace(asked, attention=attention, trace=trace, words=words)
        asked, length = replace(asked, guard=guard), self.tokenizers.source.length
        size = min(WINDOW, max(1, WINDOW_TOKENS // length)) if length else WINDOW
        while window := list(islice(remaining, size)):
            yield from self._window(window, asked, first)
            first += len(window)

    def stream_tokens(
        self, sentence: str, options: SearchOptions | None = None, *, tag: str | None = None
    ) -> Iterator[str]:
        """A sentence's translation as it comes: all of it so far, again and again; the last is that of `translate`.

        What was said may still change, unless the beam size is 1.  An engine that can't tell says all at the end.
        Raises what `translate` does.
        """
        self.check_tag(tag)
        asked, line = self._asked(options or self.options), (tagged(sentence, tag), "")

        def work(listener: Callable[[Sequence[int]], None]) -> str:
            return self._window([line], replace(asked, listener=listener), 0)[0].text

        before = None
        for told in overheard(work):
            text = told if isinstance(told, str) else self.tokenizers.target.decode(told).rstrip(HALF)
            if text != before:
                yield text
            before = text

    def score(
        self, pairs: Iterable[tuple[str, str]], options: SearchOptions | None = None, *, tag: str | None = None
    ) -> Iterator[Scored]:
        """What the model says of each target, given its source; in constant memory and in their order.

        Targets are cut into tokens as the tokenizer cuts them, which need not be as a search would have written them.
        The score is normalised as `options` say, a coverage penalty apart.  Raises UsageError as `stream` does, and for
        an engine that can't score.
        """
        self.check_tag(tag)
        scorer = Scorer(self.engine, self.tokenizers, options or self.options)
        return scorer.scores((tagged(source, tag), target) for source, target in pairs)

    def truncates(self, sentence: str, options: SearchOptions | None = None, *, tag: str | None = None) -> bool:
        """Whether a sentence is too long for the model, so that only its beginning is translated."""
        _, (truncated,) = self._read([tagged(sentence, tag)], options or self.options)
        return truncated

    def check(self, options: SearchOptions, tag: str | None = None) -> None:
        """Raises UsageError for a tag and DataError for a missing file, so that nobody types anything in vain."""
        self.check_tag(tag)
        for path in (options.dictionary, options.forbid_file):
            if path is not None and not path.exists():
                raise cannot_read(path, FileNotFoundError())

    def check_tag(self, tag: str | None) -> None:
        """Raises UsageError unless this is a tag of the training data, or None."""
        known = self.tokenizers.source.tags
        if tag is None or tag in known:
            return
        if not known:
            raise UsageError(f"this model was trained without tags, so it can't be told {tag!r}")
        raise UsageError(f"this model knows no tag {tag!r}; its tags are {', '.join(known)}")

    def _asked(self, options: SearchOptions, glossary: Glossary | None = None) -> _Asked:
        dictionary = read_dictionary(options.dictionary) if options.dictionary else {}
        forbidden, wordings = self._forbidden(options), self._wordings(glossary, options)
        return _Asked(options=options, dictionary=dictionary, forbidden=forbidden, wordings=wordings)

    def _window(self, lines: list[tuple[str, str]], asked: _Asked, first: int) -> list[Translation]:
        sentences, prefixes = (list(column) for column in zip(*lines, strict=True))
        blank = Translation("", [], [], glossary=[] if asked.wordings else None, warnings=() if asked.guard else None)
        blank = replace(blank, source_words=[] if asked.words else None)
        sources, truncated = self._read(sentences, asked.options)
        results = [
            replace(blank, source=sentence, truncated=cut) for sentence, cut in zip(sentences, truncated, strict=True)
        ]
        order = np.argsort([len(ids) for ids in sources], kind="stable")
        order = order[[len(sources[i]) > 0 for i in order]]
        if not len(order):
            return results
        begun = self.tokenizers.target.encode(prefixes) if any(prefixes) else None

        def search(rows: NDArray[np.int64]) -> Iterator[tuple[int, Guarded, Demand]]:
            demands = [self._demand(results[i], sources[i], asked) for i in rows]
            request = replace(self._request(asked, demands), numbers=(rows + first).tolist())
            request = replace(request, prefixes=begun and [begun[i] for i in rows])
            founds = self._searched([results[i] for i in rows], [sources[i] for i in rows], request, asked)
            return zip(rows.tolist(), founds, demands, strict=True)

        for batch in self.engine.at_once(search, self._batches(order, sources, asked.options)):
            for i, one, demand in batch:
                done = self._renderer.translation(results[i], sources[i], prefixes[i], one.found, asked)
                if asked.guard:
                    done = replace(done, warnings=one.warnings, redecoded=one.redecoded)
                results[i] = replace(done, glossary=demand.report(done.text)) if asked.wordings else done
        return results

    def _read(self, sentences: Sequence[str], options: SearchOptions) -> tuple[list[list[int]], list[bool]]:
        """The ids of each sentence, so many at most, and whether it has more."""
        limit = self.tokenizers.source.length or options.max_source_length
        encoded = self.tokenizers.source.encode([sentence[: limit * CHARACTERS] for sentence in sentences])
        truncated = [
            len(ids) > limit or len(sentence) > limit * CHARACTERS
            for sentence, ids in zip(sentences, encoded, strict=True)
        ]
        return [ids[:limit] for ids in encoded], truncated

    def _batches(
        self, order: NDArray[np.int64], sources: list[list[int]], options: SearchOptions
    ) -> list[NDArray[np.int64]]:
        """Which sources are searched together, given their order by length."""
        if self.engine.makes_batches:
            return [order]
        length = self.tokenizers.source.length
        most = self.engine.batch_tokens(options)
        lengths = np.array([most // BATCH_IMAGES if length else len(sources[i]) + 1 for i in order])
        return np.split(order, cut_among(lengths, most, self.engine.workers)[1:-1])

    def _wordings(self, glossary: Glossary | None, options: SearchOptions) -> Wordings | None:
        if glossary is None:
            return None
        check_steerable(options)
        if self.tokenizers.source.of_files:
            raise UsageError("a glossary needs sources of text, and those of this model are files")
        return Wordings(glossary, self.tokenizers.target, self._borders, _forbidden_phrases(options))

    def _demand(self, before: Translation, source: list[int], asked: _Asked) -> Demand:
        if asked.wordings is None:
            return Demand()
        return asked.wordings.demand(self._text(before, source), asked.options.limit(len(source) + 1) - 1)

    def _text(self, before: Translation, source: list[int]) -> str:
        """What a source says, as far as it is read and without its tags; nothing where it is no text."""
        known = self.tokenizers.source
        text = "" if known.of_files else known.decode(source) if before.truncated else known.restore(before.source)
        while tag := next((tag for tag in known.tags if text.startswith(tag)), None):
            text = text[len(tag) :].lstrip()
        return text

    def _searched(
        self, before: list[Translation], sources: list[list[int]], request: Request, asked: _Asked
    ) -> list[Guarded]:
        if asked.guard is None:
            return [Guarded(found) for found in self.engine.search(sources, request)]
        texts = [self._text(*pair) for pair in zip(before, sources, strict=True)]
        return asked.guard.watched(self.engine, sources, texts, request, self.tokenizers.target.decode)

    def _forbidden(self, options: SearchOptions) -> list[list[int]]:
        spellings = self.tokenizers.target.spellings
        return [ids for phrase in _forbidden_phrases(options) for ids in spellings(phrase)]

    def _request(self, asked: _Asked, demands: list[Demand]) -> Request:
        target = self.tokenizers.target
        never = target.vocabulary.ids([*target.tags, *target.unwritten])  # tags are for sources
        unknown = (UNK,) if asked.options.unknown == "never" else ()
        return Request(
            options=asked.options,
            forbidden=(BOS, *unknown, *never, *(ids[0] for ids in asked.forbidden if len(ids) == 1)),
            forbidden_phrases=tuple(ids for ids in asked.forbidden if len(ids) > 1),
            attention=asked.attention or asked.copies,
            confidence=asked.words,
            trace=asked.trace,
            listener=asked.listener,
            glossary=Phrases([demand.phrases for demand in demands], self._borders) if asked.wordings else None,
        )


def _begun(sentences: Iterable[str], prefixes: Iterable[str] | None) -> Iterator[tuple[str, str]]:
    for name, texts in (("sentences", sentences), ("prefixes", prefixes)):
        if isinstance(texts, str):
            raise TypeError(f"{name} must be several texts, as in [{texts[:20]!r}], and not one string")
    if prefixes is None:
        yield from zip(sentences, repeat(""))
        return
    for sentence, prefix in zip_longest(sentences, prefixes):
        if sentence is None or prefix is None:
            raise ValueError("there must be as many prefixes as sentences; a prefix may be empty")
        yield sentence, prefix


def _forbidden_phrases(options: SearchOptions) -> list[str]:
    return [*options.forbid, *(read_phrases(options.forbid_file) if options.forbid_file else ())]
