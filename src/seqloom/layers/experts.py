"""A sparse mixture of experts: many networks, a few of which see each position; https://arxiv.org/abs/1701.06538.

R real positions   E experts   k of them a position   D features   I inner features
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.bounds import NotNegative, Positive, Rate
from seqloom.layers.dropout import Dropout
from seqloom.layers.feedforward import FeedForward
from seqloom.registry import register

LEAST_NOISE = 1e-2  # so that no expert is ever out of reach; the paper's own code adds it, its equation 4 doesn't


@dataclass(frozen=True)
class Routing:
    """Which experts each position goes to, the best first."""

    experts: Tensor  # [R, k]
    shares: Tensor  # [R, k] each row sums to 1
    penalty: Tensor | float  # what unevenness costs


class NoisyTopKGate(nn.Module):
    """Noisy top-k gating, equations 3 to 5 of https://arxiv.org/abs/1701.06538, and its losses, 6 to 11.

    Both matrices start at zero: noise alone chooses at first, and spreads positions evenly.
    """

    def __init__(self, size: int, *, experts: int, k: int, importance: float, load: float):
        """`importance` and `load` weigh the losses.  Raises ValueError if there are fewer experts than `k`."""
        super().__init__()
        if k > experts:
            raise ValueError(f"each position goes to k of the experts, so k can't be above them; got {k} of {experts}")
        self.k, self.importance, self.load = k, importance, load
        self.clean, self.noise = (nn.Linear(size, experts, bias=False) for _ in range(2))
        nn.init.zeros_(self.clean.weight)
        nn.init.zeros_(self.noise.weight)

    def forward(self, x: Tensor) -> Routing:
        """Features [R, D] -> where they go; in evaluation without noise, and without a penalty."""
        with torch.autocast(x.device.type, enabled=False):  # near the choice, a small error is a whole expert
            x = x.to(self.clean.weight.dtype)
            clean: Tensor = self.clean(x)  # [R, E]
            if not self.training:
                return self._routing(clean, 0.0)
            deviation = F.softplus(self.noise(x)) + LEAST_NOISE
            noisy = clean + torch.randn_like(clean) * deviation
            routing = self._routing(noisy, 0.0)
            importance = importances(routing, clean.size(1))
            load = smooth_load(clean, noisy, deviation, self.k)
            penalty = self.importance * squared_variation(importance) + self.load * squared_variation(load)
            return Routing(routing.experts, routing.shares, penalty)

    def _routing(self, scores: Tensor, penalty: float) -> Routing:
        best, experts = scores.topk(self.k)
        return Routing(experts, best.softmax(-1), penalty)  # softmax after the choice, not before


def importances(routing: Routing, experts: int) -> Tensor:
    """How much all positions together give to each expert, [E]; equation 6."""
    shares = routing.shares
    return shares.new_zeros(experts).index_add(0, routing.experts.flatten(), shares.flatten())


def smooth_load(clean: Tensor, noisy: Tensor, deviation: Tensor, k: int) -> Tensor:
    """How many positions each expert may expect, [E], of scores, the same with noise, and its deviation, [R, E] each.

    Equations 8 to 10: the probability that a position goes to an expert if its noise for this one is drawn again.
    """
    if k == clean.size(1):
        return torch.ones_like(clean).sum(0)  # nothing is left to chance
    best, places = noisy.topk(k + 1)
    chosen = torch.zeros_like(noisy, dtype=torch.bool).scatter(1, places[:, :k], True)
    to_beat = torch.where(chosen, best[:, k:], best[:, k - 1 : k])  # the k-th best of the others
    chances: Tensor = torch.special.ndtr((clean - to_beat) / deviation)
    return chances.sum(0)


def squared_variation(amounts: Tensor) -> Tensor:
    """The square of the coefficient of variation of amounts [E], a scalar; 0 of nothing at all.  Equations 7 and 11."""
    return amounts.var(correction=0) / (amounts.mean().square() + 1e-10)


@register()
class MixtureOfExperts(FeedForward):
    """y = sum of G(x)_i E_i(x) over the k best experts; https://arxiv.org/abs/1701.06538, equation 1.

    An expert is max(0, x W1 + b1) W2 + b2.  Positions are sorted by expert, and each expert sees its own at once.
    """

    def __init__(
        self,
        size: int,
        *,
        experts: Positive = 32,
        k: Positive = 4,
        inner_size: Positive = 256,
        importance: NotNegative = 0.1,
        load: NotNegative = 0.1,
        capacity: NotNegative | None = None,
        dropout: Rate = 0.0,
        output: Literal["plain", "sigmoid"] = "plain",
    ):
        """Each position goes to `k` of the `experts`, of `inner_size` each; `importance` and `load` weigh the losses.

        With a `capacity`, in training an expert takes no more than that times its even share of positions, first
        choices before second ones; what it can't take it adds nothing to (https://arxiv.org/abs/2006.16668, 2.2).
        `dropout` acts inside the experts; "sigmoid" is the paper's way out of the layer between LSTMs.  Raises
        ValueError if there are fewer experts than `k`, or no capacity at all.
        """
        super().__init__()
        if capacity == 0:
            raise ValueError("a capacity of 0 leaves the experts nothing; say how often their even share, such as 1.25")
        self.gate = NoisyTopKGate(size, experts=experts, k=k, importance=importance, load=load)
        self.capacity, self.sigmoid, self.dropout = capacity, output == "sigmoid", Dropout(dropout)
        self.inner, self.inner_bias = _linears(experts, size, inner_size)
        self.outer, self.outer_bias = _linears(experts, inner_size, size)

    def forward(self, x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | float]:
        rows = x.flatten(0, -2) if real is None else x[real]  # [R, D]
        routing: Routing = self.gate(rows)
        y = self._mixed(rows, routing)
        if self.sigmoid:
            y = y.sigmoid()
        if real is None:
            return y.view(x.shape), routing.penalty
        return y.new_zeros(x.shape).masked_scatter(real[..., None], y), routing.penalty

    def _mixed(self, x: Tensor, routing: Routing) -> Tensor:
        """Features [R, D] -> what their experts make of them, [R, D]."""
        chosen, order = routing.experts.T.flatten().sort(stable=True)  # [k R]: all first choices before all second ones
        counts = chosen.bincount(minlength=len(self.inner))
        if self.capacity is not None and self.training:
            order, counts = self._within_capacity(chosen, order, counts)
        rows = order % max(len(x), 1)
        answers = self._answers(x[rows], counts)
        answers = answers * routing.shares.T.flatten()[order, None]
        return torch.zeros_like(x, dtype=answers.dtype).index_add(0, rows, answers)

    def _within_capacity(self, chosen: Tensor, order: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The places and counts that are left where no expert takes more than it can."""
        assert self.capacity is not None
        most = math.ceil(self.capacity * len(chosen) / len(counts))
        return order[_queue(chosen, counts) < most], counts.clamp(max=most)

    def _answers(self, x: Tensor, counts: Tensor) -> Tensor:
        """Features in the order of their experts [P, D], and how many each has [E] -> what these say, [P, D].

        Where experts are about evenly full, padding all to the fullest is faster: on the CPU one and a half times in
        bfloat16, as fast in float32.  Where they aren't, it is many times slower.
        """
        evenly = int(counts.max()) * len(counts) <= 2 * len(x)
        return self._padded(x, counts) if evenly else self._one_by_one(x, counts)

    def _padded(self, x: Tensor, counts: Tensor) -> Tensor:
        """Two products for all experts together."""
        experts, most = torch.arange(len(counts), device=x.device).repeat_interleave(counts), int(counts.max())
        slots = experts * most + _queue(experts, counts)
        wide = x.new_zeros(len(counts) * most, x.size(1)).index_copy(0, slots, x).view(len(counts), most, x.size(1))
        inner = self.dropout(F.relu(torch.baddbmm(self.inner_bias[:, None], wide, self.inner.mT)))  # [E, most, I]
        return torch.baddbmm(self.outer_bias[:, None], inner, self.outer.mT).flatten(0, 1)[slots]

    def _one_by_one(self, x: Tensor, counts: Tensor) -> Tensor:
        """Two products an expert."""
        experts = zip(self.inner, self.inner_bias, self.outer, self.outer_bias, strict=True)
        answers = [
            F.linear(self.dropout(F.relu(F.linear(part, inner, inner_bias))), outer, outer_bias)
            for part, (inner, inner_bias, outer, outer_bias) in zip(
                torch.split(x, counts.tolist()), experts, strict=True
            )
        ]
        return torch.cat(answers)


def _queue(experts: Tensor, counts: Tensor) -> Tensor:
    """Sorted experts [P], and how often each comes [E] -> how many come before each that are the same, [P]."""
    return torch.arange(len(experts), device=experts.device) - (counts.cumsum(0) - counts)[experts]


def _linears(count: int, inputs: int, outputs: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights [E, outputs, inputs] and biases [E, outputs] that start as those of `count` times `nn.Linear` do."""
    bound = inputs**-0.5
    shapes = (count, outputs, inputs), (count, outputs)
    weight, bias = (nn.Parameter(torch.empty(shape).uniform_(-bound, bound)) for shape in shapes)
    return weight, bias
