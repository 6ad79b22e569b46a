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
from seqloom.search.largest import Extensions
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
        self._tracker, self._phrases = Tracker(phrases, device), phrases.of

    def enough(self, sentence: int) -> float:
        """As many as there are places for banks: the others are mostly those of hypotheses that may not end yet."""
        places = max(self.options.n_best, self.width - self.width // 2)
        return self.options.enough(places) if self._phrases[sentence] else super().enough(sentence)

    def start(self, sentences: Tensor) -> Said:
        return self._tracker.start(self.width)

    def candidates(self, beam: UnderWay, log_probs: Tensor) -> Banked:
        """The likeliest of a sentence, of each row the likeliest, and whatever goes on with a phrase."""
        K, V, said = self.width, log_probs.size(1), beam.carried
        extensions = Extensions(log_probs)
        likely, places = extensions.best(beam.log_probs, rows=K, count=2 * K)  # [B, 2K]
        top = extensions.best(beam.log_probs, rows=1, count=1)[1]  # [N, 1]
        own = torch.cat([top, self._tracker.wanted(said)], 1)  # [N, 1 + F]
        useless = (own < 0) | _repeated(own) | (said.whole == 0)[:, None]
        own = own.clamp(min=0)
        totals = (beam.log_probs[:, None] + log_probs.gather(1, own)).masked_fill(useless, -torch.inf)
        B, row = len(places), torch.arange(len(own), device=own.device)[:, None] % K
        own_places = (row * V + own).view(B, -1)  # [B, K (1 + F)]
        there = (own_places[:, :, None] == places[:, None]).any(2)
        totals = torch.cat([likely, totals.view(B, -1).masked_fill(there, -torch.inf)], 1)

        best, order = totals.sort(descending=True, stable=True)  # [B, C]
        places = torch.cat([places, own_places], 1).gather(1, order)
        parents, tokens = places // V, places % V
        banks, whole = self._banks(said, parents, tokens), said.whole[::K, None]
        complete = banks == whole
        return Banked(best, parents, tokens, complete & (complete.cumsum(1) <= K), banks)

    def _banks(self, said: Said, parents: Tensor, tokens: Tensor) -> Tensor:
        """The bank of each candidate [B, C]; that of an end is full, or none."""
        first = torch.arange(0, len(said.whole), self.width, device=parents.device)[:, None]
        before = said.select((parents + first).flatten())
        banks = self._tracker.symbols(self._tracker.after(before, tokens.view(-1, 1)))[:, 0]
        at_end = torch.where(self._tracker.complete(before), before.whole, -1)
        return banks.where(tokens.flatten() != EOS, at_end).view(tokens.shape)

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


def _repeated(tokens: Tensor) -> Tensor:
    """Which tokens [N, F] stand further left in their own row."""
    repeated: Tensor = (tokens[:, :, None] == tokens[:, None, :]).tril(-1).any(2)
    return repeated
