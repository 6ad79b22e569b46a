"""Numbers that can be meant: annotations of constructors' parameters, which the reading of a YAML file checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class AtLeast:
    """The number itself is allowed."""

    ge: float


@dataclass(frozen=True)
class Below:
    """The number itself isn't allowed."""

    lt: float


Positive = Annotated[int, AtLeast(1)]  # a width, or how many of something there must be
Count = Annotated[int, AtLeast(0)]
NotNegative = Annotated[float, AtLeast(0)]
Rate = Annotated[float, AtLeast(0), Below(1)]  # a share or a probability that can't be all
