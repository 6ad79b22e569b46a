"""What a position of a decoder knows of those before it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class History(nn.Module, ABC):
    """Tells each position what it wants to know of itself and of those before it."""

    @abstractmethod
    def start(self, like: Tensor) -> Any:
        """What is remembered before the first position, a value with as many rows as `like` [N, ...]."""

    @abstractmethod
    def step(self, x: Tensor, past: Any) -> tuple[Tensor, Any]:
        """Features [N, T, D] of the next T positions -> what each is told [N, T, D], and what is remembered then."""
