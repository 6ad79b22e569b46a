"""A run's shortlist: learnt from what the run was trained on, kept beside it, and read without PyTorch.

RUN/shortlist.safetensors    which target symbols go with which source symbols
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seqloom.errors import UsageError
from seqloom.search.lexicon import Pair, learn_lexicon
from seqloom.search.shortlist import Shortlist
from seqloom.tokenizers import Tokenizers, fingerprint

if TYPE_CHECKING:
    from seqloom.data.prepared import PreparedCorpus

NAME = "shortlist.safetensors"  # in the directory of a run or an export
CHECKED = 1000  # pairs of the validation data


@dataclass(frozen=True)
class Learnt:
    """A shortlist, and how much of the validation data's target symbols it has, from 0 to 1."""

    shortlist: Shortlist
    covered: float
    pairs: int  # that it was learnt from


def learn(run: Path, *, common: int, each: int, most_pairs: int) -> Learnt:
    """The shortlist of a run's training data, of which at most so many pairs are read.

    Raises DataError where the data can't be read, and UsageError for a run whose sources are no text.
    """
    from seqloom.config.root import read_config
    from seqloom.runs import check_is_run

    check_is_run(run)
    task = read_config(run / "config.yml").make_task()
    task.prepare(run)
    prepared = task.prepared()
    if prepared is None:
        raise UsageError(f"a shortlist needs sentences to learn from, and {type(task).__name__} has none")
    tokenizers, corpora = prepared.tokenizers, prepared.training
    if tokenizers.source.of_files:
        raise UsageError("a shortlist needs sources of text, and those of this model are files")
    lexicon = learn_lexicon(
        lambda: _pairs(corpora, most_pairs),
        sources=len(tokenizers.source.vocabulary),
        targets=len(tokenizers.target.vocabulary),
    )
    found = Shortlist.of(lexicon, common=common, each=each, joint=tokenizers.joint, tokenizers=_key(tokenizers))
    pairs = min(most_pairs, sum(map(len, corpora)))
    return Learnt(found, covered(found, _pairs(prepared.validation, CHECKED)), pairs)


def find(directory: Path, tokenizers: Tokenizers) -> Shortlist | None:
    """The shortlist in the directory of a run or an export, if there is one.

    Raises CheckpointError if it is damaged, or was made for other tokenizers.
    """
    path = directory / NAME
    return Shortlist.load(path, tokenizers=_key(tokenizers)) if path.is_file() else None


def covered(shortlist: Shortlist, pairs: Iterable[Pair]) -> float:
    """Which share of all target symbols stands in the shortlist of its source; 1 if there are none."""
    found, count = 0, 0
    for source, target in pairs:
        found += int(np.isin(target, shortlist.of_sentence(source.tolist())).sum())
        count += len(target)
    return found / count if count else 1.0


def _pairs(corpora: Sequence[PreparedCorpus], most: int) -> Iterator[Pair]:
    """At most so many pairs, from all over the corpora."""
    step = max(1, -(-sum(map(len, corpora)) // most))
    for corpus in corpora:
        for index in range(0, len(corpus), step):
            yield corpus.source(index), corpus.target(index)


def _key(tokenizers: Tokenizers) -> str:
    return fingerprint(tokenizers.source) + fingerprint(tokenizers.target)
