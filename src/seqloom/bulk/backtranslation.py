"""Back-translation: monolingual text of the target language, and what it may have been translated from.

https://arxiv.org/abs/1511.06709; the five ways to search are those of https://arxiv.org/abs/1808.09381, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from seqloom.bulk.corpus import Selection, write_corpus
from seqloom.bulk.job import Job
from seqloom.bulk.results import Found
from seqloom.data.noise import WordBlank, WordDrop, Words, WordShuffle
from seqloom.data.rows import Pair
from seqloom.search import SearchOptions

Method = Literal["greedy", "beam", "sampling", "topk", "noised-beam"]
METHODS: tuple[str, ...] = get_args(Method)


def search_options(
    method: Method, base: SearchOptions, *, beam_size: int = 5, top_k: int = 10, temperature: float = 1.0, seed: int = 1
) -> SearchOptions:
    """How a method searches; what it has no use for is not looked at.  ValueError for what can't be meant."""
    plain = base.beam(base.beam_size)
    match method:
        case "greedy":
            return replace(plain, beam_size=1)
        case "beam" | "noised-beam":
            return replace(plain, beam_size=beam_size)
        case "sampling":
            return replace(plain, sample=True, temperature=temperature, seed=seed)
        case "topk":
            return replace(plain, sample=True, temperature=temperature, top_k=top_k, seed=seed)
    raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")


@dataclass(frozen=True)
class NoiseOptions:
    """Noise on synthetic sources: shares of words to drop and to blank, and how far words may move."""

    drop: float = 0.1
    blank: float = 0.1
    shuffle: int = 3
    symbol: str = "<blank>"  # a word of its own, frequent enough for any tokenizer trained on the text to learn it


@dataclass
class NoiseStatistics:
    """What noise has done so far, in words."""

    words: int = 0
    dropped: int = 0
    blanked: int = 0
    moved: int = 0
    farthest: int = 0  # places


@dataclass
class Noiser:
    """Noise on one line after another, each by random numbers that follow from the seed and the line's number."""

    options: NoiseOptions
    seed: int
    statistics: NoiseStatistics = field(default_factory=NoiseStatistics)

    def __post_init__(self) -> None:
        """Raises ValueError as the kinds of noise do."""
        self.drop = WordDrop(p=self.options.drop)
        self.blank = WordBlank(p=self.options.blank, symbol=self.options.symbol)
        self.shuffle = WordShuffle(distance=self.options.shuffle)

    def __call__(self, number: int, text: str) -> str:
        """Line `number` with noise: words are dropped, then blanked, then moved."""
        words, random = text.split(), np.random.default_rng([self.seed, number])
        before = Words.of(np.zeros(len(words), np.int64))
        left = self.drop(before, random.random(len(words)))
        blanked = self.blank(left, random.random(len(left.numbers)))
        moved = self.shuffle(blanked, random.random(len(left.numbers)))
        self._count(before, blanked, moved)
        pairs = zip(moved.numbers.tolist(), moved.blank.tolist(), strict=True)
        return " ".join(self.options.symbol if blank else words[n] for n, blank in pairs)

    def _count(self, before: Words, blanked: Words, moved: Words) -> None:
        counts = self.statistics
        places = np.searchsorted(blanked.numbers, moved.numbers)  # numbers still rise before words move
        distances = np.abs(places - np.arange(len(places)))
        counts.words += len(before.numbers)
        counts.dropped += len(before.numbers) - len(blanked.numbers)
        counts.blanked += int(blanked.blank.sum())
        counts.moved += int((distances > 0).sum())
        counts.farthest = max(counts.farthest, int(distances.max(initial=0)))


@dataclass(frozen=True)
class BackTranslation:
    """What is to be made of the translations of monolingual text."""

    method: Method
    selection: Selection = Selection()
    noise: NoiseOptions | None = None  # None: none, unless the method is noised-beam
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for noise that can't be, or that the method doesn't use."""
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.noise is not None and self.method != "noised-beam":
            raise ValueError(f"noise is for the method noised-beam, got the method {self.method}")
        self.noiser()

    def noiser(self) -> Noiser | None:
        """What makes the noise, where there is any."""
        return Noiser(self.noise or NoiseOptions(), self.seed) if self.method == "noised-beam" else None

    def asked(self) -> dict[str, Any]:
        """All that the corpus depends on, beside the translations."""
        noiser = self.noiser()
        noise = asdict(noiser.options) if noiser else None
        return {"method": self.method, **asdict(self.selection), "noise": noise, "seed": self.seed}

    def making(self, job: Job) -> Callable[[], dict[str, Any]]:
        """What writes the corpus of a job that is done, and tells about it."""

        def made() -> dict[str, Any]:
            noiser = self.noiser()
            report = write_corpus(job.directory, job.rows(), self._pair(noiser))
            noise = asdict(noiser.statistics) if noiser else None
            return report | {"noise": noise, "model": job.fingerprint, "search": job.described()["search"]}

        return made

    def _pair(self, noiser: Noiser | None) -> Callable[[int, Pair, Found], Pair | str]:
        def pair(number: int, row: Pair, found: Found) -> Pair | str:
            length = found.lengths[0] if found.lengths else 0
            objection = self.selection.objection(found.source_length, length if any(map(str.strip, found.texts)) else 0)
            if objection:
                return objection
            if found.truncated:
                return "longer than the model reads"
            return noiser(number, found.texts[0]) if noiser else found.texts[0], row[0]

        return pair
