"""Beams that keep away from each other (https://arxiv.org/abs/1610.02424)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.search.choosing import Candidates, Chooser, UnderWay
from seqloom.search.options import SearchOptions
from seqloom.vocabulary import EOS


@dataclass(frozen=True)
class Ranked(Candidates):
    """Candidates with what each is worth to its own group, [B, C]: log-probability less the penalty of its token."""

    worth: Tensor


class Groups(Chooser):
    """Groups of rows, each a beam of its own; a token costs more the oftener earlier groups go on with it in a step."""

    def __init__(self, options: SearchOptions):
        super().__init__(options)
        self.groups = options.diverse_groups

    def first(self, sentences: int, device: torch.device) -> Tensor:
        log_probs = torch.full((sentences, self.width), -torch.inf, device=device)
        log_probs[:, :: self.group_width] = 0
        return log_probs

    def candidates(self, beam: UnderWay, log_probs: Tensor) -> Ranked:
        k, V = self.group_width, log_probs.size(1)
        totals = (beam.log_probs[:, None] + log_probs).view(-1, self.groups, k * V)
        gone_on = torch.zeros(len(totals), V, device=log_probs.device)  # [B, V] how often, by the groups so far
        found = []
        for group, own in enumerate(totals.unbind(1)):
            worth, index = (own - self.options.diversity * gone_on.repeat(1, k)).topk(min(2 * k, k * V))
            tokens, may_end = index % V, (torch.arange(index.size(1), device=index.device) < k).expand_as(index)
            found.append(Ranked(own.gather(1, index), group * k + index // V, tokens, may_end, worth))
            live = (tokens != EOS) & (worth > -torch.inf)
            gone_on.scatter_add_(1, tokens, (live & (live.cumsum(1) <= k)).float())
        return _likeliest_first(found)

    def keep(self, candidates: Candidates, live: Tensor) -> Tensor:
        """The best of each group, [B, K].

        A group always has as many that don't end here, if only impossible ones, since each of its rows ends once.
        """
        assert isinstance(candidates, Ranked)
        worth = candidates.worth.clamp(min=torch.finfo(candidates.worth.dtype).min)
        worth = worth.masked_fill(candidates.tokens == EOS, -torch.inf)
        group = candidates.parents // self.group_width
        chosen = [worth.masked_fill(group != g, -torch.inf).topk(self.group_width)[1] for g in range(self.groups)]
        return torch.cat(chosen, 1)


def _likeliest_first(groups: list[Ranked]) -> Ranked:
    log_probs, parents, tokens, may_end, worth = (
        torch.cat([getattr(group, name) for group in groups], 1)
        for name in ("log_probs", "parents", "tokens", "may_end", "worth")
    )
    log_probs, order = log_probs.sort(descending=True, stable=True)
    return Ranked(log_probs, *(x.gather(1, order) for x in (parents, tokens, may_end, worth)))
