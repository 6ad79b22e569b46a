"""What a search finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from seqloom.search.options import SearchOptions


@dataclass(frozen=True)
class Hypothesis:
    """A finished target: neither bos nor eos among its tokens."""

    tokens: list[int]
    score: float
    log_prob: float
    attention: NDArray[Any] | None = None  # [L, H, T + 1, S]; row t was looked at when token t was chosen, eos last
    token_log_probs: tuple[float, ...] = ()  # T + 1, each given those before it, eos last; none where no engine says


def confidence(log_probs: Sequence[float]) -> float | None:
    """The geometric mean of probabilities, given their logarithms; None where there are none."""
    return math.exp(sum(log_probs) / len(log_probs)) if log_probs else None


def counting(found: list[Hypothesis], options: SearchOptions, width: int) -> list[Hypothesis]:
    """Of what was found by a beam of this width, what counts: what its last step found beyond enough does not."""
    enough = options.enough(width)
    if len(found) <= enough:
        return found
    exponent = options.surplus_exponent
    return sorted(found, key=lambda one: one.log_prob / (len(one.tokens) + 1) ** exponent, reverse=True)[: int(enough)]
