"""Sequence-level distillation: a student learns what its teacher says of the sources, not what the references say.

https://arxiv.org/abs/1606.07947, 3.2 ("beam") and 3.3 ("interpolation": of the teacher's n best that which is most like
the reference).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Any, Literal, get_args

from seqloom.bulk.corpus import ALL, write_corpus
from seqloom.bulk.job import Job
from seqloom.bulk.results import Found
from seqloom.data.rows import Pair
from seqloom.search import SearchOptions

Method = Literal["beam", "interpolation"]
METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True)
class Distillation:
    """What is to be made of a teacher's translations."""

    method: Method = "beam"

    def __post_init__(self) -> None:
        """Raises ValueError for another method."""
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")

    def search_options(self, base: SearchOptions, *, beam_size: int = 5) -> SearchOptions:
        """How the teacher searches; to be like a reference, all of its beam is looked at."""
        plain = base.beam(beam_size)
        return replace(plain, n_best=beam_size) if self.method == "interpolation" else plain

    def making(self, job: Job) -> Callable[[], dict[str, Any]]:
        """What writes the corpus of a job that is done, and tells about it."""

        def made() -> dict[str, Any]:
            report = write_corpus(job.directory, job.rows(), self._pair)
            return report | {"model": job.fingerprint, "search": job.described()["search"]}

        return made

    def _pair(self, number: int, row: Pair, found: Found) -> Pair | str:
        source, reference = row
        if not found.texts:
            return "empty"
        text = found.texts[0] if self.method == "beam" else most_like(reference, found.texts)
        length = 1 if text.strip() else 0
        return ALL.objection(found.source_length, length) or (source, text)


def most_like(reference: str, texts: Sequence[str]) -> str:
    """The text that has the highest sentence BLEU with the reference; of equals the first."""
    return max(texts, key=lambda text: sentence_bleu(text.split(), reference.split()))


def sentence_bleu(words: Sequence[str], reference: Sequence[str]) -> float:
    """BLEU of one sentence, from 0 to 1, with 1 added to the counts of all but single words.

    https://aclanthology.org/C04-1072, 4 (BLEU-S), with the usual brevity penalty.
    """
    logs = 0.0
    for n in range(1, 5):
        mine, theirs = (Counter(tuple(x[i : i + n]) for i in range(len(x) - n + 1)) for x in (words, reference))
        matches, total = (mine & theirs).total() + (n > 1), mine.total() + (n > 1)
        if not matches:
            return 0.0
        logs += log(matches / total) / 4
    return exp(logs + min(0.0, 1 - len(reference) / len(words)))
