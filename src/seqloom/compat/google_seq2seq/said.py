"""Values that remember where their user wrote them, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seqloom.config.tree import Tree
from seqloom.registry import ConfigError, Kind, Place, Problem, dotted

DEFAULT = "google/seq2seq's default"


@dataclass(frozen=True)
class Said:
    """A value, the place in their files where it stands (None: it is their default), and a comment for ours."""

    value: Any
    place: Place | None = None
    comment: str = ""

    def to(self, change: Callable[[Any], Any], comment: str = "") -> Said:
        """What `change` makes of the value; it still comes from the same place."""
        return replace(self, value=change(self.value), comment=comment or self.comment)

    def noted(self, comment: str) -> Said:
        """The same value with a comment."""
        return replace(self, comment=comment)

    @property
    def remark(self) -> str:
        """The comment to print: one that somebody wrote, or that nobody chose this value."""
        return self.comment or (DEFAULT if self.place is None else "")


Answers = Mapping[str, Said]


class Report:
    """Collects what is wrong with their files, and what their user should know."""

    def __init__(self, tree: Tree):
        self.tree = tree
        self.problems: list[Problem] = []
        self.notices: list[str] = []

    def problem(self, place: Place | None, what: str, kind: Kind = "value") -> None:
        """Something that keeps these files from being translated."""
        self.problems.append(Problem(place or (), what, kind))

    def notice(self, said: Said, what: str) -> None:
        """Something that makes no difference, or another one than in their program."""
        place = said.place or ()
        self.notices.append(
            ": ".join(filter(None, (self.tree.where(place, "key") if place else "", dotted(place), what)))
        )

    def check(self) -> None:
        """Raises ConfigError with everything that is wrong."""
        if self.problems:
            raise ConfigError(self.problems, self.tree.where)


def literal(path: str) -> str:
    """A path as our configuration writes it: a $ of theirs is no variable."""
    return path.replace("$", "$$")
