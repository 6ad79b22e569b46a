"""What a measure of text is: lines and their references in, one score with its interval and its signature out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Score:
    """One number about a set of lines, with what is needed to compare it with another's."""

    name: str
    value: float  # percent
    low: float | None  # ends of the 95 % bootstrap interval, percent; None where none was asked for
    high: float | None
    signature: str
    count: int  # lines

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{self.low:.1f}, {self.high:.1f}]"
        return f"{self.name} {self.value:.2f}{interval} ({self.signature})"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self)


class Metric(ABC):
    """A measure of hypotheses against references that is a function of sums over lines.

    Because only sums count, a bootstrap resample is one weighted sum: no line is looked at twice.
    """

    name: str  # the key in metrics.jsonl and in `train.keep_best`
    label: str  # the name that a reader sees
    higher_is_better: bool = True

    def score(
        self, hypotheses: Sequence[str], references: Sequence[str], *, bootstrap: int = 0, seed: int = 12345
    ) -> Score:
        """Measure line i of `hypotheses` against line i of `references`.

        `bootstrap` is the number of resamples behind the 95 % interval, 0 for no interval; the same seed gives the
        same interval.  Raises ValueError for no lines, unequal numbers of lines, or a bootstrap of 1 or less than 0.
        """
        _check(hypotheses, references, bootstrap)
        statistics = self.statistics(hypotheses, references)  # [lines, C]
        low, high = self._interval(statistics, bootstrap, seed) if bootstrap else (None, None)
        return Score(
            name=self.label,
            value=self.value(statistics.sum(0)),
            low=low,
            high=high,
            signature=self.signature(bootstrap=bootstrap, seed=seed),
            count=len(hypotheses),
        )

    @abstractmethod
    def statistics(self, hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
        """What each line adds to the sums, [lines, C]."""

    @abstractmethod
    def value(self, sums: NDArray[np.float64]) -> float:
        """The score in percent that these sums [C] amount to."""

    @abstractmethod
    def signature(self, *, bootstrap: int, seed: int) -> str:
        """Everything that someone else needs to get the same number, as `key:value` joined by `|`."""

    def _interval(self, statistics: NDArray[np.float64], bootstrap: int, seed: int) -> tuple[float, float]:
        """The lines resampled `bootstrap` times, as sacrebleu does it, but row by row: memory stays that of the lines.

        sacrebleu holds every resample at once, reports only half the interval's width, and takes its seed from the
        environment.  The same generator and order give the same resamples here.
        """
        import numpy as np

        lines = len(statistics)
        generator = np.random.default_rng(seed)
        values = []
        for _ in range(bootstrap):
            repeats = np.bincount(generator.choice(lines, size=lines), minlength=lines)
            values.append(self.value(repeats @ statistics))
        values.sort()
        outside = bootstrap // 40  # 2.5 % on each side
        return values[outside], values[bootstrap - outside - 1]


def _check(hypotheses: Sequence[str], references: Sequence[str], bootstrap: int) -> None:
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise ValueError("hypotheses and references must be lists of lines, got one string")
    if len(hypotheses) != len(references):
        raise ValueError(f"every hypothesis needs one reference, got {len(hypotheses)} and {len(references)} lines")
    if not hypotheses:
        raise ValueError("there is no line to score")
    if bootstrap < 0 or bootstrap == 1:
        raise ValueError(f"bootstrap must be 0 (no interval) or at least 2 resamples, got {bootstrap}")
