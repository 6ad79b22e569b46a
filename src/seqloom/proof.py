"""Proof that a model is the one it was: what it made of some texts, kept and made again.

    RUN/golden.json      texts, what became of them and with which score, the weights and options that did it

No weight's checksum sees a tokenizer that cuts differently, a library that computes differently, or an option that
means something else than it did.  Golden triples do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from seqloom.errors import CheckpointError, UnreadableError
from seqloom.search.options import SearchOptions
from seqloom.translate import Translator

FILE = "golden.json"
FORMAT = 1
TOLERANCE = 1e-3  # of a score in float32; other threads, batches and processors change less than a tenth of it
UNKNOWN = "☂ ꙮ Ѫ?"  # what hardly a vocabulary has
KEPT: dict[str, Any] = {  # search options, and what they are
    "beam_size": int,
    "max_length": int | None,
    "max_source_length": int,
    "length_penalty": int | float,
    "length_penalty_kind": str,
}
LONGEST = 2000  # characters; a golden text is to be quick


class Triple(NamedTuple):
    """A text, what the model made of it, and how sure it was."""

    source: str
    target: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Triples, and whose they are."""

    weights: str  # the SHA-256 of the weights' file
    search: dict[str, Any]  # options
    triples: list[Triple]
    versions: dict[str, str | None]
    format: int = FORMAT

    @classmethod
    def read(cls, path: Path) -> Golden | None:
        """What a file holds; None where there is none.  Raises CheckpointError for a damaged one."""
        try:
            said = json.loads(path.read_bytes())
            golden = cls(**said | {"triples": [Triple(*triple) for triple in said["triples"]]})
            golden._check()
            return golden
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{path} is damaged: it holds no golden triples; remove it or make it anew"
            ) from error

    def _check(self) -> None:
        """Raises ValueError, KeyError or TypeError for what nobody can have written here."""
        SearchOptions(**self.search)
        texts = [self.weights, *(text for triple in self.triples for text in triple[:2])]
        right = [isinstance(text, str) for text in texts]
        right += [isinstance(triple.score, int | float) for triple in self.triples]
        right += [isinstance(value, KEPT[name]) for name, value in self.search.items()]
        if not all(right):
            raise TypeError("a text or a number is something else")

    def write(self, path: Path) -> None:
        """Write it in one step."""
        scratch = path.with_name(f".new-{path.name}")
        scratch.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", "utf8")
        scratch.replace(path)


def golden_of(translator: Translator, texts: Sequence[str], *, weights: str, versions: dict[str, str | None]) -> Golden:
    """What this translator makes of these texts, with as much of its search as doesn't depend on anything else."""
    base = translator.options
    search = {name: getattr(base, name) for name in KEPT}
    triples = _triples(translator, [text for text in texts if _readable(translator, text)], search)
    return Golden(weights=weights, search=search, triples=triples, versions=versions)


def _readable(translator: Translator, text: str) -> bool:
    """Whether the text has the form that the model's sources have, such as so many parts."""
    try:
        translator.tokenizers.source.encode([text])
    except UnreadableError:
        return False
    return True


def chosen_texts(texts: Iterable[str], count: int) -> list[str]:
    """Some of these texts, from the shortest to the longest, an empty one, and one of unknown characters."""
    ranked = sorted({text[:LONGEST] for text in texts}, key=lambda text: (len(text), text))
    made = ["", UNKNOWN][:count]
    wanted = min(count - len(made), len(ranked))
    places = [round(i * (len(ranked) - 1) / max(wanted - 1, 1)) for i in range(wanted)]
    return [*made, *(ranked[place] for place in places)]


def replay(translator: Translator, golden: Golden, *, name: str, least: float = 1.0) -> None:
    """Make the golden triples again.  Raises CheckpointError, showing one, if fewer than this share come out the same.

    A triple is the same if its text is equal and its score is within `TOLERANCE`; where `least` is below 1, as for
    numbers of less precision, equal texts are enough.
    """
    now = _triples(translator, [triple.source for triple in golden.triples], golden.search)
    pairs = list(zip(golden.triples, now, strict=True))
    changed = [pair for pair in pairs if not _same(*pair, scores=least == 1)]
    if len(pairs) - len(changed) < least * len(pairs):
        before, after = changed[0]
        raise CheckpointError(
            f"{name} is not the model that it was: {before.source!r} became {before.target!r} (score "
            f"{before.score:.4f}) when it was made, and becomes {after.target!r} (score {after.score:.4f}) now; "
            f"{len(changed)} of {len(pairs)} golden texts changed. Find out what was exchanged, or leave the proof out "
            "(--no-verify)"
        )


def changes(before: Golden, after: Golden) -> int:
    """How many texts of both have become something else."""
    targets = {triple.source: triple.target for triple in after.triples}
    return sum(targets.get(triple.source, triple.target) != triple.target for triple in before.triples)


def _same(before: Triple, after: Triple, *, scores: bool) -> bool:
    return before.target == after.target and (not scores or abs(before.score - after.score) <= TOLERANCE)


def _triples(translator: Translator, texts: Sequence[str], search: dict[str, Any]) -> list[Triple]:
    made = translator.translate(texts, SearchOptions(**search))
    return [Triple(text, one.text, one.score) for text, one in zip(texts, made, strict=True)]
