"""The recurrence that stands in for a decoder's self-attention where translation is to be fast."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.layers.history import History


class SSRU(History):
    """The simpler simple recurrent unit; Kim et al. 2019, https://aclanthology.org/D19-5632.

    f_t = s(W_f x_t + b_f),  c_t = f_t c_(t-1) + (1 - f_t) W x_t,  and max(0, c_t) is what it says.  It has one vector
    to remember, however long the sentence, and no matrix product waits for the step before it.
    """

    def __init__(self, size: int):
        super().__init__()
        self.forget, self.candidate = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        for linear in (self.forget, self.candidate):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(self.forget.bias)

    def start(self, like: Tensor) -> Tensor:
        return like.new_zeros(len(like), self.forget.out_features)

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """The past is c [N, D]; it keeps its precision where products are in bfloat16."""
        kept, candidates = self.forget(x).sigmoid(), self.candidate(x)
        memories = running_mix(candidates.to(past.dtype), kept.to(past.dtype), past)  # [N, T, D]
        return F.relu(memories), memories[:, -1]


def running_mix(x: Tensor, kept: Tensor, before: Tensor) -> Tensor:
    """c_t = kept_t c_(t-1) + (1 - kept_t) x_t for each t of x and kept [N, T, D], from c_0 = `before` [N, D].

    One elementwise operation a step, forwards and backwards, whatever autograd would remember of it.  That is faster
    than a scan of log T passes over everything, and no product of shares that were kept can become too small.
    """
    return _RunningMix.apply(x, kept, before)  # type: ignore[no-any-return,no-untyped-call]


class _RunningMix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, before: Tensor) -> Tensor:
        x, kept = x.transpose(0, 1).contiguous(), kept.transpose(0, 1).contiguous()  # [T, N, D]
        memories = x.new_empty(len(x) + 1, *before.shape)
        memories[0] = before
        rows = memories.unbind()
        for step, share, last, memory in zip(x.unbind(), kept.unbind(), rows, rows[1:], strict=False):
            torch.lerp(step, last, share, out=memory)
        ctx.save_for_backward(x, kept, memories)
        return memories[1:].transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, kept, memories = ctx.saved_tensors
        flowing = gradients[0].transpose(0, 1).contiguous().clone()  # [T, N, D]
        steps, shares = flowing.unbind(), kept.unbind()
        for t in range(len(steps) - 2, -1, -1):
            steps[t].addcmul_(steps[t + 1], shares[t + 1])
        of_kept = flowing * (memories[:-1] - x)
        of_x = flowing * (1 - kept)
        return of_x.transpose(0, 1), of_kept.transpose(0, 1), steps[0] * kept[0]
