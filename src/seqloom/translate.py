"""The one way from text to text: sentences in, translations out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqloom.data.batches import collate_source, cut
from seqloom.models.base import Model
from seqloom.search.beam import Hypothesis, SearchOptions, beam_search
from seqloom.search.rules import Forbid
from seqloom.tokenizers import Tokenizers
from seqloom.vocabulary import BOS, UNK

WINDOW = 2000  # sentences sorted by length together; memory stays constant however many there are
BATCH_TOKENS = 4096  # source tokens, padding included, decoded together
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
        return {
            "source": self.source,
            "target": self.text,
            "score": self.score,
            "source_tokens": self.source_tokens,
            "alternatives": ranked,
            "truncated": self.truncated,
        }


class Translator:
    """A trained model with its tokenizers."""

    def __init__(
        self, model: Model, tokenizers: Tokenizers, options: SearchOptions, *, device: torch.device | str = "cpu"
    ):
        self.model, self.tokenizers, self.options, self.device = model.to(device), tokenizers, options, device

    def translate(
        self, sentences: Sequence[str], options: SearchOptions | None = None, *, attention: bool = False
    ) -> list[Translation]:
        """Translate each sentence, whatever the others are; `attention` keeps what was looked at."""
        return list(self.stream(sentences, options, attention=attention))

    def stream(
        self, sentences: Iterable[str], options: SearchOptions | None = None, *, attention: bool = False
    ) -> Iterator[Translation]:
        """The same for any number of sentences, in constant memory and in their order."""
        remaining, options = iter(sentences), options or self.options
        while window := list(islice(remaining, WINDOW)):
            yield from self._window(window, options, attention)

    def _window(self, sentences: list[str], options: SearchOptions, attention: bool) -> list[Translation]:
        limit = options.max_source_length
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
        lengths = np.array([len(sources[i]) + 1 for i in order])
        for rows in np.split(order, cut(lengths, BATCH_TOKENS)[1:-1]):
            for i, hypotheses in zip(rows, self._search([sources[i] for i in rows], options, attention), strict=True):
                results[i] = self._translation(results[i], sources[i], hypotheses)
        return results

    @torch.inference_mode()
    def _search(self, sources: list[list[int]], options: SearchOptions, attention: bool) -> list[list[Hypothesis]]:
        encoded = self.model.encode(collate_source(sources).to(self.device))
        rules = [Forbid([BOS, UNK])]
        return beam_search(self.model.decoder, encoded, options, rules=rules, attention=attention)

    def _translation(self, before: Translation, source: list[int], hypotheses: list[Hypothesis]) -> Translation:
        tokens = self.tokenizers.source.tokens(source)
        alternatives = [self._alternative(hypothesis, len(source) + 1) for hypothesis in hypotheses]
        return Translation(before.source, tokens, alternatives, before.truncated)

    def _alternative(self, hypothesis: Hypothesis, source_length: int) -> Alternative:
        target, weights = self.tokenizers.target, hypothesis.attention
        shown = None if weights is None else weights[..., :source_length].float().cpu().numpy()
        return Alternative(target.decode(hypothesis.tokens), hypothesis.score, target.tokens(hypothesis.tokens), shown)
