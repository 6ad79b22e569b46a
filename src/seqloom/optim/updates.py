"""Updates that PyTorch doesn't have, or not by these equations; their state is tensors, so checkpoints hold it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class _Update(torch.optim.Optimizer):
    """Moves one weight after the other; a subclass says how."""

    def __init__(self, parameters: Iterable[nn.Parameter]):
        super().__init__(parameters, {"lr": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient, at the rate of its group; at rate 0 nothing changes."""
        assert closure is None, "the gradients are there already"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and group["lr"]:
                    self.move(weight, weight.grad, self.state[weight], group["lr"])

    @abstractmethod
    def move(self, weight: Tensor, gradient: Tensor, state: dict[str, Tensor], rate: float) -> None:
        """Change `weight` and `state`, which is empty at first, in place."""


class RMSPropUpdate(_Update):
    """m <- decay * m + (1 - decay) * g²;  v <- momentum * v + rate * g / sqrt(m + epsilon);  w <- w - v."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        decay: float,
        momentum: float,
        epsilon: float,
        initial_accumulator: float,
    ):
        super().__init__(parameters)
        self.decay, self.momentum, self.epsilon, self.initial = decay, momentum, epsilon, initial_accumulator

    def move(self, weight: Tensor, gradient: Tensor, state: dict[str, Tensor], rate: float) -> None:
        if not state:
            state["squares"] = torch.full_like(weight, self.initial)
            if self.momentum:
                state["velocity"] = torch.zeros_like(weight)
        squares = state["squares"].mul_(self.decay).addcmul_(gradient, gradient, value=1 - self.decay)
        change = rate * gradient * (squares + self.epsilon).rsqrt()
        if self.momentum:
            change = state["velocity"].mul_(self.momentum).add_(change)
        weight.sub_(change)


class FtrlUpdate(_Update):
    """n' <- n + g²;  z <- z + g - w * (n'^-power - n^-power) / rate;  w <- -shrunk(z) / (n'^-power / rate + 2 * l2).

    Shrinking takes `l1` from the size of z, and leaves 0 of what is smaller.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, power: float, initial_accumulator: float, l1: float, l2: float
    ):
        super().__init__(parameters)
        self.power, self.initial, self.l1, self.l2 = power, initial_accumulator, l1, l2

    def move(self, weight: Tensor, gradient: Tensor, state: dict[str, Tensor], rate: float) -> None:
        if not state:
            state["squares"], state["linear"] = torch.full_like(weight, self.initial), torch.zeros_like(weight)
        before = state["squares"] ** -self.power
        after = state["squares"].addcmul_(gradient, gradient) ** -self.power
        linear = state["linear"].add_(gradient - weight * (after - before) / rate)
        shrunk = linear - linear.clamp(-self.l1, self.l1)
        weight.copy_(-shrunk / (after / rate + 2 * self.l2))
