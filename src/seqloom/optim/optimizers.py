"""How weights move: PyTorch's optimizers, and two of our own that it doesn't have in this form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import nn

from seqloom.bounds import NotNegative, Rate
from seqloom.optim.updates import FtrlUpdate, RMSPropUpdate
from seqloom.registry import register


class Optimizer(ABC):
    """Makes a `torch.optim.Optimizer`; the learning rate comes from the schedule at every step."""

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """PyTorch's optimizer for these parameters."""


@register("adam")
class Adam(Optimizer):
    """https://arxiv.org/abs/1412.6980; the defaults are those of https://arxiv.org/abs/1706.03762, 5.3."""

    def __init__(
        self, *, betas: tuple[Rate, Rate] = (0.9, 0.98), epsilon: NotNegative = 1e-9, weight_decay: NotNegative = 0.0
    ):
        self.betas, self.epsilon, self.weight_decay = betas, epsilon, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            parameters, 0.0, self.betas, eps=self.epsilon, weight_decay=self.weight_decay, fused=True
        )


@register("adamw")
class AdamW(Optimizer):
    """Adam with decoupled weight decay, https://arxiv.org/abs/1711.05101."""

    def __init__(
        self, *, betas: tuple[Rate, Rate] = (0.9, 0.98), epsilon: NotNegative = 1e-9, weight_decay: NotNegative = 0.01
    ):
        self.betas, self.epsilon, self.weight_decay = betas, epsilon, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            parameters, 0.0, self.betas, eps=self.epsilon, weight_decay=self.weight_decay, fused=True
        )


@register("sgd")
class SGD(Optimizer):
    """Gradient descent, with momentum if asked."""

    def __init__(self, *, momentum: NotNegative = 0.0, nesterov: bool = False, weight_decay: NotNegative = 0.0):
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, 0.0, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov, fused=True
        )


@register("adafactor")
class Adafactor(Optimizer):
    """Adam's second moment in the memory of a row and a column; https://arxiv.org/abs/1804.04235."""

    def __init__(self, *, weight_decay: NotNegative = 0.0):
        self.weight_decay = weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adafactor(parameters, lr=0.0, weight_decay=self.weight_decay)


@register("adagrad")
class Adagrad(Optimizer):
    """Each weight's rate falls with the root of its summed squared gradients; https://jmlr.org/papers/v12/duchi11a.html.

    The sum starts at `initial_accumulator`, so that the first steps aren't as large as the rate itself.
    """

    def __init__(self, *, initial_accumulator: NotNegative = 0.1, weight_decay: NotNegative = 0.0):
        self.initial_accumulator, self.weight_decay = initial_accumulator, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(
            parameters, 0.0, weight_decay=self.weight_decay, initial_accumulator_value=self.initial_accumulator
        )


@register("adadelta")
class Adadelta(Optimizer):
    """The running size of a weight's moves over that of its gradients is its rate; https://arxiv.org/abs/1212.5701.

    The schedule's rate multiplies that; algorithm 1 has none, so it is 1 there: {class: Constant, peak: 1.0}.
    """

    def __init__(self, *, decay: Rate = 0.95, epsilon: NotNegative = 1e-6, weight_decay: NotNegative = 0.0):
        self.decay, self.epsilon, self.weight_decay = decay, epsilon, weight_decay

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adadelta(parameters, 0.0, rho=self.decay, eps=self.epsilon, weight_decay=self.weight_decay)


@register("rmsprop")
class RMSProp(Optimizer):
    """Adagrad with a running mean in place of the sum (Tieleman and Hinton 2012, lecture 6.5 of Neural Networks).

    `epsilon` stands under the root, and the mean of squares starts at `initial_accumulator`.
    """

    def __init__(
        self,
        *,
        decay: Rate = 0.9,
        momentum: Rate = 0.0,
        epsilon: NotNegative = 1e-10,
        initial_accumulator: NotNegative = 0.0,
    ):
        self.decay, self.momentum, self.epsilon = decay, momentum, epsilon
        self.initial_accumulator = initial_accumulator

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return RMSPropUpdate(
            parameters,
            decay=self.decay,
            momentum=self.momentum,
            epsilon=self.epsilon,
            initial_accumulator=self.initial_accumulator,
        )


@register("ftrl")
class Ftrl(Optimizer):
    """Follow the regularized leader: with `l1`, weights that matter little are exactly 0.

    McMahan et al. 2013, Ad Click Prediction, algorithm 1, for any `learning_rate_power` (the paper's is -0.5).  `l1`
    weighs |w| and `l2` weighs w² (half of the paper's λ₂).  As in the paper a weight follows from its gradients alone:
    what it was initialised to is forgotten within the first steps.
    """

    def __init__(
        self,
        *,
        learning_rate_power: float = -0.5,
        initial_accumulator: NotNegative = 0.1,
        l1: NotNegative = 0.0,
        l2: NotNegative = 0.0,
    ):
        if learning_rate_power > 0:
            raise ValueError(f"learning_rate_power must be 0 or less, got {learning_rate_power}")
        if not initial_accumulator:
            raise ValueError("initial_accumulator must be above 0, since a rate is divided by it")
        self.learning_rate_power, self.initial_accumulator = learning_rate_power, initial_accumulator
        self.l1, self.l2 = l1, l2

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return FtrlUpdate(
            parameters,
            power=self.learning_rate_power,
            initial_accumulator=self.initial_accumulator,
            l1=self.l1,
            l2=self.l2,
        )
