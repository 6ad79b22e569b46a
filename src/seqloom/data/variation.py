"""What changes about a pair from one time that it is drawn to the next: noise, and how its words are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqloom.data.corpora import DataOptions, both
from seqloom.data.noising import Ids, Noising
from seqloom.data.permutation import Integers, Words, key_of, mixed
from seqloom.tokenizers import Tokenizer, Tokenizers

Pairs = list[tuple[Ids, Ids]]
NOISE, SOURCE, TARGET = -3, -4, -5  # what a key is for, beside what `batches` has keys for


@dataclass(frozen=True)
class Variation:
    """Cuts both sides of pairs anew, then makes noise on the sources.

    `noisings` has one for each corpus, or None for a corpus that stays as it is; `sampling` is the `share` that
    `Tokenizer.sampled` takes for each side, 0 for one that stays as it is.  All is a function of `seed` and of a pair's
    place in its corpus's endless order.
    """

    tokenizers: Tokenizers
    noisings: Sequence[Noising | None]
    sampling: tuple[float, float] = (0.0, 0.0)
    max_length: tuple[int, int] = (256, 256)  # a text that would become longer stays as it is
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises UsageError if a side that is to be cut anew can't be."""
        for tokenizer, share in zip((self.tokenizers.source, self.tokenizers.target), self.sampling, strict=True):
            if share:
                tokenizer.sampled([], share=share, keys=[])

    def __call__(self, pairs: Pairs, *, corpora: Integers, places: Integers) -> Pairs:
        """The pairs, changed; `corpora` and `places` [B] say where each was drawn."""
        sources, targets = (list(side) for side in zip(*pairs, strict=True))
        sources = self._sampled(sources, 0, self._keys(SOURCE, corpora, places))
        targets = self._sampled(targets, 1, self._keys(TARGET, corpora, places))
        for number, noising in enumerate(self.noisings):
            own = np.flatnonzero(corpora == number)
            if noising is not None and len(own):
                for place, noisy in zip(own, noising([sources[i] for i in own], places[own]), strict=True):
                    sources[place] = noisy
        return list(zip(sources, targets, strict=True))

    def _keys(self, purpose: int, corpora: Integers, places: Integers) -> Words:
        own = np.array([key_of(self.seed, purpose, number) for number in range(len(self.noisings))], np.uint64)
        return mixed(places.astype(np.uint64) + own[corpora])

    def _sampled(self, rows: list[Ids], side: int, keys: Words) -> list[Ids]:
        if not self.sampling[side]:
            return rows
        tokenizer: Tokenizer = (self.tokenizers.source, self.tokenizers.target)[side]
        drawn = tokenizer.sampled([row.tolist() for row in rows], share=self.sampling[side], keys=keys.tolist())
        return [
            np.array(new, row.dtype) if 0 < len(new) <= self.max_length[side] else row
            for new, row in zip(drawn, rows, strict=True)
        ]


def variation_of(data: DataOptions, tokenizers: Tokenizers, *, seed: int) -> Variation | None:
    """What these options say of the training pairs; None if they are always the same.

    Raises UsageError if the tokenizers can't do it.
    """
    chosen = [data.noise if corpus.noise is None else corpus.noise for corpus in data.train_corpora]
    if not any(chosen) and not any(data.sampling):
        return None
    noisings = [
        Noising([make() for make in kinds], tokenizers.source, key=key_of(seed, NOISE, number)) if kinds else None
        for number, kinds in enumerate(chosen)
    ]
    return Variation(tokenizers, noisings, data.sampling, both(data.max_length), seed)
