"""What a batch is searched for, told to a search that sees the symbols of a shortlist only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seqloom.engines.base import Found, Request
from seqloom.search.narrowing import Numbering
from seqloom.search.shortlist import Shortlist

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Shortlisted:
    """The symbols of a batch of B sentences, V' of them, and what each of its sentences may be translated with."""

    numbering: Numbering
    allowed: NDArray[np.bool_]  # [B, V']
    request: Request  # in new numbers

    @staticmethod
    def of(shortlist: Shortlist, sources: Sequence[Sequence[int]], request: Request) -> Shortlisted:
        """Each sentence has the shortlist's symbols for it, and those that its translation is wished to have."""
        own = [np.union1d(shortlist.of_sentence(source), _wished(request, b)) for b, source in enumerate(sources)]
        numbering = Numbering(np.unique(np.concatenate(own)))
        allowed = np.zeros((len(own), len(numbering.symbols)), np.bool_)
        for row, symbols in zip(allowed, own, strict=True):
            row[np.searchsorted(numbering.symbols, symbols)] = True
        return Shortlisted(numbering, allowed, _renumbered(request, numbering))

    def undone(self, found: Found) -> Found:
        """What was found, in the vocabulary's own symbols."""
        return Found([*map(self.numbering.hypothesis, found.hypotheses)], self.numbering.trace(found.trace))


def _wished(request: Request, row: int) -> Ids:
    """The symbols of a sentence's prefix and phrases."""
    wished = [list(request.prefixes[row])] if request.prefixes else []
    for phrase in request.glossary.of[row] if request.glossary else ():
        wished += [list(words) for words in (*phrase.alternatives, *phrase.initial)]
    return np.array([symbol for words in wished for symbol in words], np.int64)


def _renumbered(request: Request, numbering: Numbering) -> Request:
    """The same wishes in new numbers; what can't be written anyway needn't be forbidden."""
    phrases = [numbering.inside(phrase) for phrase in request.forbidden_phrases if numbering.has(phrase)]
    return replace(
        request,
        forbidden=tuple(numbering.inside([symbol for symbol in request.forbidden if numbering.has([symbol])])),
        forbidden_phrases=phrases,
        prefixes=request.prefixes and [*map(numbering.inside, request.prefixes)],
        glossary=request.glossary and numbering.phrases(request.glossary),
        listener=_heard(request.listener, numbering),
    )


def _heard(
    listener: Callable[[Sequence[int]], None] | None, numbering: Numbering
) -> Callable[[Sequence[int]], None] | None:
    if listener is None:
        return None
    return lambda tokens: listener(numbering.outside(tokens))
