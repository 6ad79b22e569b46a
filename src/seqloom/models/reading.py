"""In what order, and how often, a source is read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqloom.structures import Encoded, Sequences


@dataclass(frozen=True)
class Reading:
    """Reads sources from their end (https://arxiv.org/abs/1409.3215, 3.3), or several times over.

    The summary is that of the whole; the positions that attention looks at are those of the last time, in the source's
    own order, as if it had been read once and from its beginning.  Zaremba and Sutskever, whose networks memorised what
    they read twice ("input doubling", https://arxiv.org/abs/1410.4615), had no attention.
    """

    backwards: bool
    times: int

    @property
    def plain(self) -> bool:
        """Whether a source is read as it stands."""
        return not self.backwards and self.times == 1

    def order(self, source: Sequences) -> Sequences:
        """What is read: [B, S] -> [B, times * S]."""
        here = torch.arange(self.times * source.ids.size(1), device=source.ids.device)  # [times * S]
        lengths = source.lengths()[:, None]
        places = self._turned(here % lengths, lengths)
        return Sequences(source.ids.gather(1, places), here < self.times * lengths)

    def undone(self, encoded: Encoded, source: Sequences) -> Encoded:
        """What was found in that order, as what is known of the source."""
        last = self._places(source, self.times - 1)
        keys = _picked(encoded.keys, last, 1)
        values = keys if encoded.values is encoded.keys else _picked(encoded.values, last, 1)
        attention = None if encoded.attention is None else self._attention(encoded.attention, source)
        return replace(encoded, keys=keys, values=values, mask=source.mask, attention=attention)

    def _attention(self, attention: Tensor, source: Sequences) -> Tensor:
        """Self-attention of the last time; what it gave to a token, whenever that was read, adds up."""
        rows = _picked(attention, self._places(source, self.times - 1), 3)
        each = [_picked(rows, self._places(source, time), 4) for time in range(self.times)]
        return torch.stack(each).sum(0) * source.mask[:, None, None, None]

    def _places(self, source: Sequences, time: int) -> Tensor:
        """Where each token of a source stands at that time, from 0, in the order in which it is read, [B, S]."""
        here, lengths = torch.arange(source.ids.size(1), device=source.ids.device), source.lengths()[:, None]
        within = torch.where(here < lengths, self._turned(here, lengths), here)
        return (time * lengths + within).clamp(max=self.times * len(here) - 1)

    def _turned(self, places: Tensor, lengths: Tensor) -> Tensor:
        return lengths - 1 - places if self.backwards else places


def without_end(source: Sequences) -> Sequences:
    """Sources [B, S] whose last real token is no longer one, unless there is no other."""
    here, lengths = torch.arange(source.ids.size(1), device=source.ids.device), source.lengths()[:, None]
    return replace(source, mask=source.mask & (here < (lengths - 1).clamp(min=1)))


def _picked(x: Tensor, places: Tensor, dimension: int) -> Tensor:
    """Of each row of x, these places [B, S] of a dimension."""
    shape = [1] * x.ndim
    shape[0], shape[dimension] = places.shape
    return x.take_along_dim(places.view(shape), dimension)
