"""What a user may choose about training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from seqloom.optim import Adam, InverseSquareRoot, Optimizer, Schedule


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train.  Steps are updates of the weights; tokens are counted with the padding of their batch."""

    steps: int = 20_000
    minutes: float | None = None  # over all starts together, validation included; then training ends whatever the step
    batch_tokens: int | Literal["auto"] = 4096  # auto: the most that fit into memory, found at the start
    batch_sentences: int | None = None  # batches of so many sentences instead, whatever their length
    accumulate: int = 1  # batches an update; every target token weighs the same
    optimizer: Callable[..., Optimizer] = Adam
    schedule: Callable[..., Schedule] = InverseSquareRoot
    label_smoothing: float = 0.0
    clip: float = 1.0  # the norm of the whole gradient is cut to this; 0 for never
    clip_embeddings: float = 0.0  # after that, the norm of each embedding table's gradient is cut to this; 0 for never
    skip_norm: float | None = None  # updates are left out whose gradient's norm is so many deviations above the mean
    ema: float | None = None  # of the averaged weights, which are validated and used, so much stays at every step
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: bfloat16 where that is fast
    compile: bool = False  # the model by torch.compile: a slow start, and faster steps on some machines
    device: str = "auto"
    threads: int | None = None
    shard: bool = False  # each rank keeps a part of the weights and of the optimizer's state only
    rank_timeout: float = 600.0  # seconds that ranks wait in a step for one that doesn't answer, before they end
    log_every: int = 50
    checkpoint_every: int = 500
    checkpoint_seconds: float | None = None  # a checkpoint also when so long has passed since the last one
    validate_every: int = 1000
    keep_last: int = 2
    keep_best: str = "bleu"  # the validation's number that decides which checkpoint is the best
    patience: int | None = None  # validations without a better one, after which training ends
    doctor: bool = True  # data and recipe are looked at before the first step
    golden: int = 16  # validation texts that the finished model proves itself with whenever it is loaded; 0 for none

    def __post_init__(self) -> None:
        every = ("log_every", "checkpoint_every", "validate_every")
        for name in ("steps", "batch_tokens", "accumulate", *every, "keep_last"):
            if getattr(self, name) != "auto" and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("batch_sentences", "threads", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, or null, got {value}")
        for name in ("minutes", "checkpoint_seconds", "skip_norm"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, or null, got {value}")
        if self.golden < 0:
            raise ValueError(f"golden must be at least 0, got {self.golden}")
        if self.rank_timeout <= 0:
            raise ValueError(f"rank_timeout must be above 0, got {self.rank_timeout}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be from 0 up to, not including, 1, got {self.label_smoothing}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema must be between 0 and 1, such as 0.999, or null, got {self.ema}")
        for name in ("clip", "clip_embeddings"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")

    @property
    def most_tokens(self) -> int:
        """`batch_tokens` where it is a number; where it is "auto", `seqloom.fitting` finds one first."""
        assert self.batch_tokens != "auto"
        return self.batch_tokens
