"""The few best of very many extensions."""

from __future__ import annotations

import torch
from torch import Tensor

WITHIN = 64  # how many tokens stand for one another in the first look, about
LANES = 32  # numbers that a processor compares at once, or a multiple: several times slower if blocks don't fill them


class Extensions:
    """The log-probabilities [N, V] of every token behind every row, ready to be searched for the best.

    The best of every 64 tokens are found once, and say where to look.
    """

    def __init__(self, log_probs: Tensor):
        self.log_probs = log_probs.contiguous()
        V = log_probs.size(1)
        self.blocks = round(V / WITHIN / LANES) * LANES if len(log_probs) > 1 else 0  # one row is as fast without
        if self.blocks:  # a token and those `blocks` apart from it: the fastest to go through; a few are left over
            self.end = V // self.blocks * self.blocks
            self._heads = self.log_probs[:, : self.end].view(-1, self.end // self.blocks, self.blocks).amax(1)

    def best(self, before: Tensor, *, rows: int, count: int) -> tuple[Tensor, Tensor]:
        """The `count` best sums of what rows [N] had before and what a token behind them has.

        Each `rows` rows, side by side, are one sentence.  Returns sums [B, count], falling, and where they are among
        its rows' tokens one behind the other, row * V + token.  What can't be among the best isn't even added up.
        """
        log_probs, blocks, V = self.log_probs, self.blocks, self.log_probs.size(1)
        if blocks <= 2 * count:
            sums = (log_probs + before[:, None]).view(-1, rows * V)
            best, places = sums.topk(min(count, rows * V))
            return best, places
        # 1. The best blocks: the best of all are where the best of these are.
        chosen = (self._heads + before[:, None]).view(-1, rows * blocks).topk(count)[1]  # [B, count]
        # 2. Every token of theirs, and those left over.
        first, device = chosen // blocks * V + chosen % blocks, log_probs.device
        inside = first[:, :, None] + torch.arange(0, self.end, blocks, device=device)
        over = torch.arange(self.end, V, device=device) + torch.arange(0, rows * V, V, device=device)[:, None]
        places = torch.cat([inside.flatten(1), over.flatten().expand(len(chosen), -1)], 1)
        # 3. The best of these.
        sums = log_probs.view(-1, rows * V).gather(1, places) + before.view(-1, rows).gather(1, places // V)
        best, index = sums.topk(count)
        return best, places.gather(1, index)
