"""What became of a corpus that was prepared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Report:
    """What became of a corpus: pairs kept and left out, and the tokens kept, without bos and eos."""

    kept: int = 0
    empty: int = 0  # a side without a token
    too_long: int = 0
    skipped: int = 0  # not UTF-8, or not a pair
    cut: int = 0  # kept, but only the first tokens of a side
    source_tokens: int = 0
    target_tokens: int = 0
    source_unknowns: int = 0
    target_unknowns: int = 0
    filtered: Mapping[str, int] = field(default_factory=dict)  # what filters left out, by their reasons

    def __add__(self, other: Report) -> Report:
        mine, theirs = asdict(self), asdict(other)
        filtered = Counter(mine.pop("filtered")) + Counter(theirs.pop("filtered"))
        return Report(**{name: mine[name] + theirs[name] for name in mine}, filtered=dict(filtered))

    def __str__(self) -> str:
        """Such as "29,000 pairs, 1 of them cut; left out: 2 too long"."""
        reasons = (("with an empty side", self.empty), ("too long", self.too_long), ("not readable", self.skipped))
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in (*reasons, *self.filtered.items()) if count)
        kept = f"{self.kept:,} pair{'s' * (self.kept != 1)}" + (f", {self.cut:,} of them cut" if self.cut else "")
        return kept + (f"; left out: {left_out}" if left_out else "")
