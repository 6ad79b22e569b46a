"""Validation pairs that are trained on: what is measured on them is what was learnt by heart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from seqloom.data.prepared import PreparedCorpus
from seqloom.doctor.findings import Finding, note, warning
from seqloom.doctor.sample import Data, Looked
from seqloom.vocabulary import UNK

MANY = 0.05  # of the validation pairs
SOME = 0.01  # of the sources alone, which may well be there in another translation
Keys = tuple[frozenset[int], frozenset[int]]  # of sources alone and of pairs


def known_in_training(where: str, keys: Sequence[tuple[int, int]], trained: Keys, *, some: str) -> Finding | None:
    """What to say of validation pairs, each with a key of its source and one of itself, that are trained on as well.

    A model does better on what it has seen, so that such validation data flatter it; Lee et al. 2022,
    https://arxiv.org/abs/2107.06499.
    """
    pairs = sum(pair in trained[1] for _, pair in keys)
    sources = sum(source in trained[0] for source, _ in keys)
    if not pairs and sources <= SOME * len(keys):
        return None
    said = f"{where}: {pairs:,} of {len(keys):,} pairs, and {sources:,} sources, are in the training data, too{some}"
    if pairs < MANY * len(keys):
        return note(said)
    return warning(f"{said}; scores will flatter, so take them out of one of the two")


def keys_of(corpus: PreparedCorpus, indices: Iterable[int]) -> Iterator[tuple[int, int]]:
    """A key for the source and one for the pair, each of 64 bits, of every pair of ids.

    Two that differ hardly ever share one, so that keys stand for what they are of.  Sources that are mostly unknown
    symbols all look alike, and are passed over.
    """
    for i in indices:
        ids, target = corpus.source(i), corpus.target(i).tobytes()
        if 2 * int((ids == UNK).sum()) < len(ids):
            source = ids.tobytes()
            yield hash(source), hash((source, target))


def check_leaks(data: Data) -> Iterator[Finding]:
    """Every validation corpus against what is looked at of all training corpora, in the memory of so many numbers."""
    valid = [list(keys_of(looked.corpus, looked.indices.tolist())) for looked in data.validation]
    wanted = _united(key for keys in valid for key in keys)
    seen = [key for looked in data.training for key in _met(looked, wanted)]
    trained, some = _united(seen), next((looked.some for looked in data.training if looked.some), "")
    for looked, keys in zip(data.validation, valid, strict=True):
        finding = known_in_training(looked.where, keys, trained, some=some)
        if finding:
            yield finding


def _met(looked: Looked, wanted: Keys) -> Iterator[tuple[int, int]]:
    """The keys of a training corpus's pairs whose source is wanted."""
    return (key for key in keys_of(looked.corpus, looked.indices.tolist()) if key[0] in wanted[0])


def _united(keys: Iterable[tuple[int, int]]) -> Keys:
    listed = list(keys)
    return frozenset(source for source, _ in listed), frozenset(pair for _, pair in listed)
