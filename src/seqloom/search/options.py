"""What a user can say of a search.  Nothing here needs PyTorch, so that other engines can do without it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search.

    A hypothesis of n tokens, the end included, has the score log P / ((5 + n) / 6)^length_penalty
    (https://arxiv.org/abs/1609.08144, equation 14); 0 compares plain log-probabilities.  A target ends after at most
    `max_length` tokens, or, where that is None, after 50 more than its source has (https://arxiv.org/abs/1706.03762,
    6.1).  Of a source longer than `max_source_length` tokens only the beginning is used, and its translation says so.

    `unknown`: the symbol for unknown words is "never" generated; or it may be, and is to "show"; or is to be replaced
    by a "copy" of the source token that was looked at most (https://arxiv.org/abs/1412.2007).  A `dictionary` says what
    is written in place of such a source token, where it has it.

    With `sample`, `n_best` targets of each sentence are drawn, each token by the model's own probabilities at this
    `temperature`, out of the `top_k` most likely or the fewest that have `top_p` of the probability, where these are
    given; `beam_size` has no say then.  What is drawn is a function of the `seed` and the number of the sentence.
    """

    beam_size: int = 5
    n_best: int = 1
    length_penalty: float = 0.6
    max_length: int | None = None
    max_source_length: int = 512
    unknown: Literal["never", "show", "copy"] = "never"
    dictionary: Path | None = None
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("beam_size", "n_best", "max_length", "max_source_length", "top_k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._check_sampling()
        if self.n_best > self.beam_size and not self.sample:
            raise ValueError(f"n_best can't exceed beam_size, got n_best {self.n_best} and beam_size {self.beam_size}")
        if self.unknown not in ("never", "show", "copy"):
            raise ValueError(f"unknown must be never, show or copy, got {self.unknown!r}")
        if self.dictionary is not None and self.unknown != "copy":
            raise ValueError(f"a dictionary is for unknown: copy, got unknown: {self.unknown}")

    def _check_sampling(self) -> None:
        if not self.temperature > 0 or math.isinf(self.temperature):
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        for name, neutral in (("temperature", 1.0), ("top_k", None), ("top_p", None)):
            if getattr(self, name) != neutral and not self.sample:
                raise ValueError(f"{name} is for sample: true, got {name} {getattr(self, name)} and sample: false")

    @property
    def width(self) -> int:
        """How many hypotheses of a sentence are under way at once."""
        return self.n_best if self.sample else self.beam_size

    def score(self, log_prob: float, length: int) -> float:
        """The score by which finished hypotheses are ranked."""
        return log_prob / float(((5 + length) / 6) ** self.length_penalty)

    def limit(self, source_tokens: int) -> int:
        """How many tokens the target of a source of so many may have; the end counts on both sides."""
        return source_tokens + 50 if self.max_length is None else self.max_length
