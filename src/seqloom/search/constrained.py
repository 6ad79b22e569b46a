"""Beam search for targets that must say certain words: a glossary's.

https://arxiv.org/abs/1804.06609 (Post and Vilar): hypotheses are divided into banks by how much of their words they
have said, and every bank has its share of the beam, so that those which have paid for their words aren't thrown out by
those which still have to.  Alternatives and whole batches: https://aclanthology.org/N19-1090 (Hu et al.).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.search.choosing import Candidates, Chooser, UnderWay
from seqloom.search.largest import best_extensions
from seqloom.search.options import SearchOptions
from seqloom.search.phrases import Phrases
from seqloom.search.said import Said, Tracker
from seqloom.vocabulary import EOS

TURN = 1 << 20  # more than there are banks


@dataclass(frozen=True)
class Banked(Candidates):
    """Candidates, and how far each would be with its phrases."""

    banks: Tensor  # [B, C]


class Constrained(Chooser):
    """Looks at what is likely and at what goes on with a phrase; a sentence without phrases is searched as ever."""

    def __init__(self, options: SearchOptions, phrases: Phrases, device: torch.device | str = "cpu"):
        super().__init__(options)
        self._tracker = Tracker(phrases, device)

    def start(self, sentences: Tensor) -> Said:
        return self._tracker.start(self.width)

    def candidates(self, beam: UnderWay, log_probs: Tensor) -> Banked:
        K, said = self.width, beam.carried
        likely, tokens = best_extensions(beam.log_probs, log_probs, rows=1, count=2 * K)  # [N, 2K]
        wanted = self._tracker.wanted(said)  # [N, F]
        useless = (wanted < 0) | _repeated(wanted, tokens)
        wanted = wanted.clamp(min=0)
        forced = beam.log_probs[:, None] + log_probs.gather(1, wanted)
        totals = torch.cat([likely, forced.masked_fill(useless, -torch.inf)], 1)
        tokens = torch.cat([tokens, wanted], 1)  # [N, 2K + F]
        banks = self._tracker.symbols(self._tracker.after(said, tokens))
        at_end = torch.where(self._tracker.complete(said), said.whole, -1)
        banks = banks.where(tokens != EOS, at_end[:, None])

        C = K * tokens.size(1)
        best, order = totals.view(-1, C).sort(descending=True, stable=True)
        tokens, banks = (x.view(-1, C).gather(1, order) for x in (tokens, banks))
        whole = said.whole[::K, None]
        surplus = (torch.arange(C, device=best.device) >= 2 * K) & (whole == 0)
        complete = banks == whole
        may_end = complete & (complete.cumsum(1) <= K)
        return Banked(best.masked_fill(surplus, -torch.inf), order // (C // K), tokens, may_end, banks)

    def keep(self, candidates: Candidates, live: Tensor) -> Tensor:
        assert isinstance(candidates, Banked)
        return shared(candidates.banks.masked_fill(live == -torch.inf, -1), self.width)

    def carry(self, carried: Said, tokens: Tensor) -> Said:
        return self._tracker.behind(carried, tokens)


def shared(banks: Tensor, K: int) -> Tensor:
    """Which K candidates of each sentence go on, [B, K], given the bank of each, [B, C]; -1 for those that can't.

    Candidates stand the likeliest first.  Half of the places, rounded down, are those of the likeliest, whatever their
    banks: so what would be said anyway is found as ever.  The others are given to the banks in turn, the fullest first,
    so that there is an end to it.
    """
    alive = banks >= 0
    likeliest = alive & (alive.cumsum(1) <= K // 2)
    by_bank, order = banks.masked_fill(likeliest, -1).sort(stable=True)
    places = torch.arange(banks.size(1), device=banks.device)
    new = by_bank != by_bank.roll(1, 1)
    new[:, 0] = True
    rank = places - torch.where(new, places, 0).cummax(1)[0]  # within the bank
    turn = (rank * TURN - by_bank).masked_fill(by_bank < 0, TURN * TURN)
    turn = torch.zeros_like(turn).scatter(1, order, turn).masked_fill(likeliest, -TURN)
    chosen: Tensor = turn.topk(K, largest=False)[1].sort()[0]  # the likeliest first, as ever
    return chosen


def _repeated(tokens: Tensor, others: Tensor) -> Tensor:
    """Which tokens [N, F] are among the others [N, C], or stand further left in their own row."""
    earlier = (tokens[:, :, None] == tokens[:, None, :]).tril(-1).any(2)
    repeated: Tensor = earlier | (tokens[:, :, None] == others[:, None, :]).any(2)
    return repeated
