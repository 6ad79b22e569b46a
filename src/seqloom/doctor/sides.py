"""Source and target: one copied from the other, or the two exchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from seqloom.doctor.findings import Finding, note, share, warning
from seqloom.doctor.sample import Data

COPIES = 0.05  # of the pairs with one text on both sides
MARGIN = 1.3  # times as much in common with the other side as with its own
Pair = tuple[str, str]
Profile = Mapping[str, float]


def copied_sources(where: str, pairs: Sequence[Pair]) -> Finding | None:
    """What to say where source and target are often the same text.

    Of five kinds of noise this one did by far the most harm: models learn to copy their input.  Khayrallah and Koehn
    2018, https://arxiv.org/abs/1805.12282, who tried 5 % and more of it.
    """
    part = sum(source.strip() == target.strip() for source, target in pairs) / max(len(pairs), 1)
    said = f"{where}: in {share(part)} of the pairs source and target are the same text"
    if part == 1:
        return note(f"{said}; that is right only where copying is to be learnt")
    if part < COPIES:
        return None
    return warning(f"{said}, so that a model learns to copy; leave them out (data.filters: CopiedSource)")


def profile(texts: Iterable[str]) -> dict[str, float]:
    """How often each sequence of three characters is there, as shares: enough to tell languages apart.

    Cavnar and Trenkle 1994, N-Gram-Based Text Categorization.
    """
    counts = Counter(line[i : i + 3] for line in (f" {text.lower()} " for text in texts) for i in range(len(line) - 2))
    total = counts.total()
    return {gram: count / total for gram, count in counts.items()}


def in_common(one: Profile, other: Profile) -> float:
    """How much of two profiles is the same, from 0 to 1."""
    return sum(min(part, other.get(gram, 0.0)) for gram, part in one.items())


def exchanged_sides(where: str, pairs: Sequence[Pair], trained_where: str, trained: Sequence[Pair]) -> Finding | None:
    """What to say where the source looks like training's target and the target like training's source."""
    (source, target), (left, right) = _profiles(pairs), _profiles(trained)
    own, other = (
        (in_common(source, left), in_common(target, right)),
        (in_common(source, right), in_common(target, left)),
    )
    if not all(theirs > MARGIN * mine for theirs, mine in zip(other, own, strict=True)):
        return None
    return warning(
        f"{where}: source and target look exchanged: its source has {share(other[0])} in common with the target of "
        f"{trained_where} and {share(own[0])} with its source, and its target {share(other[1])} with that source and "
        f"{share(own[1])} with that target; exchange the two files of one of them"
    )


def check_sides(data: Data) -> Iterator[Finding]:
    """Copies in training and validation, and sides that are exchanged against the first corpus with the same tag."""
    if not all(looked.is_text for looked in data.training):
        return
    trained = [(looked, looked.decoded()) for looked in data.training]
    valid = [] if data.held_out else [(looked, looked.written(data.options.errors)) for looked in data.validation]
    found = [copied_sources(looked.where, pairs) for looked, pairs in (*trained, *valid)]
    for looked, pairs in (*trained[1:], *valid):
        first = next((item for item in trained if item[0].options.tag == looked.options.tag), None)
        if first and first[0] is not looked:
            found.append(exchanged_sides(looked.where, pairs, first[0].where, first[1]))
    yield from (finding for finding in found if finding)


def _profiles(pairs: Sequence[Pair]) -> tuple[dict[str, float], dict[str, float]]:
    return profile(source for source, _ in pairs), profile(target for _, target in pairs)
