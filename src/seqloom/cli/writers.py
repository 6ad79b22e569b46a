"""How translations are written: plain, as n-best lists, or as JSON; with alignments of words on request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqloom.cli.groups import Group
from seqloom.cli.lines import one_line
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.translation import Alternative, Translation

ALIGNMENTS = ("hard", "soft")


@dataclass(frozen=True, kw_only=True)
class Output(Group):
    """What is written of each line."""

    n_best: Annotated[int | None, typer.Option("--n-best", help="Give so many translations of each line.")] = None
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with scores, confidence and alternatives.")
    ] = False
    alignment: Annotated[
        str | None, typer.Option("--alignment", help="hard: pairs 0-0 1-2 of words; soft: shares, in --json.")
    ] = None

    def writer(self) -> Writer:
        """What writes so; UsageError for what can't be meant."""
        if self.alignment not in (None, *ALIGNMENTS):
            raise UsageError(f"--alignment must be {' or '.join(ALIGNMENTS)}, got {self.alignment!r}")
        if self.alignment == "soft" and not self.json:
            raise UsageError("--alignment soft is a table for each line, so it needs --json")
        if self.json:
            return Json(self.alignment, self.n_best)
        return NBest(self.alignment, self.n_best) if self.n_best else Plain(self.alignment)


class Writer(ABC):
    """Prints translations; says beforehand what it needs of them."""

    def __init__(self, alignment: str | None, n_best: int | None = None):
        self.alignment, self.n_best = alignment, n_best
        self.attention, self.words = alignment is not None, alignment is not None

    @abstractmethod
    def write(self, number: int, translation: Translation) -> None:
        """Print a translation of the line with this number, counted from 0."""

    def aligned(self, translation: Translation, alternative: Alternative) -> str:
        """The hard alignment as a field of a line, and nothing where none was asked for."""
        from seqloom.alignment import pharaoh

        return f" ||| {pharaoh(self.pairs(translation, alternative))}" if self.alignment else ""

    def pairs(self, translation: Translation, alternative: Alternative) -> list[tuple[int, int]]:
        """The source word of each target word."""
        from seqloom.alignment import hard

        return hard(self.shares(translation, alternative))

    def shares(self, translation: Translation, alternative: Alternative) -> Any:
        """The share of each source word in each target word.  UsageError if the model has no attention."""
        from seqloom.alignment import soft

        if alternative.attention is None:
            raise UsageError("--alignment needs attention over the source, and this model has none")
        return soft(translation, alternative)


def _field(text: str) -> str:
    """A text as one field of a line, with Moses's signs for what would divide it."""
    return one_line(text).replace("|||", "&#124;" * 3)


class Plain(Writer):
    """A line for each line: its best translation."""

    def write(self, number: int, translation: Translation) -> None:
        best = translation.alternatives[:1]
        text = _field(translation.text) if self.alignment else one_line(translation.text)
        print(text + "".join(self.aligned(translation, one) for one in best))


class NBest(Writer):
    """A line for each alternative, as Moses and Marian write them: number, text, features, score."""

    def write(self, number: int, translation: Translation) -> None:
        if not translation.alternatives:  # of what is empty
            print(f"{number} ||| {' ||| ' if self.alignment else ''} ||| F0= {0:.4f} ||| {0:.4f}")
        for one in translation.alternatives[: self.n_best]:
            named = {"F0": one.log_prob, **one.features}
            features = "".join(f" {name}= {value:.4f}" for name, value in named.items())
            text = _field(one.text) + self.aligned(translation, one)
            print(f"{number} ||| {text} |||{features} ||| {one.score:.4f}")


class Json(Writer):
    """An object for each line."""

    def __init__(self, alignment: str | None, n_best: int | None):
        super().__init__(alignment, n_best)
        self.words = True

    def write(self, number: int, translation: Translation) -> None:
        import json

        told = {"id": number} | translation.as_dict()
        told["alternatives"] = told["alternatives"][: self.n_best]
        if self.alignment:
            for one, alternative in zip(told["alternatives"], translation.alternatives, strict=False):
                one["alignment"] = self._aligned(translation, alternative)
        print(json.dumps(told, ensure_ascii=False))

    def _aligned(self, translation: Translation, alternative: Alternative) -> list[Any]:
        if self.alignment == "hard":
            return [list(pair) for pair in self.pairs(translation, alternative)]
        table: list[Any] = self.shares(translation, alternative).round(4).tolist()
        return table
