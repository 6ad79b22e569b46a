"""What hypotheses have said of the phrases that they are to say, for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqloom.search.phrases import Borders, Phrases
from seqloom.search.tries import START, tries_of
from seqloom.structures import Rows
from seqloom.vocabulary import BOS


@dataclass(frozen=True)
class Said(Rows):
    """Of N hypotheses and P phrases; a sentence with fewer than P has phrases without symbols besides, at node 0."""

    roots: Tensor  # [N, P] of the automata
    nodes: Tensor  # [N, ..., P] where each of them is
    missing: Tensor  # [N, ..., P] how often each phrase is still to come; one that has just ended is, too
    whole: Tensor  # [N] how many symbols all phrases have, said in their longest way
    last: Tensor  # [N] the symbol that was said last


class Tracker:
    """Follows hypotheses through the automata of a batch's phrases.

    A phrase has been said when the word that it ends with has: where `Hund` is asked for, `Hundehütte` isn't it.
    """

    def __init__(self, phrases: Phrases, device: torch.device | str = "cpu"):
        borders = phrases.borders
        self._tries = tries_of(phrases, len(borders.opens)).to(device)
        flags = (borders.opens, borders.continues, borders.first, borders.last, borders.starts)
        self._borders = Borders(*(torch.as_tensor(flag).to(device) for flag in flags))
        self._symbols = len(borders.opens)

    def start(self, width: int) -> Said:
        """Nothing, in so many rows for each sentence."""
        roots, times = (x.repeat_interleave(width, 0) for x in (self._tries.roots, self._tries.times))
        return Said(roots, roots, times, (times * self._tries.lengths[roots]).sum(1), torch.full_like(roots[:, 0], BOS))

    def after(self, said: Said, tokens: Tensor) -> Said:
        """What is said with each of some tokens [N, X] behind each hypothesis; [N, X, P]."""
        tries, roots, last = self._tries, said.roots[:, None], said.last[:, None]
        inside = self._borders.inside(last, tokens)[..., None]  # [N, X, 1]
        missing = said.missing[:, None] - (self._ended(said)[:, None] & ~inside).long()
        nodes = said.nodes[:, None].where(said.missing[:, None] == missing, roots)
        at_root = nodes == roots
        keys = (nodes + START * (at_root & self._borders.starts[last][..., None])) * self._symbols + tokens[..., None]
        places = torch.searchsorted(tries.keys, keys)
        known = (tries.keys[places] == keys) & ~(at_root & inside) & (missing > 0)
        return replace(said, nodes=tries.targets[places].where(known, roots), missing=missing)

    def behind(self, said: Said, tokens: Tensor) -> Said:
        """What is said with one token [N] behind each hypothesis."""
        after = self.after(said, tokens[:, None])
        return replace(after, nodes=after.nodes[:, 0], missing=after.missing[:, 0], last=tokens)

    def symbols(self, said: Said) -> Tensor:
        """How far it is, [N, ...]: the symbols of the phrases that were said, and of the one that is under way.

        Of several under way, the one that is furthest: others that begin with the same words fall back in the end.
        """
        lengths, depths = self._tries.lengths[said.nodes], self._tries.depths[said.nodes]
        ended = self._ended(said)
        missing = ((said.missing - ended.long()) * lengths).sum(-1)  # the phrase of a node is that of its root
        shape = (len(said.whole), *[1] * (missing.ndim - 1))
        return said.whole.view(shape) - missing + depths.masked_fill(ended, 0).amax(-1)

    def complete(self, said: Said) -> Tensor:
        """Whether all has been said if the sentence ends now, [N]."""
        return (said.missing <= self._ended(said).long()).all(1)

    def wanted(self, said: Said) -> Tensor:
        """The symbols that go on with a phrase, [N, F]; -1 for none."""
        ended = self._ended(said)
        begun = (said.nodes != said.roots) & ~ended  # [N, P]
        may_begin = (said.missing > ended.long()) & ~begun.any(1, keepdim=True)
        starts = said.roots + START * self._borders.starts[said.last][:, None]
        nodes = said.nodes.where(begun, starts.where(may_begin, 0))
        children = self._tries.children[nodes]  # [N, P, A]
        inside = self._borders.inside(said.last[:, None, None], children) & ~begun[..., None]
        return children.masked_fill(inside, -1).flatten(1)

    def _ended(self, said: Said) -> Tensor:
        """Which phrases have been said if a word ends here, [N, P]."""
        return self._tries.ends[said.nodes] & (said.missing > 0)
