"""What a user can say of a search.  Nothing here needs PyTorch, so that other engines can do without it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Literal, get_args

LengthPenalty = Literal["gnmt", "average", "none"]
COUNTS = (
    *("beam_size", "n_best", "min_length", "max_length", "max_source_length"),
    *("no_repeat_ngram", "diverse_groups", "top_k"),
)  # options that are at least 1, or None
NUMBERS = ("patience", "length_penalty", "coverage_penalty", "diversity", "temperature", "top_p")  # or None
DIVERSITY = 0.5
LEAST_SEEN = 1e-4  # of the attention to one source position; there is no logarithm of 0


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search.

    A hypothesis of n tokens, the end included, has the score log P / f(n) + `coverage_penalty` * coverage.  f(n) is
    ((5 + n) / 6)^length_penalty as `length_penalty_kind: gnmt` (https://arxiv.org/abs/1609.08144, equation 14),
    n^length_penalty as "average", and 1 as "none".  Coverage is the sum over source positions of
    log min(1, the attention that a position got from all tokens), attention being the mean over layers and heads, and
    what got less than `LEAST_SEEN` counting as that.  A penalty of 0 leaves its part out.

    A target ends after at most `max_length` tokens, or, where that is None, after 50 more than its source has
    (https://arxiv.org/abs/1706.03762, 6.1), and not before `min_length` of them.  With `no_repeat_ngram` no sequence of
    so many tokens comes twice (https://arxiv.org/abs/1705.04304, 2.5).  The phrases in `forbid`, and on the lines of
    `forbid_file`, are never written.  Where all this leaves no token, the target ends.  Of a source longer than
    `max_source_length` tokens only the beginning is used, and its translation says so.

    A sentence's search ends once `patience` * beam_size targets of it are found (https://arxiv.org/abs/2204.05424), as
    other toolkits' does with a patience of 1, or nothing under way can win any more; at infinity, only then.  Of what
    the last step finds beyond so many, those with the worst log P / n^`surplus_exponent` are left out.

    With `diverse_groups` the beam is as many beams of the same size.  At each step, each of them has a token's
    log-probability lowered by `diversity` times how often those before it went on with that token in this step
    (https://arxiv.org/abs/1610.02424, 3); it counts for this step's choice only, and no score has it.  The `n_best` are
    the best of each beam in turn.

    With `shortlist` only those symbols are looked at that go with the source's, as `seqloom shortlist` has learnt, and
    those that are common anyway (https://arxiv.org/abs/1412.2007, 3.3): faster, and now and then another target.

    `unknown`: the symbol for unknown words is "never" generated; or it may be, and is to "show"; or is to be replaced
    by a "copy" of the source token that was looked at most (https://arxiv.org/abs/1412.2007).  A `dictionary` says what
    is written in place of such a source token, where it has it.

    With `sample`, `n_best` targets of each sentence are drawn, each token by the model's own probabilities at this
    `temperature`, out of the `top_k` most likely or the fewest that have `top_p` of the probability, where these are
    given; `beam_size` has no say then.  What is drawn is a function of the `seed` and the number of the sentence.
    """

    beam_size: int = 5
    n_best: int = 1
    patience: float = 1.0
    length_penalty: float = 0.6
    length_penalty_kind: LengthPenalty = "gnmt"
    coverage_penalty: float = 0.0
    min_length: int = 1
    max_length: int | None = None
    max_source_length: int = 512
    no_repeat_ngram: int | None = None
    forbid: tuple[str, ...] = ()
    forbid_file: Path | None = None
    diverse_groups: int = 1
    diversity: float = DIVERSITY
    shortlist: bool = False
    unknown: Literal["never", "show", "copy"] = "never"
    dictionary: Path | None = None
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a value that can't be meant, and TypeError for one of another type."""
        self._check_types()
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not self.patience >= 1:
            raise ValueError(f"patience must be at least 1, got {self.patience}")
        if not all(phrase.strip() for phrase in self.forbid):
            raise ValueError("forbid has a phrase without a word; leave it out")
        self._check_lengths()
        self._check_sampling()
        self._check_groups()
        if self.n_best > self.beam_size and not self.sample:
            raise ValueError(f"n_best can't exceed beam_size, got n_best {self.n_best} and beam_size {self.beam_size}")
        if self.unknown not in ("never", "show", "copy"):
            raise ValueError(f"unknown must be never, show or copy, got {self.unknown!r}")
        if self.dictionary is not None and self.unknown != "copy":
            raise ValueError(f"a dictionary is for unknown: copy, got unknown: {self.unknown}")

    def _check_types(self) -> None:
        for names, kind, noun in (((*COUNTS, "seed"), Integral, "an integer"), (NUMBERS, Real, "a number")):
            for name in names:
                value, may_lack = getattr(self, name), getattr(SearchOptions, name) is None
                if (value is not None or not may_lack) and (isinstance(value, bool) or not isinstance(value, kind)):
                    raise TypeError(f"{name} must be {noun}, got {value!r}")
        phrases: object = self.forbid
        if isinstance(phrases, str) or not all(isinstance(phrase, str) for phrase in self.forbid):
            raise TypeError(f"forbid takes several phrases, as in forbid=('Hund', 'Katze'), got {self.forbid!r}")

    def _check_lengths(self) -> None:
        if self.length_penalty_kind not in get_args(LengthPenalty):
            choices = "gnmt, average or none"
            raise ValueError(f"length_penalty_kind must be {choices}, got {self.length_penalty_kind!r}")
        for name in ("length_penalty", "coverage_penalty", "diversity"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a number, got {getattr(self, name)}")
        if self.coverage_penalty < 0:
            raise ValueError(f"coverage_penalty must be 0 or more, got {self.coverage_penalty}")
        if self.max_length is not None and self.min_length > self.max_length:
            both = f"got min_length {self.min_length} and max_length {self.max_length}"
            raise ValueError(f"min_length can't exceed max_length, {both}")

    def _check_groups(self) -> None:
        groups, size = self.diverse_groups, self.beam_size
        if groups > 1 and self.sample:
            raise ValueError(f"diverse_groups is for beam search, got diverse_groups {groups} and sample: true")
        if groups > 1 and size % groups:
            raise ValueError(f"beam_size must be a multiple of diverse_groups, got {size} and {groups}")
        if self.diversity < 0:
            raise ValueError(f"diversity must be 0 or more, got {self.diversity}")
        if groups == 1 and self.diversity != DIVERSITY:
            raise ValueError(f"diversity is for diverse_groups above 1, got diversity {self.diversity}")

    def _check_sampling(self) -> None:
        if self.shortlist and self.sample:
            raise ValueError("a shortlist leaves out what sampling is to find; got shortlist: true and sample: true")
        if not self.temperature > 0 or math.isinf(self.temperature):
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        for name, neutral in (("temperature", 1.0), ("top_k", None), ("top_p", None)):
            if getattr(self, name) != neutral and not self.sample:
                raise ValueError(f"{name} is for sample: true, got {name} {getattr(self, name)} and sample: false")

    def beam(self, size: int) -> SearchOptions:
        """The same with one beam of this size, one result, and nothing drawn at random."""
        undrawn = replace(self, sample=False, temperature=1.0, top_k=None, top_p=None, n_best=1)
        return replace(undrawn, diverse_groups=1, diversity=DIVERSITY, beam_size=size)

    @property
    def width(self) -> int:
        """How many hypotheses of a sentence are under way at once."""
        return self.n_best if self.sample else self.beam_size

    def enough(self, width: int) -> float:
        """How many targets found end the search of a beam of this width."""
        return math.floor(width * self.patience + 0.5) if math.isfinite(self.patience) else math.inf

    @property
    def surplus_exponent(self) -> float:
        """What says which of too many targets are left out; it is all that CTranslate2 can rank by.

        It ranks as the score does, or, for "gnmt", nearly so: for ten to thirty tokens n^(3a/4) grows as (5 + n)^a.
        """
        shares = {"gnmt": 0.75, "average": 1.0, "none": 0.0}
        return shares[self.length_penalty_kind] * self.length_penalty

    def score(self, log_prob: float, length: int, coverage: float = 0.0) -> float:
        """The score by which finished hypotheses of so many tokens, the end included, are ranked."""
        return log_prob / self._divisor(length) + self.coverage_penalty * coverage

    def reach(self, log_prob: float, shortest: int, longest: int) -> float:
        """No hypothesis under way with this log-probability gets a better score by ending at any of these lengths.

        Proof.  Tokens to come have probabilities of at most 1, so log P can only fall, from `log_prob` <= 0.  The
        divisor is positive and either never falls with the length or never rises, so that of all lengths the first or
        the last makes the most of `log_prob`.  And no coverage is above 0: it is a sum of logarithms of at most 1.
        """
        return max(self.score(log_prob, shortest), self.score(log_prob, longest))

    def _divisor(self, length: int) -> float:
        if self.length_penalty_kind == "none":
            return 1.0
        base = length if self.length_penalty_kind == "average" else (5 + length) / 6
        return float(base**self.length_penalty)

    def limit(self, source_tokens: int) -> int:
        """How many tokens the target of a source of so many may have; the end counts on both sides."""
        return max(source_tokens + 50, self.min_length) if self.max_length is None else self.max_length
