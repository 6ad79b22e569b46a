"""Where a training stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from seqloom.data.batches import Position
from seqloom.train.norms import Norms


@dataclass
class Progress:
    """Where training stands: all that a checkpoint holds beside tensors."""

    step: int = 0
    position: Position = field(default_factory=Position)
    seconds: float = 0.0  # spent on training, validation and checkpoints
    validated: int = 0  # the last step that was validated
    best: float | None = None  # the best value of `keep_best`
    best_step: int | None = None
    waited: int = 0  # validations since the best
    stalls: int = 0  # validations that found nothing better, in all
    skipped: int = 0  # updates left out because something was not finite, or the gradient out of the ordinary
    norms: Norms = field(default_factory=Norms)
    loss: float = 0.0  # summed since the last log line, with its tokens
    tokens: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        known = {"stalls": 0, "norms": asdict(Norms()), **values}  # older checkpoints lack them
        known = {name: known[name] for name in cls.__dataclass_fields__}
        return cls(**known | {"position": Position(**known["position"]), "norms": Norms(**known["norms"])})
