"""The few best of very many extensions."""

from __future__ import annotations

import torch
from torch import Tensor

WITHIN = 64  # how many tokens stand for one another in the first look, about
LANES = 32  # numbers that a processor compares at once, or a multiple: several times slower if blocks don't fill them


def best_extensions(before: Tensor, log_probs: Tensor, *, rows: int, count: int) -> tuple[Tensor, Tensor]:
    """The `count` best sums of what rows [N] had before and the log-probability [N, V] of a token behind them.

    Each `rows` rows, side by side, are one sentence.  Returns sums [B, count], falling, and where they are among its
    rows' tokens one behind the other, row * V + token.  What can't be among the best isn't even added up: the best of
    every 64 tokens say where to look, and the best of all are where the best of these are.  For a single row that takes
    three times as long as looking at everything.
    """
    V = log_probs.size(1)
    blocks = round(V / WITHIN / LANES) * LANES
    log_probs = log_probs.contiguous()
    if blocks <= 2 * count or len(log_probs) == 1:
        sums = (log_probs + before[:, None]).view(-1, rows * V)
        best, places = sums.topk(min(count, rows * V))
        return best, places
    # 1. A token and those `blocks` apart from it are a block, which is the fastest to go through; a few are left over.
    end = V // blocks * blocks
    whole = log_probs[:, :end].view(-1, end // blocks, blocks)
    heads = (whole.amax(1) + before[:, None]).view(-1, rows * blocks)
    # 2. Every token of the best blocks, and those left over.
    chosen = heads.topk(count)[1]  # [B, count]
    first = chosen // blocks * V + chosen % blocks
    device = log_probs.device
    inside = first[:, :, None] + torch.arange(0, end, blocks, device=device)
    over = torch.arange(end, V, device=device) + torch.arange(0, rows * V, V, device=device)[:, None]
    places = torch.cat([inside.flatten(1), over.flatten().expand(len(chosen), -1)], 1)
    # 3. The best of these.
    sums = log_probs.view(-1, rows * V).gather(1, places) + before.view(-1, rows).gather(1, places // V)
    best, index = sums.topk(count)
    return best, places.gather(1, index)
