"""What a search finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Hypothesis:
    """A finished target: neither bos nor eos among its tokens."""

    tokens: list[int]
    score: float
    log_prob: float
    attention: NDArray[Any] | None = None  # [L, H, T + 1, S]; row t was looked at when token t was chosen, eos last
    token_log_probs: tuple[float, ...] = ()  # T + 1, each given those before it, eos last; none where no engine says
